/** Limits and times of the host; every one has a name and a unit. Times are monotonic milliseconds. */
export interface HostLimits {
  /** A follower that hears nothing of its leader for one to two times this campaigns. */
  readonly electionTimeoutMs: number;
  /** Each node tells each other node that it is there, once for all groups; seldom where other frames go anyway. */
  readonly heartbeatMs: number;
  /** What groups wait for may come so much later, so that many wait together; what is due sooner than this does not. */
  readonly deadlineSlackMs: number;
  /** Entries kept in memory, all groups together, for followers and tail readers. */
  readonly tailCacheBytesMax: number;
  /** Bytes proposed on this node and not yet applied, all groups together; above it proposals are `THROTTLED`. */
  readonly proposedBytesMax: number;
  /** Bytes that wait for this node's disk: above it nothing large is proposed here (`THROTTLED`), … */
  readonly pendingBytesMax: number;
  /**
   * … and above this, which leaves room for what the others propose, their entries are not taken either: they send them
   * again. A disk that is slower than a majority's would otherwise keep a window of each of its groups in memory.
   */
  readonly followedPendingBytesMax: number;
  /** Bytes of entries at a time for a follower whose disk is full, where the group commits without it. */
  readonly fullPeerBytesMax: number;
  /** Bytes a group applies between two checkpoints. Bounds what a restart reads again. */
  readonly checkpointBytes: number;
  /** Entries of the metadata log between two checkpoints. */
  readonly checkpointEntries: number;
  /** Bytes read at a time when a restarted replica applies what it had committed. */
  readonly applyReadBytesMax: number;
  /** How long a leader that is not the preferred one waits before it hands over. */
  readonly balanceDelayMs: number;
  /** How often a leader looks for records that need no longer be kept. */
  readonly retentionLookMs: number;
  /** So long a member must be away before a move that is to replace it goes on with fewer members than it should have. */
  readonly awayMsMax: number;
}

export const DEFAULT_HOST_LIMITS: HostLimits = {
  electionTimeoutMs: 500,
  heartbeatMs: 100,
  deadlineSlackMs: 50,
  tailCacheBytesMax: 24 * 1024 * 1024,
  proposedBytesMax: 128 * 1024 * 1024,
  pendingBytesMax: 32 * 1024 * 1024,
  followedPendingBytesMax: 64 * 1024 * 1024,
  fullPeerBytesMax: 16 * 1024,
  checkpointBytes: 8 * 1024 * 1024,
  checkpointEntries: 10_000,
  applyReadBytesMax: 4 * 1024 * 1024,
  balanceDelayMs: 5_000,
  retentionLookMs: 5_000,
  awayMsMax: 60_000,
};

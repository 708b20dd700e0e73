/** Bounds of one group's consensus core. Every queue in it has one. */
export interface RaftLimits {
  /** Append messages on their way to one follower, not yet answered. */
  readonly inFlightMessagesMax: number;
  /** Bytes of entries on their way to one follower; may be passed by one message. */
  readonly inFlightBytesMax: number;
  /** Bytes of entries in one append message; one entry always fits. */
  readonly appendBytesMax: number;
  /** Bytes asked of the log at a time for a follower that is behind what is in memory. */
  readonly loadBytesMax: number;
  /** Bytes proposed and not yet committed, and durable on the leader's own disk; one proposal always fits. Above it: `UNCOMMITTED_FULL`. */
  readonly uncommittedBytesMax: number;
  /** Reads that wait for a confirmation of leadership; more are refused. */
  readonly readsMax: number;
  /** A follower that has not answered for this long is asked again; doubled with each silence, up to the election timeout. */
  readonly retryMs: number;
  /** One whose disk is full, and that lacks something, is asked so often. */
  readonly fullRetryMs: number;
  /** An idle leader tells its followers after this long what has been committed; a busy one tells with the next entries. */
  readonly commitNoticeMs: number;
  /** Followers that know their leader's process to be gone campaign within this long. */
  readonly lostLeaderJitterMs: number;
  /** A follower that a quiet leader can do without waits this long at most before it is sent what the others were. */
  readonly spareDelayMsMax: number;
  /** More bytes of new entries than this go to all followers at once. */
  readonly quietBytesMax: number;
  /** A snapshot whose fate the host has not told for this long is offered again if the follower still lacks it. */
  readonly snapshotRetryMs: number;
}

export const DEFAULT_RAFT_LIMITS: RaftLimits = Object.freeze({
  inFlightMessagesMax: 256,
  inFlightBytesMax: 8 * 1024 * 1024,
  appendBytesMax: 1024 * 1024,
  loadBytesMax: 2 * 1024 * 1024,
  uncommittedBytesMax: 32 * 1024 * 1024,
  readsMax: 10_000,
  retryMs: 100,
  fullRetryMs: 2_000,
  commitNoticeMs: 10,
  lostLeaderJitterMs: 50,
  spareDelayMsMax: 20,
  quietBytesMax: 16 * 1024,
  snapshotRetryMs: 10_000,
});

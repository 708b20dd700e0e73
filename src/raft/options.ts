import type { FanOutPolicy } from "./fan-out.ts";
import type { RaftLimits } from "./limits.ts";
import type { LogStart } from "./raft-log.ts";
import type { Configuration, EntryFactory, HardState, LogEnd, NodeId, RaftEntry } from "./types.ts";

/** What one replica of one group starts from. Times are monotonic milliseconds. */
export interface RaftOptions<E extends RaftEntry> {
  readonly id: NodeId;
  readonly entries: EntryFactory<E>;
  /** As of `applied`. */
  readonly configuration: Configuration;
  /** `{ term: 0, vote: 0, commit: 0 }` when new. */
  readonly hardState: HardState;
  readonly log: LogStart<E>;
  /** What the state machine already has: the checkpoint's index, 0 when new. */
  readonly applied: number;
  readonly nowMs: number;
  /** A follower that hears nothing for one to two times this campaigns. */
  readonly electionTimeoutMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /**
   * When the peer's *node* was last heard, through whatever it sent, in its present link session; -Infinity for never.
   * Must be true to the link: a leader takes it for the peer being there, a follower for its leader being alive.
   */
  readonly peerHeardMs: (peer: NodeId) => number;
  /**
   * How many bytes of entries the peer takes in one append; Infinity, or left out: it has room. Otherwise its disk is full:
   * it is sent one append at a time, and so small that it may be taken. For Infinity must be the rule: asked often.
   */
  readonly peerTakesBytes?: (peer: NodeId) => number;
  /** Those left out are {@link DEFAULT_RAFT_LIMITS}. */
  readonly limits?: Partial<RaftLimits>;
  /**
   * False when this replica comes back with an empty or an old disk: it may have voted and acknowledged what it does not
   * know any more. It takes part again when its leader vouches for it; see {@link Raft.vouched}.
   */
  readonly vouched?: boolean;
  /**
   * Where the log ended that this replica dropped knowingly, if it is not vouched for and has forgotten nothing else: it
   * votes by that meanwhile, in terms after that of its hard state, so that a group of two does not end with its leader.
   */
  readonly had?: LogEnd;
  /**
   * If given, reads are answered without a round while a quorum has promised its votes: see "Leases" in README.md. The
   * fastest clock of the group runs at most this many times as fast as the slowest, 1 or more: reads may be stale if that
   * is not true. A follower that is not given it promises nothing, and no lease counts on it.
   */
  readonly clockDriftMax?: number;
  /** It may have promised its vote before it was stopped, although it is given no `clockDriftMax` now. */
  readonly mayHavePromised?: boolean;
  /**
   * What a follower behind the log's start is given. "checkpoint" (if left out): the last one, and its log begins there.
   * "start": the log's own start, so that all replicas' logs begin alike; for a host that can give a state for it.
   */
  readonly snapshotAt?: "checkpoint" | "start";
  /**
   * If given, a quiet leader may send to a quorum first (spares.ts). `tick` is then wanted at {@link Raft.sparesUntilMs},
   * too. Shared by all groups of a node.
   */
  readonly fanOut?: FanOutPolicy;
}

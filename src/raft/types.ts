/**
 * The words of the consensus core: what goes in, what comes out. Pure data; the rules are in raft.ts.
 * The model is etcd's raft with asynchronous storage writes: https://github.com/etcd-io/raft/blob/main/doc.go
 */

/** A node's number in its cluster: 1, 2, 3, … Never reused. 0 means "none". */
export type NodeId = number;

/** What the core needs to see of a log entry; the host's entries carry their bytes behind it. */
export interface RaftEntry {
  readonly term: number;
  /** First entry of a log: 1. */
  readonly index: number;
  /** Bytes on the wire and on disk, header included. */
  readonly byteLength: number;
  /** Whether it changes the group's configuration: such an entry takes effect when it is applied. */
  readonly isConfiguration: boolean;
  /** Itself if its bytes stay what they are; a copy if they lie in memory that will be used for others. */
  detached(): this;
}

/** How the core makes entries of its own, and marks those it accepts; it never looks inside. */
export interface EntryFactory<E extends RaftEntry> {
  /** The entry a new leader begins its term with (Raft §8). */
  noOp(): E;
  configuration(configuration: Configuration): E;
  configurationOf(entry: E): Configuration;
  /**
   * Gives a proposed entry its place. `last` is the entry before it, if the log still holds it in memory (a host
   * derives the base offset from it).
   */
  stamp(entry: E, term: number, index: number, last: E | undefined): void;
}

/** Who takes part. In a joint configuration `outgoing` is not empty, and both halves must agree (Raft §6). */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
}

/**
 * What must survive a crash beside the entries. `commit` may lag, but what a Ready gives is written with its entries: a
 * replica may not campaign with a configuration that it knew, when it accepted a later one, to be superseded.
 */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
}

/** Where a log ends. */
export interface LogEnd {
  readonly index: number;
  readonly term: number;
}

/** A state machine's state at an index; the log before it may be gone. */
export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
}

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** All messages between the replicas of one group. `from` and `to` are node ids; `term` as in the paper. */
export type Message<E extends RaftEntry> =
  | AppendRequest<E>
  | AppendResponse
  | VoteRequest
  | VoteResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | SnapshotRequest
  | TransferRequest
  | TimeoutNow;

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: number;
}

export interface AppendRequest<E extends RaftEntry> extends Envelope {
  readonly type: "append";
  readonly previousIndex: number;
  readonly previousTerm: number;
  readonly commit: number;
  readonly entries: readonly E[];
}

export interface AppendResponse extends Envelope {
  readonly type: "append-response";
  /** Accepted: the last index known to match, durable on the follower. Rejected: the refused `previousIndex`. */
  readonly index: number;
  readonly reject: boolean;
  /** Rejected: where the follower's log could match at best, so that the leader skips whole terms. */
  readonly hintIndex: number;
  readonly hintTerm: number;
  /** The follower's commit index: the leader repeats itself until this has caught up. */
  readonly commit: number;
  /** False from a replica that lost its disk: it counts for nothing until the leader vouches for it. */
  readonly vouched: boolean;
}

export interface VoteRequest extends Envelope {
  readonly type: "vote";
  /** A pre-vote asks without disturbing anyone: `term` is the one the candidate would have. */
  readonly preVote: boolean;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** A leadership transfer: voters answer although they hear a leader. */
  readonly transfer: boolean;
}

export interface VoteResponse extends Envelope {
  readonly type: "vote-response";
  readonly preVote: boolean;
  readonly reject: boolean;
  /**
   * What the voter knows to be committed, and the term of that entry. Without it a group can be stuck: those who took
   * part in a change of members need not have heard that it is committed, and whoever has heard may lead no more.
   */
  readonly commit: number;
  readonly commitTerm: number;
}

/** Only where something has to be asked of one group (reads, a check after silence); idle groups send none. */
export interface HeartbeatRequest extends Envelope {
  readonly type: "heartbeat";
  readonly commit: number;
  /** Number of the read round this heartbeat confirms, 0 for none. */
  readonly readRound: number;
  /** To a replica that lost its disk: if it has `commit`, it may vote and count again, and says so in its answer. */
  readonly vouch: boolean;
}

/**
 * Answers a read round. From a node that its receiver takes for the leader, or with a higher term, it says: I do not
 * lead, do not wait for me.
 */
export interface HeartbeatResponse extends Envelope {
  readonly type: "heartbeat-response";
  readonly readRound: number;
  /** For so many ms from now on it helps nobody else to lead; 0: it promises nothing. */
  readonly holdMs: number;
}

/** Tells a follower behind the start of the log to start from a snapshot; the host sends the state with it. */
export interface SnapshotRequest extends Envelope {
  readonly type: "snapshot";
  readonly snapshot: SnapshotMeta;
}

/** A follower asks its leader to hand over to `from`. */
export interface TransferRequest extends Envelope {
  readonly type: "transfer";
  readonly target: NodeId;
}

/** The leader tells a follower that has everything to campaign at once. */
export interface TimeoutNow extends Envelope {
  readonly type: "timeout-now";
}

/** Entries the leader needs for a follower but no longer holds in memory. Answer with `raft.loaded(…)`. */
export interface LoadRequest {
  readonly peer: NodeId;
  readonly term: number;
  readonly fromIndex: number;
  readonly bytesMax: number;
}

/** A linearizable read may be served once the state machine has applied `index` (Raft thesis §6.4). */
export interface ReadState {
  readonly context: number;
  /** -1: refused, this replica is not the leader any more; ask again elsewhere. */
  readonly index: number;
}

/**
 * What the host has to do after a step. In this order: hand `hardState`, `snapshot`, `truncateFrom`, `entries` to
 * the log in one durable write; send `messages` without waiting; when that write is durable (at once if
 * `mustPersist` is false and no earlier Ready of the group is still being written) send `messagesAfterPersist` and
 * call `raft.persisted(sequence)`; apply what is committed up to `committedIndex` and call `raft.appliedTo(index)`.
 */
export interface Ready<E extends RaftEntry> {
  /** 1, 2, 3, … per group. Durable reports come in this order. */
  readonly sequence: number;
  readonly mustPersist: boolean;
  readonly hardState: HardState | undefined;
  /** A received snapshot: the host replaces log and state machine by it. */
  readonly snapshot: SnapshotMeta | undefined;
  /** Entries from here on are replaced by `entries`; 0 for none. */
  readonly truncateFrom: number;
  readonly entries: readonly E[];
  readonly messages: readonly Message<E>[];
  readonly messagesAfterPersist: readonly Message<E>[];
  /** Highest index that may be applied: committed, and durable here or, for a leader, on a majority's disks. */
  readonly committedIndex: number;
  readonly loads: readonly LoadRequest[];
  readonly reads: readonly ReadState[];
}

/** Who shall take part. Voters that differ by more than one go through a joint configuration, left by itself. */
export interface ConfigurationChange {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Go through a joint configuration in any case. */
  readonly joint?: boolean;
}

export type ProposeResult =
  | { readonly ok: true; readonly firstIndex: number; readonly term: number }
  | {
    readonly ok: false;
    readonly code: "NOT_LEADER" | "TRANSFERRING" | "UNCOMMITTED_FULL" | "CHANGE_IN_PROGRESS" | "INVALID_CHANGE";
  };

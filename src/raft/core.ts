/** The state that every role shares, and the rules by which it may change. Roles are in raft.ts and what it uses. */
import type { FanOutPolicy } from "./fan-out.ts";
import { invariant, InvariantError } from "./invariant.ts";
import { DEFAULT_RAFT_LIMITS, type RaftLimits } from "./limits.ts";
import { Membership } from "./membership.ts";
import type { RaftOptions } from "./options.ts";
import { isUpToDate, RaftLog } from "./raft-log.ts";
import type {
  Configuration,
  EntryFactory,
  HardState,
  LoadRequest,
  LogEnd,
  Message,
  NodeId,
  RaftEntry,
  ReadState,
  Role,
  SnapshotMeta,
} from "./types.ts";
import { VoteHold } from "./vote-hold.ts";
import { WriteLedger } from "./write-ledger.ts";

const takesAll = () => Infinity;

export class Core<E extends RaftEntry> {
  readonly id: NodeId;
  readonly limits: RaftLimits;
  readonly electionTimeoutMs: number;
  /** Undefined: no read is answered under a lease. */
  readonly clockDriftMax: number | undefined;
  /** Undefined: all followers are sent everything at once. */
  readonly fanOut: FanOutPolicy | undefined;
  readonly hold: VoteHold;
  readonly random: () => number;
  readonly peerHeardMs: (peer: NodeId) => number;
  readonly peerTakesBytes: (peer: NodeId) => number;
  readonly entries: EntryFactory<E>;
  readonly log: RaftLog<E>;
  readonly ledger: WriteLedger;
  readonly membership: Membership;
  role: Role = "follower";
  leader: NodeId = 0;
  nowMs: number;
  deadlineMs = Infinity;
  /** False after the disk was lost: neither votes nor counts, see README.md. */
  vouched: boolean;
  /** What it votes by until then; undefined: it does not. */
  had: LogEnd | undefined;
  /** Whether it voted in this term, or before, it may not know. */
  readonly #startTerm: number;
  /** The checkpoint that the host has told of last. */
  snapshot: SnapshotMeta;
  /** A received snapshot that the host has not been told of. */
  restored: SnapshotMeta | undefined;
  messages: Message<E>[] = [];
  messagesAfterPersist: Message<E>[] = [];
  loads: LoadRequest[] = [];
  reads: ReadState[] = [];
  #term: number;
  #vote: NodeId;
  #commit: number;
  /** The last index that this replica committed by counting, as a leader. */
  #counted = 0;
  #applied: number;
  #hardStateChanged = false;
  #commitWritten: number;
  readonly #snapshotAt: "checkpoint" | "start";

  constructor(options: RaftOptions<E>) {
    const { hardState, applied, log } = options;
    this.id = options.id;
    this.limits = options.limits ? { ...DEFAULT_RAFT_LIMITS, ...options.limits } : DEFAULT_RAFT_LIMITS;
    this.electionTimeoutMs = options.electionTimeoutMs;
    this.clockDriftMax = options.clockDriftMax;
    this.fanOut = options.fanOut;
    this.hold = new VoteHold(this.clockDriftMax === undefined ? 0 : this.electionTimeoutMs);
    this.random = options.random;
    this.peerHeardMs = options.peerHeardMs;
    this.peerTakesBytes = options.peerTakesBytes ?? takesAll;
    this.entries = options.entries;
    this.nowMs = options.nowMs;
    this.vouched = options.vouched ?? true;
    this.had = options.had;
    this.#startTerm = hardState.term;
    this.#snapshotAt = options.snapshotAt ?? "checkpoint";
    this.log = new RaftLog(log);
    this.ledger = new WriteLedger(hardState, log.lastIndex);
    this.membership = new Membership(options.configuration, log.lastIndex);
    this.#term = hardState.term;
    this.#vote = hardState.vote;
    // What was applied was committed, and what is cut off at the front was applied. Of a disk that lost a part of its log
    // (then nobody vouches for this replica) only what is left counts.
    const commit = this.vouched ? hardState.commit : Math.min(hardState.commit, log.lastIndex);
    this.#commit = Math.max(commit, applied, log.firstIndex - 1);
    this.#commitWritten = hardState.commit;
    this.#applied = applied;
    this.snapshot = { index: applied, term: this.log.term(applied) ?? 0, configuration: options.configuration };
    invariant(this.#commit <= log.lastIndex, `commit ${this.#commit} is past the log's end ${log.lastIndex}`);
    const drift = this.clockDriftMax ?? 1;
    invariant(drift >= 1 && drift < Infinity, `no clock runs ${drift} times as fast as a faster one`);
    const mayHavePromised = this.clockDriftMax !== undefined || options.mayHavePromised === true;
    if (hardState.term > 0 && mayHavePromised) this.hold.holdUntil(options.nowMs + this.electionTimeoutMs);
    invariant(hardState.term >= this.log.lastTerm, `term ${hardState.term} and entries of term ${this.log.lastTerm}`);
  }

  /** Whether a candidate's log has all that this replica has, or had, and may vote about in that term. */
  mayVoteFor(log: LogEnd, term: number): boolean {
    if (!isUpToDate(log, this.log.end)) return false;
    return this.vouched || (this.had !== undefined && term > this.#startTerm && isUpToDate(log, this.had));
  }

  get term(): number {
    return this.#term;
  }

  get vote(): NodeId {
    return this.#vote;
  }

  get commit(): number {
    return this.#commit;
  }

  get applied(): number {
    return this.#applied;
  }

  get configuration(): Configuration {
    return this.membership.current;
  }

  /**
   * May be applied: committed, and durable here; or counted here by a leader. What it counted is on a majority's disks and
   * was handed to its own before: should a restart find it missing there, the others have it. (A follower may hear that an
   * entry is committed before it has handed it on, and what applying it writes must come after it.)
   */
  get applicable(): number {
    return Math.max(Math.min(this.#commit, this.ledger.durableIndex), this.#counted);
  }

  /** Monotonic ms when the node of this group's leader was last heard. */
  get leaderHeardMs(): number {
    return this.leader === 0 || this.leader === this.id ? -Infinity : this.peerHeardMs(this.leader);
  }

  get hasUnwritten(): boolean {
    return this.#hardStateChanged || this.restored !== undefined || this.log.hasUnsaved;
  }

  /**
   * What a follower behind the log's start is given; undefined while there is none that reaches it. At the start it
   * brings the configuration of now: those that follow in the log are applied over it, as by any follower that lags.
   */
  get offeredSnapshot(): SnapshotMeta | undefined {
    const { log, snapshot, configuration } = this;
    if (this.#snapshotAt === "checkpoint") return log.term(snapshot.index) === undefined ? undefined : snapshot;
    const index = log.firstIndex - 1;
    const term = log.term(index);
    // Not from a later index: the follower's log would lack the entries up to there.
    return term === undefined || index > this.#applied ? undefined : { index, term, configuration };
  }

  /** Time goes on; a clock that lags behind what was seen changes nothing. */
  advance(nowMs: number): void {
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }

  /** Asks for a tick at `ms` at the latest. */
  wakeBy(ms: number): void {
    if (ms < this.deadlineMs) this.deadlineMs = ms;
  }

  /** A later term, in which nobody has this replica's vote yet. */
  enterTerm(term: number): void {
    if (term <= this.#term) throw new InvariantError(`term ${term} after term ${this.#term}`);
    this.#term = term;
    this.#vote = 0;
    this.#hardStateChanged = true;
  }

  /** One vote a term (Raft §5.2). */
  castVote(candidate: NodeId): void {
    if (this.#vote === candidate) return;
    if (this.#vote !== 0) {
      throw new InvariantError(`a vote for ${candidate} in term ${this.#term}, where ${this.#vote} has it`);
    }
    this.#vote = candidate;
    this.#hardStateChanged = true;
  }

  /** Returns whether it moved. */
  commitTo(index: number): boolean {
    if (index <= this.#commit) return false;
    if (index > this.log.lastIndex) {
      throw new InvariantError(`commit ${index} is past the log's end ${this.log.lastIndex}`);
    }
    this.#commit = index;
    return true;
  }

  /** A leader has counted a majority's acknowledgements. */
  commitCounted(index: number): void {
    if (this.commitTo(index)) this.#counted = index;
  }

  /** Entries up to `index` are applied; returns whether the configuration changed. */
  appliedTo(index: number, configuration: Configuration | undefined): boolean {
    if (index < this.#applied) return false;
    if (index > this.applicable) throw new InvariantError(`applied ${index}, of which only ${this.applicable} may be`);
    this.#applied = index;
    return this.membership.appliedTo(index, configuration);
  }

  append(entry: E): void {
    this.log.append(entry);
    if (entry.isConfiguration) this.membership.appended(entry.index, this.entries.configurationOf(entry));
  }

  /** Cuts what contradicts the leader. Committed entries never do (Raft §5.4.3). */
  truncateFrom(index: number): void {
    if (index <= this.#commit) throw new InvariantError(`entry ${index} is cut, and ${this.#commit} is committed`);
    this.log.truncateFrom(index);
    this.ledger.truncateFrom(index);
    this.membership.truncateFrom(index);
  }

  /** Replaces log and configuration. What the old log held past its commit index is void, also in writes under way. */
  restore(snapshot: SnapshotMeta): void {
    invariant(snapshot.index > this.#commit, `a snapshot at ${snapshot.index}, and ${this.#commit} is committed`);
    this.ledger.truncateFrom(this.#commit + 1);
    this.log.restore(snapshot.index, snapshot.term);
    this.membership.restore(snapshot.index, snapshot.configuration);
    this.#commit = snapshot.index;
    this.snapshot = snapshot;
    this.restored = snapshot;
  }

  /** The host takes the received snapshot over: its state is the state machine's from now on. */
  takeRestored(): SnapshotMeta | undefined {
    const snapshot = this.restored;
    if (snapshot) this.#applied = snapshot.index;
    this.restored = undefined;
    return snapshot;
  }

  /** What is to be written of term, vote and commit: when term or vote changed, or along with `others`. */
  takeHardState(others: boolean): HardState | undefined {
    if (!this.#hardStateChanged && !(others && this.#commit > this.#commitWritten)) return undefined;
    this.#hardStateChanged = false;
    this.#commitWritten = this.#commit;
    return { term: this.#term, vote: this.#vote, commit: this.#commit };
  }
}

/** One group on this node: its consensus core, its state machine, and what waits between the two. */
import type { Checkpoint, GroupId, GroupLog, GroupWrite } from "../../src/log/types.ts";
import type { FanOut } from "../../src/raft/fan-out.ts";
import { Raft, type RaftOptions } from "../../src/raft/raft.ts";
import type {
  Configuration,
  ConfigurationChange,
  LogEnd,
  Message,
  NodeId,
  Ready,
  SnapshotMeta,
} from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";
import { DiskError } from "../../src/runtime/disk.ts";
import { createEntryFactory, decodeConfiguration } from "./entries.ts";
import { Proposals } from "./proposals.ts";
import type { Place, Timed } from "./deadlines.ts";
import { recoveredHardState, recoveredLog } from "./recovered.ts";
import type { ProposalWaiter, StateMachine } from "./state-machine.ts";

/** So often what was committed before a restart is read anew, where the disk gives no answer (too many open files). */
const LOADS_AGAIN_MAX = 30;
const LOAD_AGAIN_MS = 1_000;

/** What a replica needs of the host it lives on. */
export interface ReplicaHost {
  readonly nodeId: NodeId;
  nowMs(): number;
  random(): number;
  heardMs(peer: NodeId): number;
  /** See `RaftOptions`. */
  peerTakesBytes(replica: Replica, peer: NodeId): number;
  readonly electionTimeoutMs: number;
  readonly leases: Pick<RaftOptions<Entry>, "clockDriftMax" | "mayHavePromised">;
  readonly fanOut: FanOut;
  /** A message to a peer, on its way before the turn ends. */
  send(replica: Replica, message: Message<Entry>): void;
  /** Something is to be done for this replica in the next turn. */
  wake(replica: Replica): void;
  /** It was told something: if that leaves anything to do, it is done in the next turn. */
  told(replica: Replica): void;
  /** Entries that are not in memory, from the log. */
  load(group: GroupId, fromIndex: number, toIndex: number, bytesMax: number): Promise<Entry[]>;
  readonly applyReadBytesMax: number;
  /** The disk gave no answer: `again` is called after `delayMs`, if the replica is still there. */
  tryLater(replica: Replica, reason: unknown, delayMs: number, again: () => void): void;
  /** The replica cannot go on: its disk does not give what was committed. It is closed, and says nothing any more. */
  damaged(replica: Replica, reason: unknown): void;
}

export interface ReplicaOptions {
  readonly group: GroupId;
  readonly configuration: Configuration;
  readonly machine: StateMachine;
  /** What the log holds of the group from before; undefined when it is new. */
  readonly recovered: GroupLog | undefined;
  /**
   * How soon followers hear of a commit when nothing else is sent to them. Soon where they are read (metadata); where
   * only the leader is read, later: each such notice wakes every replica once more.
   */
  readonly commitNoticeMs: number;
  /** False: it may have been here before and lost what it knew. It neither votes nor counts until its leader vouches. */
  readonly vouched: boolean;
  /** Where the log ended that was dropped for its damage: see `RaftOptions.had`. */
  readonly had?: LogEnd | undefined;
  /**
   * The log before a checkpoint goes, which holds the whole state (metadata), and is what a lagging follower is given. Else
   * that is given the log's start.
   */
  readonly trimAtCheckpoint: boolean;
  /** Its last entry, if the log goes on after the checkpoint. */
  readonly tail: Entry | undefined;
}

interface Finishing {
  readonly ready: Ready<Entry>;
  durable: boolean;
  /** What was to be said once it is durable is not said: the replica doubts what it knows. */
  unsaid: boolean;
}

interface AppliedWaiter {
  readonly index: number;
  readonly wake: (applied: boolean) => void;
}

/** A received snapshot's state, kept from the message until the core asks for it. */
export interface IncomingState {
  readonly index: number;
  readonly nextOffset: number;
  readonly state: Uint8Array;
}

export class Replica implements Timed {
  readonly group: GroupId;
  readonly raft: Raft<Entry>;
  readonly machine: StateMachine;
  readonly proposals = new Proposals();
  /** See {@link ReplicaOptions.trimAtCheckpoint}. */
  readonly trimAtCheckpoint: boolean;
  /** Whether it waits for the next turn; the host's mark. */
  dirty = false;
  place: Place | undefined;
  /** Last index that the tail cache has seen; its mark. */
  keptTo = 0;
  /** Bytes and entries applied since the last checkpoint. */
  appliedBytes = 0;
  appliedEntries = 0;
  /** Of the snapshot that the core has accepted. */
  #incoming: IncomingState | undefined;
  readonly #host: ReplicaHost;
  readonly #finishing: Finishing[] = [];
  /** Read barriers asked of the core, by their context. */
  readonly #reads = new Map<number, (index: number) => void>();
  #lastRead = 0;
  #appliedWaiters: AppliedWaiter[] = [];
  #nextOffset: number;
  #leadingTerm = 0;
  /** Highest index that may be applied, as far as the core has said. */
  #committed = 0;
  #loading = false;
  /** In a row. */
  #loadsFailed = 0;
  #closed = false;

  constructor(host: ReplicaHost, options: ReplicaOptions) {
    const { recovered } = options;
    const checkpoint = recovered?.checkpoint;
    this.#host = host;
    this.group = options.group;
    this.machine = options.machine;
    this.trimAtCheckpoint = options.trimAtCheckpoint;
    this.#nextOffset = checkpoint?.nextOffset ?? 0;
    if (checkpoint) this.machine.restore(checkpoint.state, checkpoint.nextOffset);
    this.raft = new Raft<Entry>({
      id: host.nodeId,
      entries: createEntryFactory(() => this.#nextOffset),
      configuration: checkpoint?.configuration ?? options.configuration,
      hardState: recoveredHardState(recovered),
      log: recoveredLog(recovered, options.tail),
      applied: checkpoint?.index ?? 0,
      nowMs: host.nowMs(),
      electionTimeoutMs: host.electionTimeoutMs,
      ...host.leases,
      fanOut: host.fanOut,
      random: () => host.random(),
      peerHeardMs: (peer) => host.heardMs(peer),
      ...(options.trimAtCheckpoint ? {} : { peerTakesBytes: (peer) => host.peerTakesBytes(this, peer) }),
      vouched: options.vouched && recovered?.suspect !== true,
      ...(options.had && { had: options.had }),
      limits: { commitNoticeMs: options.commitNoticeMs },
      snapshotAt: options.trimAtCheckpoint ? "checkpoint" : "start",
    });
  }

  get deadlineMs(): number {
    return this.raft.deadlineMs;
  }

  /** Offset after the last record that was applied: the high watermark. */
  get highWatermark(): number {
    return this.#nextOffset;
  }

  /** Leads, and has applied all that was committed before its term: may take proposals. */
  get isLeading(): boolean {
    return this.#leadingTerm !== 0;
  }

  /** It takes no part any more: removed, damaged, or its node stops. */
  get closed(): boolean {
    return this.#closed;
  }

  tick(nowMs: number): void {
    const { raft } = this;
    const { role, leader } = raft;
    raft.tick(nowMs);
    // Most ticks find nothing to do: with thousands of idle groups that must cost next to nothing.
    if (raft.role !== role || raft.leader !== leader || raft.hasReady()) this.#host.wake(this);
  }

  /** `state`: a snapshot's. It is kept if the core accepts the snapshot: of two in one turn it may refuse the later one. */
  step(message: Message<Entry>, nowMs: number, state?: IncomingState): void {
    const before = this.raft.accepted;
    this.raft.step(message, nowMs);
    if (this.raft.accepted !== before) this.#incoming = state;
    this.#host.told(this);
  }

  /** The waiter hears once; at once if the proposal is refused. */
  propose(entry: Entry, waiter: ProposalWaiter): void {
    if (this.#closed) return waiter.settled("CLOSED", entry, undefined);
    if (!this.isLeading) return waiter.settled("NOT_LEADER", entry, undefined);
    const result = this.raft.propose([entry], this.#host.nowMs());
    if (!result.ok) {
      return waiter.settled(result.code === "UNCOMMITTED_FULL" ? "THROTTLED" : "NOT_LEADER", entry, undefined);
    }
    this.proposals.add(entry, waiter);
    this.#host.wake(this);
  }

  /** Proposes who shall take part. False: not now (it does not lead, or another change is under way). */
  reconfigure(change: ConfigurationChange): boolean {
    if (!this.isLeading || this.#closed) return false;
    const { ok } = this.raft.proposeConfiguration(change, this.#host.nowMs());
    this.#host.wake(this);
    return ok;
  }

  /**
   * Resolves with true once everything that was committed before the call is applied here: what is read then is
   * linearizable (ReadIndex, Raft thesis §6.4). With false if this replica does not lead.
   */
  async readBarrier(): Promise<boolean> {
    if (!this.isLeading || this.#closed) return false;
    const context = ++this.#lastRead;
    const index = await new Promise<number>((resolve) => {
      this.#reads.set(context, resolve);
      this.raft.readIndex(context, this.#host.nowMs());
      this.#host.wake(this);
    });
    return index >= 0 && await this.whenApplied(index);
  }

  /** Resolves with true once the entry at `index` is applied here; with false if the replica is closed before. */
  whenApplied(index: number): Promise<boolean> {
    if (this.raft.applied >= index) return Promise.resolve(true);
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => this.#appliedWaiters.push({ index, wake: resolve }));
  }

  /**
   * Takes what the core has ready. Messages go to the host as soon as they may; what is to be made durable is added to
   * `writes`, and `durable()` must be called once for each when it is. Then {@link apply} is due.
   */
  takeWrites(writes: GroupWrite[]): void {
    while (this.raft.hasReady() && !this.#closed) {
      const ready = this.raft.takeReady();
      for (const message of ready.messages) this.#host.send(this, message);
      if (ready.mustPersist) writes.push(this.#toWrite(ready));
      this.#finishing.push({ ready, durable: !ready.mustPersist, unsaid: false });
      for (const { context, index } of ready.reads) this.#answerRead(context, index);
      for (const request of ready.loads) this.#load(request.peer, request.term, request.fromIndex, request.bytesMax);
      this.#finish();
      this.#committed = Math.max(this.#committed, ready.committedIndex);
    }
  }

  /** Applies what is committed, as far as it is at hand. What is to be written was handed on before: others wait for that. */
  apply(): void {
    this.#apply();
    // A snapshot may have brought it further than any entry did.
    if (this.#appliedWaiters.length > 0) this.#wakeApplied(this.raft.applied);
    this.#watchLeadership();
  }

  /** The oldest write that was not yet durable is. */
  durable(): void {
    const oldest = this.#finishing.find((item) => !item.durable);
    if (oldest) oldest.durable = true;
    this.#finish();
    this.#host.told(this);
  }

  /** A checkpoint of the state as applied now, and the counting starts anew. */
  checkpoint(): GroupWrite & { readonly checkpoint: Checkpoint } {
    this.appliedBytes = 0;
    this.appliedEntries = 0;
    const index = this.raft.applied;
    const meta = { index, term: this.raft.log.term(index) ?? 0, configuration: this.raft.configuration };
    return {
      group: this.group,
      hardState: undefined,
      truncateFrom: 0,
      entries: [],
      checkpoint: { ...meta, nextOffset: this.#nextOffset, state: this.machine.capture() },
      resetLog: false,
    };
  }

  /** The log before `firstIndex` is given up; `checkpoint` is where a restart begins. */
  trimmed(firstIndex: number, checkpoint: SnapshotMeta): void {
    this.raft.compacted(firstIndex, checkpoint);
  }

  /**
   * For a follower whose log shall begin after `index`, where this one's does: the state as it is now. What it says of
   * entries after `index` it has already, and takes no harm from applying them. @throws {LogError}
   */
  async stateAt(index: number): Promise<IncomingState> {
    const nextOffset = await this.#nextOffsetAt(index);
    return { index, nextOffset, state: this.machine.capture() };
  }

  /** Its disk is older than what it promised: a vote that is being written is not given. */
  doubt(): void {
    this.raft.doubt(this.#host.nowMs());
    for (const item of this.#finishing) item.unsaid = true;
  }

  close(): void {
    this.#closed = true;
    this.proposals.failAll("CLOSED");
    for (const context of [...this.#reads.keys()]) this.#answerRead(context, -1);
    const waiters = this.#appliedWaiters;
    this.#appliedWaiters = [];
    for (const { wake } of waiters) wake(false);
  }

  /** Offset of the first record after `index`, which is applied. */
  async #nextOffsetAt(index: number): Promise<number> {
    if (index === this.raft.applied) return this.#nextOffset;
    const entry = this.raft.log.entry(index + 1) ?? (await this.#host.load(this.group, index + 1, index + 1, 1))[0]!;
    return entry.baseOffset;
  }

  #answerRead(context: number, index: number): void {
    this.#reads.get(context)?.(index);
    this.#reads.delete(context);
  }

  /** What waits for durability is released in the order of the Readys. */
  #finish(): void {
    while (this.#finishing[0]?.durable) {
      const { ready, unsaid } = this.#finishing.shift()!;
      if (!unsaid) { for (const message of ready.messagesAfterPersist) this.#host.send(this, message); }
      this.raft.persisted(ready.sequence, this.#host.nowMs());
    }
  }

  #toWrite(ready: Ready<Entry>): GroupWrite {
    const { group } = this;
    const { snapshot, hardState, truncateFrom, entries } = ready;
    if (!snapshot) return { group, hardState, truncateFrom, entries, checkpoint: undefined, resetLog: false };
    const incoming = this.#incoming;
    if (incoming?.index !== snapshot.index) throw new Error(`group ${this.group}: a snapshot without its state`);
    this.#incoming = undefined;
    this.#nextOffset = incoming.nextOffset;
    this.machine.restore(incoming.state, incoming.nextOffset);
    return {
      group,
      hardState,
      truncateFrom,
      entries,
      checkpoint: { ...snapshot, nextOffset: incoming.nextOffset, state: incoming.state },
      resetLog: true,
    };
  }

  #apply(): void {
    while (!this.#loading && !this.#closed && this.raft.applied < this.#committed) {
      const entries = this.raft.log.slice(this.raft.applied + 1, this.#committed, this.#host.applyReadBytesMax);
      if (entries === undefined) {
        this.#loadAndApply();
        return;
      }
      this.#applyEntries(entries);
    }
  }

  #applyEntries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const result = this.machine.apply(entry);
      this.#nextOffset = entry.nextOffset;
      this.appliedBytes += entry.byteLength;
      this.appliedEntries += 1;
      this.proposals.applied(entry, result);
    }
    const last = entries.at(-1);
    const configured = entries.findLast(({ isConfiguration }) => isConfiguration);
    if (!last) return;
    this.raft.appliedTo(last.index, configured && decodeConfiguration(configured.payload));
    if (this.#appliedWaiters.length > 0) this.#wakeApplied(last.index);
  }

  #wakeApplied(applied: number): void {
    const waiters = this.#appliedWaiters;
    this.#appliedWaiters = waiters.filter(({ index }) => index > applied);
    for (const { index, wake } of waiters) {
      if (index <= applied) wake(true);
    }
  }

  /** After a restart: what was committed before is read back from the log, a part at a time. */
  async #loadAndApply(): Promise<void> {
    this.#loading = true;
    const from = this.raft.applied + 1;
    let entries: Entry[];
    try {
      entries = await this.#host.load(this.group, from, this.#committed, this.#host.applyReadBytesMax);
    } catch (error) {
      if (!this.#closed) this.#loadFailed(from, error);
      return;
    }
    this.#loading = false;
    this.#loadsFailed = 0;
    if (this.#closed) return;
    if (entries[0]?.index === this.raft.applied + 1) this.#applyEntries(entries);
    this.#apply();
    this.#host.wake(this);
  }

  #loadFailed(from: number, error: unknown): void {
    const again = () => {
      this.#loading = false;
      this.#host.wake(this);
    };
    // A leader's snapshot took the log's place while it was read.
    if (this.raft.applied + 1 !== from) return again();
    this.#loadsFailed += 1;
    const mayPass = error instanceof DiskError && error.code !== "NOT_FOUND" && this.#loadsFailed <= LOADS_AGAIN_MAX;
    if (mayPass) this.#host.tryLater(this, error, LOAD_AGAIN_MS, again);
    else this.#host.damaged(this, error);
  }

  async #load(peer: NodeId, term: number, fromIndex: number, bytesMax: number): Promise<void> {
    const request = { peer, term, fromIndex, bytesMax };
    const entries = await this.#host.load(this.group, fromIndex, this.raft.lastIndex, bytesMax).catch(() => []);
    if (this.#closed) return;
    this.raft.loaded(request, entries, this.#host.nowMs());
    this.#host.wake(this);
  }

  #watchLeadership(): void {
    const { raft } = this;
    const leads = raft.role === "leader" && raft.log.term(raft.applied) === raft.term;
    if (leads && this.#leadingTerm !== raft.term) {
      this.#leadingTerm = raft.term;
      this.machine.onLeading(raft.term);
    } else if (this.#leadingTerm !== 0 && (raft.role !== "leader" || raft.term !== this.#leadingTerm)) {
      this.#leadingTerm = 0;
      this.machine.onFollowing();
      this.proposals.failAll("NOT_LEADER");
    }
  }
}

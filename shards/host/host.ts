/**
 * Schedules the many groups of one node with one loop. A turn: take what arrived, step the groups it concerns, then
 * once for all of them hand their new entries to the log as one write, and one frame to each peer.
 */
import type { GroupId, GroupWrite, Log } from "../../src/log/types.ts";
import { FanOut } from "../../src/raft/fan-out.ts";
import { DEFAULT_RAFT_LIMITS } from "../../src/raft/limits.ts";
import { hasQuorum } from "../../src/raft/quorum.ts";
import type { Message, NodeId, SnapshotRequest } from "../../src/raft/types.ts";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Deadlines } from "./deadlines.ts";
import { EarlyMessages } from "./early-messages.ts";
import type { HostLimits } from "./limits.ts";
import { type IncomingState, Replica, type ReplicaHost, type ReplicaOptions } from "./replica.ts";
import { SpareTimer } from "./spare-timer.ts";
import type { ProposalWaiter } from "./state-machine.ts";
import { TailCache } from "./tail-cache.ts";

/** Where a turn's messages go: the peers' links. */
export interface MessageSink {
  /** Adds to the frame that {@link flush} sends. */
  queue(group: GroupId, message: Message<Entry>, state: IncomingState | undefined): void;
  flush(): void;
  /** Monotonic ms when the peer's node was last heard in its present session; -Infinity for never. */
  heardMs(peer: NodeId): number;
  /** Reached and heard of late. */
  isAlive(peer: NodeId): boolean;
  /** Peers whose disk is full, as they last said. */
  readonly full: ReadonlySet<NodeId>;
}

/** Reads without a round of messages, for all groups of a node: "Leases" in src/raft/README.md. */
export interface LeaseOptions {
  /** How many times as fast as the slowest node's monotonic clock any other may run; undefined for no leases. */
  readonly clockDriftMax: number | undefined;
  /** Votes may have been promised from this node's disk in an earlier run. */
  readonly mayHavePromised: boolean;
}

export interface HostOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly log: Log;
  readonly limits: HostLimits;
  readonly leases: LeaseOptions;
  readonly sink: MessageSink;
  /** Of {@link readTails}; taken out as the groups start. */
  readonly tails: Map<GroupId, Entry>;
  /** A group's leader, as this node's replica knows it, has changed; 0 for none. */
  readonly onLeader: (group: GroupId, term: number, leader: NodeId) => void;
  /** A replica that had forgotten what it promised takes part again: its leader vouches for it. */
  readonly onVouched: (group: GroupId) => void;
  /** A replica cannot go on with what its disk gives, and takes no part any more. */
  readonly onDamaged: (group: GroupId, reason: string) => void;
}

export interface GroupOptions extends Omit<ReplicaOptions, "recovered" | "tail"> {
  /** Campaigns at once when the group is new: the preferred leader of a partition that was just created. */
  readonly campaign: boolean;
}

interface Hosted {
  readonly replica: Replica;
  leader: NodeId;
  leaderTerm: number;
}

export class Host implements ReplicaHost {
  readonly nodeId: NodeId;
  readonly fanOut = new FanOut();
  readonly #options: HostOptions;
  readonly #groups = new Map<GroupId, Hosted>();
  readonly #deadlines: Deadlines<Replica>;
  readonly #spareTimer: SpareTimer;
  readonly #tail: TailCache;
  readonly #checkpoints: Checkpoints;
  readonly #early: EarlyMessages;
  /** Groups whose disk may have forgotten votes or entries; they take part again once their leader vouches for them. */
  readonly #unvouched = new Set<GroupId>();
  /** As long as no group comes or goes. */
  #replicas: readonly Replica[] | undefined;
  #dirty: Hosted[] = [];
  #scheduled = false;
  #closed = false;
  #proposedBytes = 0;
  /** Of other leaders' entries that are not handed to the log yet: they came in this turn. */
  #followedBytes = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.#deadlines = new Deadlines(options.runtime, options.limits.deadlineSlackMs);
    this.#spareTimer = new SpareTimer(options.runtime, (replica, nowMs) => {
      replica.tick(nowMs);
      this.told(replica);
    });
    this.#tail = new TailCache(options.limits.tailCacheBytesMax);
    this.#checkpoints = new Checkpoints(options.log, options.limits);
    this.#early = new EarlyMessages(options.limits.electionTimeoutMs);
  }

  get electionTimeoutMs(): number {
    return this.#options.limits.electionTimeoutMs;
  }

  get leases(): LeaseOptions {
    return this.#options.leases;
  }

  get applyReadBytesMax(): number {
    return this.#options.limits.applyReadBytesMax;
  }

  /** Bytes proposed on this node and not yet applied. */
  get proposedBytes(): number {
    return this.#proposedBytes;
  }

  get tailBytes(): number {
    return this.#tail.bytes;
  }

  nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }

  random(): number {
    return this.#options.runtime.random.next();
  }

  heardMs(peer: NodeId): number {
    return this.#options.sink.heardMs(peer);
  }

  /** Of groups that are large. What the group cannot do without is sent to a full disk, too: it may still take it. */
  peerTakesBytes(replica: Replica, peer: NodeId): number {
    const { sink, limits } = this.#options;
    if (!sink.full.has(peer)) return Infinity;
    return this.#lacksRoom(replica) ? DEFAULT_RAFT_LIMITS.appendBytesMax : limits.fullPeerBytesMax;
  }

  replica(group: GroupId): Replica | undefined {
    return this.#groups.get(group)?.replica;
  }

  /** All that are here; the same array as long as they are the same. */
  replicas(): readonly Replica[] {
    return this.#replicas ??= Array.from(this.#groups.values(), ({ replica }) => replica);
  }

  /** Starts a group on this node, from what the log holds of it. */
  add(options: GroupOptions): Replica {
    const { group } = options;
    if (this.#groups.has(group)) throw new Error(`group ${group} is already here`);
    const recovered = this.#options.log.group(group);
    const replica = new Replica(this, { ...options, recovered, tail: this.#options.tails.get(group) });
    this.#options.tails.delete(group);
    this.#replicas = undefined;
    this.#groups.set(group, { replica, leader: 0, leaderTerm: 0 });
    if (!replica.raft.vouched) this.#unvouched.add(group);
    if (options.campaign && recovered === undefined) replica.raft.campaign(this.nowMs());
    this.#deadlines.update(replica);
    this.wake(replica);
    for (const message of this.#early.take(group, this.nowMs())) this.deliver(group, message, undefined);
    return replica;
  }

  /** Ends a group here for ever: its bytes may be given back. */
  remove(group: GroupId): void {
    if (this.retire(group)) this.#options.log.remove(group);
  }

  /** Ends a group here; what the log has of it stays. False: it is not here. */
  retire(group: GroupId): boolean {
    this.#options.tails.delete(group);
    const hosted = this.#groups.get(group);
    if (!hosted) return false;
    this.#deadlines.remove(hosted.replica);
    this.#spareTimer.remove(hosted.replica);
    this.#tail.remove(hosted.replica);
    this.#replicas = undefined;
    this.#groups.delete(group);
    this.#unvouched.delete(group);
    hosted.replica.close();
    return true;
  }

  /** Groups here that are not vouched for. */
  get unvouched(): number {
    return this.#unvouched.size;
  }

  /** Nothing was forgotten: this node never took part. */
  trustAll(isDoubted: (group: GroupId) => boolean): void {
    for (const { replica } of this.#groups.values()) {
      const { raft, group } = replica;
      if (raft.vouched || isDoubted(group) || this.#options.log.group(group)?.suspect) continue;
      raft.trust(this.nowMs());
      this.#unvouched.delete(group);
      this.wake(replica);
    }
  }

  /** Groups that nobody leads ask for votes now, not when their patience ends. */
  campaignWhereNobodyLeads(): void {
    for (const { replica } of this.#groups.values()) {
      if (replica.raft.leader !== 0) continue;
      replica.raft.campaign(this.nowMs());
      this.wake(replica);
    }
  }

  /** This node's disk turns out to be older than what it promised. */
  doubtAll(): void {
    for (const { replica } of this.#groups.values()) {
      replica.doubt();
      this.#unvouched.add(replica.group);
      this.wake(replica);
    }
  }

  /** Proposes on this node; the waiter hears once. Only what is small still goes to a disk that is full. */
  propose(replica: Replica, entry: Entry, waiter: ProposalWaiter): void {
    const { log, limits } = this.#options;
    const isBatch = entry.kind === EntryKind.batch;
    if (isBatch && this.#lacksRoom(replica)) return waiter.settled("DISK_FULL", entry, undefined);
    const isBusy = this.#proposedBytes > limits.proposedBytesMax ||
      (isBatch && log.pendingBytes > limits.pendingBytesMax);
    if (isBusy) return waiter.settled("THROTTLED", entry, undefined);
    this.#proposedBytes += entry.byteLength;
    replica.propose(entry, {
      settled: (code, settledEntry, result) => {
        this.#proposedBytes -= settledEntry.byteLength;
        waiter.settled(code, settledEntry, result);
      },
    });
  }

  /** Here, or on so many disks that no majority is left: what they leave out would never be committed. */
  #lacksRoom({ raft }: Replica): boolean {
    const { log, sink } = this.#options;
    if (log.full) return true;
    if (sink.full.size === 0) return false;
    const hasRoom = (voter: NodeId) => voter === this.nodeId || (!sink.full.has(voter) && sink.isAlive(voter));
    return !hasQuorum(raft.configuration, hasRoom);
  }

  /** A replica's message to a peer: in the frame that is sent when the turn's work is done. */
  send(replica: Replica, message: Message<Entry>): void {
    if (message.type !== "snapshot") return this.#options.sink.queue(replica.group, message, undefined);
    if (!replica.trimAtCheckpoint) return void this.#sendStart(replica, message);
    const checkpoint = this.#options.log.group(replica.group)?.checkpoint;
    // A newer checkpoint may have taken its place: the core has been told, and offers that one next.
    if (checkpoint?.index !== message.snapshot.index) return replica.raft.snapshotFailed(message.to, this.nowMs());
    const { index, nextOffset, state } = checkpoint;
    this.#options.sink.queue(replica.group, message, { index, nextOffset, state });
    replica.raft.snapshotSent(message.to, this.nowMs());
  }

  /** A message from a peer. */
  deliver(group: GroupId, message: Message<Entry>, state: IncomingState | undefined): void {
    const hosted = this.#groups.get(group);
    if (!hosted) return this.#early.keep(group, message, this.nowMs());
    if (message.to !== this.nodeId || this.#isTooMuch(hosted.replica, message)) return;
    hosted.replica.step(message, this.nowMs(), state);
  }

  /**
   * Of small groups (metadata, coordinators) nothing is too much, nor on a full disk what is small. What is left out is
   * lost, as on the way: Raft repeats it. Behind a gap a full disk's log takes nothing anyway: the leader shall hear of the
   * gap, for it may not have what is missing any more.
   */
  #isTooMuch({ raft, trimAtCheckpoint }: Replica, message: Message<Entry>): boolean {
    if (message.type !== "append" || message.entries.length === 0 || trimAtCheckpoint) return false;
    const { log, limits } = this.#options;
    if (log.pendingBytes + this.#followedBytes > limits.followedPendingBytesMax) return true;
    let bytes = 0;
    for (const { byteLength } of message.entries) bytes += byteLength;
    const lacksRoom = this.#followedBytes + bytes > log.spareBytes;
    if (lacksRoom) {
      if (message.previousIndex > raft.log.lastIndex) return false;
      if (message.entries.some(({ kind }) => kind === EntryKind.batch)) return true;
    }
    this.#followedBytes += bytes;
    return false;
  }

  /** A session from this peer began: only what it says from now on proves that it leads. */
  peerSpoke(peer: NodeId): void {
    for (const { replica } of this.#groups.values()) {
      if (replica.raft.leader === peer && replica.raft.role !== "leader") this.#peerUp(replica, peer);
    }
  }

  /**
   * Our link to this peer is up: whatever we lead is announced to it anew, and where nobody leads a group that this
   * node should, it asks at once instead of waiting for a timeout (a pre-vote: it disturbs no one).
   */
  peerReached(peer: NodeId): void {
    for (const { replica } of this.#groups.values()) {
      const { raft } = replica;
      if (raft.role === "leader") this.#peerUp(replica, peer);
      else if (raft.leader === 0 && raft.configuration.voters[0] === this.nodeId) {
        raft.campaign(this.nowMs());
        this.wake(replica);
      }
    }
  }

  /** The peer's process is gone (its port refuses): its groups need not wait for a timeout. */
  peerLost(peer: NodeId): void {
    for (const { replica } of this.#groups.values()) {
      if (replica.raft.leader !== peer) continue;
      replica.raft.peerLost(peer, this.nowMs());
      this.wake(replica);
    }
  }

  wake(replica: Replica): void {
    if (replica.dirty || this.#closed) return;
    const hosted = this.#groups.get(replica.group);
    if (hosted?.replica !== replica) return;
    replica.dirty = true;
    this.#dirty.push(hosted);
    this.#schedule();
  }

  /** Most answers of followers, and most of a follower's own writes, leave nothing to do: they are worth no turn. */
  told(replica: Replica): void {
    const hosted = this.#groups.get(replica.group);
    if (hosted?.replica !== replica || replica.dirty || this.#closed) return;
    const { raft } = replica;
    const isQuiet = !raft.hasReady() && raft.leader === hosted.leader && raft.term === hosted.leaderTerm;
    if (isQuiet) this.#deadlines.update(replica);
    else this.wake(replica);
  }

  load(group: GroupId, fromIndex: number, toIndex: number, bytesMax: number): Promise<Entry[]> {
    return this.#options.log.read(group, fromIndex, toIndex, bytesMax);
  }

  /**
   * Queues the state of every group that has changed, so that the next start has little to read again. It is durable when
   * the log is closed, unless a full disk has no room for it.
   */
  checkpointAll(): void {
    this.#checkpoints.makeAll(this.replicas());
  }

  /** Makes the state of a group durable, as it is now. */
  checkpoint(replica: Replica): Promise<void> {
    return this.#checkpoints.make(replica);
  }

  /**
   * The log of a group before `firstIndex`, whose first record is at `startOffset`, may go. What was applied from it is
   * made durable with it: a restart begins there.
   */
  trim(replica: Replica, firstIndex: number, startOffset: number): void {
    if (this.replica(replica.group) === replica) this.#checkpoints.trim(replica, firstIndex, startOffset);
  }

  tryLater(replica: Replica, reason: unknown, delayMs: number, again: () => void): void {
    const { log, timers } = this.#options.runtime;
    log.write("warn", "a log cannot be read now", { group: replica.group, reason: String(reason), againInMs: delayMs });
    timers.after(delayMs, () => void (replica.closed || again()));
  }

  damaged(replica: Replica, reason: unknown): void {
    const hosted = this.#groups.get(replica.group);
    if (hosted?.replica === replica) this.#resign(hosted);
    this.#deadlines.remove(replica);
    this.#spareTimer.remove(replica);
    replica.close();
    this.#options.runtime.log.write("error", "a replica is damaged and takes no part", {
      group: replica.group,
      reason: String(reason),
    });
    this.#options.onDamaged(replica.group, String(reason));
  }

  close(): void {
    this.#closed = true;
    this.#deadlines.close();
    this.#spareTimer.close();
    for (const { replica } of this.#groups.values()) replica.close();
  }

  #peerUp(replica: Replica, peer: NodeId): void {
    replica.raft.peerUp(peer, this.nowMs());
    this.wake(replica);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.runtime.timers.endTurn(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#followedBytes = 0;
    const writes: GroupWrite[] = [];
    const writers: Replica[] = [];
    for (const { replica } of dirty) {
      replica.dirty = false;
      replica.takeWrites(writes);
      while (writers.length < writes.length) writers.push(replica);
    }
    // The followers first: their way to durability is the longer one. And both before all that nobody waits for elsewhere.
    this.#options.sink.flush();
    if (writes.length > 0) this.#options.log.write(writes, () => this.#durable(writers));
    for (const hosted of dirty) this.#goOn(hosted);
  }

  /** After a turn's messages and writes: what is committed is applied, and the replica looked after. */
  #goOn(hosted: Hosted): void {
    const { replica } = hosted;
    // What another one applied may have ended it.
    if (this.#groups.get(replica.group) !== hosted) return;
    replica.apply();
    this.#checkpoints.makeIfDue(replica);
    this.#watchLeader(hosted);
    if (this.#unvouched.size > 0) this.#watchVouched(replica);
    this.#deadlines.update(replica);
    this.#spareTimer.look(replica);
    this.#tail.keep(replica);
    if (!replica.closed && replica.raft.hasReady()) this.wake(replica);
  }

  #durable(writers: readonly Replica[]): void {
    if (this.#closed) return;
    for (const replica of writers) replica.durable();
    // Acknowledgements at once, not at the end of the next turn: the disk has batched already.
    this.#options.sink.flush();
    // There need be no next turn: a leader may have applied it before.
    for (const replica of writers) this.#tail.keep(replica);
  }

  /** A snapshot at the log's start: the state to it is made when it is asked for. */
  async #sendStart(replica: Replica, message: SnapshotRequest): Promise<void> {
    const state = await replica.stateAt(message.snapshot.index).catch(() => undefined);
    if (this.#groups.get(replica.group)?.replica !== replica || this.#closed) return;
    if (state) {
      this.#options.sink.queue(replica.group, message, state);
      replica.raft.snapshotSent(message.to, this.nowMs());
    } else {
      replica.raft.snapshotFailed(message.to, this.nowMs());
    }
    this.wake(replica);
  }

  /** Its followers hear its node, and would wait for it for ever. */
  #resign(hosted: Hosted): void {
    const { replica } = hosted;
    if (replica.raft.role !== "leader") return;
    replica.doubt();
    // What was not handed to the log was not acknowledged either; nothing of it is written any more.
    replica.takeWrites([]);
    replica.apply();
    this.#watchLeader(hosted);
    this.#options.sink.flush();
  }

  /** What the disk may have forgotten was given again by the leader: the log, and the node, may know it as whole. */
  #watchVouched(replica: Replica): void {
    const { group, raft } = replica;
    // One that was retired in this turn says nothing of the one that began anew in its place.
    if (!raft.vouched || this.#groups.get(group)?.replica !== replica || !this.#unvouched.delete(group)) return;
    if (this.#options.log.group(group)?.suspect) this.#options.log.repaired(group);
    this.#options.onVouched(group);
  }

  #watchLeader(hosted: Hosted): void {
    const { leader, term } = hosted.replica.raft;
    if (hosted.leader === leader && hosted.leaderTerm === term) return;
    hosted.leader = leader;
    hosted.leaderTerm = term;
    this.#options.onLeader(hosted.replica.group, term, leader);
  }
}

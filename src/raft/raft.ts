/**
 * One replica of one Raft group: messages, ticks and durability reports go in, a {@link Ready} says what to write, send
 * and apply. Pure: no I/O, no clock, no promise, no randomness of its own. Here is who it is at a time (follower,
 * candidate, leader) and how that changes; what each of them does is in follower.ts and leader.ts.
 */
import { isVoter, membersOf } from "./configuration.ts";
import { Core } from "./core.ts";
import { Election } from "./election.ts";
import { Follower } from "./follower.ts";
import { Introduction } from "./introduction.ts";
import { invariant, InvariantError } from "./invariant.ts";
import { LeaderContact } from "./leader-contact.ts";
import { Leadership } from "./leader.ts";
import type { RaftOptions } from "./options.ts";
import type { FollowerStatus } from "./progress.ts";
import type { RaftLog } from "./raft-log.ts";
import type {
  Configuration,
  ConfigurationChange,
  LoadRequest,
  Message,
  NodeId,
  ProposeResult,
  RaftEntry,
  Ready,
  Role,
  SnapshotMeta,
} from "./types.ts";

export type { RaftOptions } from "./options.ts";
export type { FollowerStatus } from "./progress.ts";

export class Raft<E extends RaftEntry> {
  readonly id: NodeId;
  readonly #core: Core<E>;
  readonly #contact: LeaderContact;
  readonly #follower: Follower<E>;
  readonly #introduction: Introduction<E>;
  #leadership: Leadership<E> | undefined;
  readonly #election: Election<E>;
  /** Whether the host was told of a commit index it may apply, and which. */
  #committedTold: number;
  /** It led in this term, gave up, and knows of nobody who follows: the others may still take it for their leader. */
  #resigned = false;

  constructor(options: RaftOptions<E>) {
    this.id = options.id;
    this.#core = new Core(options);
    const { electionTimeoutMs, limits, random } = this.#core;
    const { lostLeaderJitterMs } = limits;
    this.#contact = new LeaderContact({ electionTimeoutMs, lostLeaderJitterMs, random }, options.nowMs);
    this.#follower = new Follower(this.#core);
    this.#introduction = new Introduction(this.#core);
    this.#election = new Election(this.#core, this.#contact, {
      campaigning: () => this.#follower.reset(),
      becomeFollower: (term) => this.#becomeFollower(term, 0),
      becomeLeader: () => this.#becomeLeader(),
      announce: (to) => this.#leadership?.announce(to),
      loseLeader: () => this.#loseLeader(),
    });
    this.#committedTold = options.applied;
    this.#arm();
  }

  get role(): Role {
    return this.#core.role;
  }

  get term(): number {
    return this.#core.term;
  }

  /** 0: not known. */
  get leader(): NodeId {
    return this.#core.leader;
  }

  get commit(): number {
    return this.#core.commit;
  }

  get applied(): number {
    return this.#core.applied;
  }

  /** The snapshot that was accepted last and that no Ready has told of yet. */
  get accepted(): SnapshotMeta | undefined {
    return this.#core.restored;
  }

  /** Up to here the log is on this replica's disk. A leader may have applied more. */
  get durable(): number {
    return this.#core.ledger.durableIndex;
  }

  /** The configuration in use: that of the last configuration entry that was applied. */
  get configuration(): Configuration {
    return this.#core.configuration;
  }

  get log(): RaftLog<E> {
    return this.#core.log;
  }

  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** Becomes true when the leader has vouched for a replica that lost its disk; the host may then forget about that. */
  get vouched(): boolean {
    return this.#core.vouched;
  }

  /** When `tick` wants to be called next, monotonic ms; Infinity for never. May come nearer with any call. */
  get deadlineMs(): number {
    return this.#core.deadlineMs;
  }

  /** `tick` is wanted then, too; Infinity for never. It moves away with `appliedTo`, for the most part. */
  get sparesUntilMs(): number {
    return this.#leadership?.replication.sparesUntilMs ?? Infinity;
  }

  /** The leader's view of the others; empty elsewhere. */
  followers(): FollowerStatus[] {
    const followers = this.#leadership?.replication.followers.values() ?? [];
    return [...followers].map(({ peer, state, match, commitHeard, vouched }) => ({
      peer,
      state,
      match,
      commit: commitHeard,
      vouched,
    }));
  }

  /** To whom leadership is being handed over; 0 for nobody. */
  get transferTarget(): NodeId {
    return this.#leadership?.transferTarget ?? 0;
  }

  /** A message from another replica of this group. */
  step(message: Message<E>, nowMs: number): void {
    const core = this.#core;
    core.advance(nowMs);
    if (message.to !== this.id) return;
    if (message.type === "vote") return this.#election.onRequest(message);
    if (message.type === "vote-response") return this.#election.onResponse(message);
    if (message.term < core.term) return this.#onOldTerm(message);
    const resigns = message.type === "heartbeat-response" && message.from === core.leader && !this.#leadership;
    if (message.term > core.term) this.#becomeFollower(message.term, 0);
    if (resigns) this.#loseLeader();
    switch (message.type) {
      case "append":
        this.#follow(message.from);
        return this.#follower.onAppend(message);
      case "heartbeat":
        this.#follow(message.from);
        return this.#follower.onHeartbeat(message);
      case "snapshot":
        this.#follow(message.from);
        return this.#follower.onSnapshot(message);
      case "append-response":
        this.#leadership?.onAppendResponse(message);
        return this.#leaveIfDone();
      case "heartbeat-response":
        return this.#leadership?.onHeartbeatResponse(message);
      case "transfer":
        return this.#leadership?.transfer(message.target);
      case "timeout-now":
        return this.#election.campaign("transfer");
    }
  }

  /** Time has come for something. Early or superfluous calls do no harm. */
  tick(nowMs: number): void {
    const core = this.#core;
    core.advance(nowMs);
    core.deadlineMs = Infinity;
    if (this.#leadership) {
      if (!this.#leadership.tick()) this.#becomeFollower(core.term, 0);
    } else if (core.nowMs >= this.#contact.dueMs(core.leaderHeardMs)) {
      if (this.#election.canCampaign) this.#election.campaign("pre-vote");
      else this.#waitOn();
    }
    if (core.nowMs >= this.#introduction.dueMs) this.#introduction.say(membersOf(core.configuration));
    this.#arm();
  }

  /** Proposes entries, all or none. They are stamped with their place and must not be used for anything else. */
  propose(entries: readonly E[], nowMs: number): ProposeResult {
    this.#core.advance(nowMs);
    return this.#leadership?.propose(entries) ?? { ok: false, code: "NOT_LEADER" };
  }

  /** Proposes who shall take part. The answer is that the change is under way, not that it is in use. */
  proposeConfiguration(change: ConfigurationChange, nowMs: number): ProposeResult {
    this.#core.advance(nowMs);
    return this.#leadership?.proposeConfiguration(change) ?? { ok: false, code: "NOT_LEADER" };
  }

  /** All Readys up to this sequence number are durable. */
  persisted(sequence: number, nowMs: number): void {
    this.#core.advance(nowMs);
    this.#core.ledger.persisted(sequence);
    if (this.#leadership) this.#leadership.advance();
    else this.#election.count();
  }

  /**
   * The state machine has everything up to `index`. `configuration`: the last one among the entries just applied; it may
   * be left out for entries that this object has seen itself, but not for those from before it was made.
   */
  appliedTo(index: number, configuration?: Configuration): void {
    const changed = this.#core.appliedTo(index, configuration);
    if (this.#leadership) {
      this.#leadership.applied(changed);
      this.#leaveIfDone();
    } else if (changed) {
      this.#arm();
    }
  }

  /** The answer to a {@link LoadRequest}; empty if the entries could not be had. */
  loaded(request: LoadRequest, entries: readonly E[], nowMs: number): void {
    this.#core.advance(nowMs);
    this.#leadership?.replication.loaded(request, entries);
  }

  /** A snapshot that a Ready asked to send went out completely. */
  snapshotSent(peer: NodeId, nowMs: number): void {
    this.#core.advance(nowMs);
    this.#leadership?.replication.snapshotSent(peer);
  }

  /** It could not be sent, or the peer could not take it: the peer is asked again after a while. */
  snapshotFailed(peer: NodeId, nowMs: number): void {
    this.#core.advance(nowMs);
    this.#leadership?.replication.snapshotFailed(peer);
  }

  /**
   * The log before `firstIndex` is gone, and `snapshot` is what a follower that needs it is given from now on (unless it
   * is given the log's start). To be told of every checkpoint that may be sent, also when the log's start stays where it
   * is. Older news than known is ignored.
   */
  compacted(firstIndex: number, snapshot: SnapshotMeta): void {
    const core = this.#core;
    invariant(snapshot.index <= core.applied, `a snapshot at ${snapshot.index}, and ${core.applied} is applied`);
    invariant(
      firstIndex <= snapshot.index + 1,
      `a log from ${firstIndex} does not continue a snapshot at ${snapshot.index}`,
    );
    if (snapshot.index > core.snapshot.index) core.snapshot = snapshot;
    core.log.compact(firstIndex);
  }

  /** A linearizable read; answered through `Ready.reads` with the same `context`. */
  readIndex(context: number, nowMs: number): void {
    this.#core.advance(nowMs);
    if (this.#leadership) this.#leadership.read(context);
    else this.#core.reads.push({ context, index: -1 });
  }

  /** Hands leadership over; a follower asks its leader to. Given up after an election timeout. */
  transfer(target: NodeId, nowMs: number): void {
    const { id, leader, term, messages } = this.#core;
    this.#core.advance(nowMs);
    if (this.#leadership) this.#leadership.transfer(target);
    else if (leader !== 0) messages.push({ type: "transfer", from: id, to: leader, term, target });
  }

  /**
   * Campaigns at once, and again a few times in quick succession: for the preferred leader of a new group. `preVote`
   * asks first whether that has a chance.
   */
  campaign(nowMs: number, preVote = true): void {
    this.#core.advance(nowMs);
    this.#contact.hurry();
    this.#election.campaign(preVote ? "pre-vote" : "vote");
  }

  /**
   * A link session with the peer's node begins; to be called before its first message is stepped. What was on the way
   * may be lost, and the peer's node being heard says nothing of its leading any more until it speaks to this group.
   */
  peerUp(peer: NodeId, nowMs: number): void {
    this.#core.advance(nowMs);
    if (this.#leadership) return this.#leadership.peerUp(peer);
    if (peer !== this.#core.leader) return;
    this.#contact.forget(this.#core.peerHeardMs(peer));
    this.#arm();
  }

  /** The peer's process is known to be gone: its port refuses. */
  peerLost(peer: NodeId, nowMs: number): void {
    this.#core.advance(nowMs);
    if (this.#leadership) return this.#leadership.replication.peerLost(peer);
    if (peer !== this.#core.leader) return;
    this.#loseContact();
  }

  /** The host has learnt that this replica never took part: it has nothing to forget. */
  trust(nowMs: number): void {
    this.#core.advance(nowMs);
    this.#core.vouched = true;
    this.#arm();
  }

  /** The host has learnt that its disk is older than what this replica promised; see vouching in README.md. */
  doubt(nowMs: number): void {
    const core = this.#core;
    core.advance(nowMs);
    core.had = undefined;
    if (!core.vouched) return;
    core.vouched = false;
    core.messagesAfterPersist = [];
    this.#introduction.wait();
    if (core.role !== "follower") this.#becomeFollower(core.term, 0);
    else if (core.leader !== 0) this.#introduction.say([core.leader]);
    this.#arm();
  }

  /**
   * This replica began anew while its node went on, so no link session begins with it: the leader, who takes it for the
   * one it was, hears at once that it has forgotten what it promised.
   */
  introduce(leader: NodeId, nowMs: number): void {
    this.#core.advance(nowMs);
    this.#introduction.say([leader]);
    this.#arm();
  }

  hasReady(): boolean {
    const core = this.#core;
    return core.hasUnwritten || core.messages.length > 0 || core.messagesAfterPersist.length > 0 ||
      core.reads.length > 0 || core.loads.length > 0 || core.applicable > this.#committedTold ||
      this.#follower.hasWork || this.#leadership?.hasWork === true;
  }

  /** Everything that is to be done now. The host does it in the order that {@link Ready} tells. */
  takeReady(): Ready<E> {
    const core = this.#core;
    this.#leadership?.flush();
    this.#follower.flush();
    const { messages, messagesAfterPersist, loads, reads } = core;
    const snapshot = core.takeRestored();
    const { truncateFrom, entries } = core.log.takeUnsaved();
    const others = snapshot !== undefined || truncateFrom > 0 || entries.length > 0;
    const hardState = core.takeHardState(others);
    core.messages = [];
    core.messagesAfterPersist = [];
    core.loads = [];
    core.reads = [];
    this.#committedTold = Math.max(this.#committedTold, core.applicable);
    return {
      sequence: core.ledger.begin(core.log.lastIndex, hardState),
      mustPersist: others || hardState !== undefined,
      hardState,
      snapshot,
      truncateFrom,
      entries,
      messages,
      messagesAfterPersist,
      committedIndex: this.#committedTold,
      loads,
      reads,
    };
  }

  #arm(): void {
    if (this.#leadership) return;
    const { configuration, id, vouched } = this.#core;
    if (this.#resigned || (vouched && isVoter(configuration, id))) {
      this.#core.wakeBy(this.#contact.dueMs(this.#core.leaderHeardMs));
    }
    this.#core.wakeBy(this.#introduction.dueMs);
  }

  /** Its time has come, and it may not campaign. If it led, the others must not go on waiting for it. */
  #waitOn(): void {
    if (this.#resigned) this.#tellResigned(membersOf(this.#core.configuration));
    this.#core.leader = 0;
    this.#contact.restart(this.#core.nowMs);
  }

  #becomeLeader(): void {
    const core = this.#core;
    this.#election.end();
    core.role = "leader";
    core.leader = this.id;
    core.deadlineMs = Infinity;
    this.#leadership = new Leadership(core);
    this.#leadership.advance();
  }

  /** `leader` 0: not known yet. */
  #becomeFollower(term: number, leader: NodeId): void {
    const core = this.#core;
    const leadership = this.#leadership;
    const former = core.leader;
    if (term > core.term) {
      this.#contact.forget(this.#core.leaderHeardMs);
      core.enterTerm(term);
      this.#resigned = false;
    }
    leadership?.refuseReads();
    this.#leadership = undefined;
    this.#election.end();
    this.#follower.reset();
    core.role = "follower";
    core.leader = leader;
    if (leadership) this.#contact.restart(core.nowMs);
    if (leadership && leader === 0) {
      this.#resigned = true;
      this.#tellResigned([...leadership.replication.followers.keys()]);
    } else if (leader === 0 && former !== 0) {
      // A leader that is cut off from its followers' votes should not take them for its own for long.
      this.#tellResigned([former]);
    }
    this.#arm();
  }

  /** A heartbeat response is what no leader sends: whoever takes this replica for one learns better. */
  #tellResigned(peers: Iterable<NodeId>): void {
    const { id, term, messages } = this.#core;
    for (const to of peers) {
      if (to !== id) messages.push({ type: "heartbeat-response", from: id, to, term, readRound: 0, holdMs: 0 });
    }
  }

  /** The configuration without this leader is in use, and those who stay know it. */
  #leaveIfDone(): void {
    if (this.#leadership?.mayLeave) this.#becomeFollower(this.#core.term, 0);
  }

  /** The leader of the present term spoke. */
  #follow(leader: NodeId): void {
    const core = this.#core;
    if (this.#leadership) throw new InvariantError(`${leader} and ${this.id} both lead in term ${core.term}`);
    if (core.leader !== 0 && core.leader !== leader) {
      throw new InvariantError(`${leader} and ${core.leader} both lead in term ${core.term}`);
    }
    if (core.role !== "follower") this.#becomeFollower(core.term, leader);
    core.leader = leader;
    this.#resigned = false;
    // What it voted in this term it may have forgotten; nobody but this leader can have won it.
    if (!core.vouched && core.vote === 0) core.castVote(leader);
    this.#contact.heard(core.nowMs);
    this.#introduction.wait();
  }

  /** The leader of this term has said that it leads no more. */
  #loseLeader(): void {
    this.#core.leader = 0;
    this.#follower.reset();
    this.#loseContact();
  }

  /** Whoever held its vote for the leader waits until that is over. */
  #loseContact(): void {
    const { nowMs, hold } = this.#core;
    this.#contact.lose(Math.max(nowMs, hold.untilMs));
    this.#arm();
  }

  #onOldTerm(message: Message<E>): void {
    if (message.type === "append" || message.type === "heartbeat" || message.type === "snapshot") {
      this.#tellResigned([message.from]);
    } else if (message.type === "append-response" && !message.vouched) {
      this.#leadership?.onForgotten(message);
    }
  }
}

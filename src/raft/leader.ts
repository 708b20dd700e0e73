/** What a replica is and does while it leads; it begins with the election and is thrown away when leading ends. */
import { isJoint, isVoter, leaveJoint, membersOf, planChange, votersOf } from "./configuration.ts";
import type { Core } from "./core.ts";
import { InflightWindow } from "./inflight.ts";
import type { Progress } from "./progress.ts";
import { hasQuorum, type MatchSource, quorumIndex } from "./quorum.ts";
import { ReadLease } from "./read-lease.ts";
import { ReadRounds } from "./reads.ts";
import { Replication } from "./replication.ts";
import type {
  AppendResponse,
  ConfigurationChange,
  HeartbeatResponse,
  NodeId,
  ProposeResult,
  RaftEntry,
} from "./types.ts";

interface Transfer {
  readonly target: NodeId;
  readonly untilMs: number;
  told: boolean;
}

export class Leadership<E extends RaftEntry> implements MatchSource {
  readonly replication: Replication<E>;
  readonly #core: Core<E>;
  readonly #reads = new ReadRounds();
  readonly #lease: ReadLease<E>;
  /**
   * Proposed and not committed, or not durable here: a slow disk's leader may not run ahead of it without a bound. Counted
   * by proposal, so that nothing is ever subtracted that was not added.
   */
  readonly #unsettled: InflightWindow;
  /** No change of the configuration before this index is applied. */
  #changeIndex: number;
  #transfer: Transfer | undefined;
  #checkAtMs: number;
  #roundSentMs = 0;

  constructor(core: Core<E>) {
    this.#core = core;
    this.#unsettled = new InflightWindow(Infinity, core.limits.uncommittedBytesMax);
    this.replication = new Replication(core);
    this.#lease = new ReadLease(core, this.replication.followers);
    this.replication.setMembers(membersOf(core.configuration));
    // Groups whose leaders were elected together need not look after their followers at the same moment for ever.
    this.#checkAtMs = core.nowMs + core.electionTimeoutMs * (1 + core.random());
    core.wakeBy(this.#checkAtMs);
    // Raft §8: what earlier terms left behind is committed with an entry of this one.
    this.#append(core.entries.noOp());
    // Any entry so far may hold a change that is not in use here yet; and a leader that has committed nothing may not
    // know the configuration in use (https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E).
    this.#changeIndex = core.log.lastIndex;
  }

  get transferTarget(): NodeId {
    return this.#transfer?.target ?? 0;
  }

  get hasWork(): boolean {
    return this.replication.isDue || this.#mayAsk();
  }

  /** The leader's own match is what its disk has: its acknowledgement is released by durability like anyone's. */
  matchOf(voter: NodeId): number {
    if (voter === this.#core.id) return this.#core.ledger.durableIndex;
    const follower = this.replication.followers.get(voter);
    return follower?.vouched ? follower.match : 0;
  }

  propose(entries: readonly E[]): ProposeResult {
    if (this.#transfer || this.#isLeaving) return { ok: false, code: "TRANSFERRING" };
    let bytes = 0;
    for (const entry of entries) bytes += entry.byteLength;
    const { count, bytes: waiting } = this.#unsettled;
    if (count > 0 && waiting + bytes > this.#core.limits.uncommittedBytesMax) {
      return { ok: false, code: "UNCOMMITTED_FULL" };
    }
    const firstIndex = this.#core.log.lastIndex + 1;
    for (const entry of entries) this.#append(entry);
    if (bytes > 0) this.#unsettled.add(this.#core.log.lastIndex, bytes);
    return { ok: true, firstIndex, term: this.#core.term };
  }

  proposeConfiguration(change: ConfigurationChange): ProposeResult {
    const { configuration, applied } = this.#core;
    if (this.#transfer || this.#isLeaving) return { ok: false, code: "TRANSFERRING" };
    if (this.#changeIndex > applied || isJoint(configuration)) return { ok: false, code: "CHANGE_IN_PROGRESS" };
    const next = planChange(configuration, change);
    if (!next) return { ok: false, code: "INVALID_CHANGE" };
    this.#append(this.#core.entries.configuration(next));
    this.#changeIndex = this.#core.log.lastIndex;
    return { ok: true, firstIndex: this.#changeIndex, term: this.#core.term };
  }

  onAppendResponse(message: AppendResponse): void {
    const follower = this.replication.followers.get(message.from);
    if (!follower) return;
    if (!message.vouched) this.#forget(follower, message);
    if (message.vouched && !follower.vouched) return this.replication.heard(follower);
    const isNews = this.replication.onResponse(follower, message);
    if (isNews) this.advance();
    if (!follower.vouched) this.#vouchFor(follower);
    this.#finishTransfer();
  }

  /** A replica that forgot is in an earlier term: its leader may have had no reason to tell it of this one. */
  onForgotten(message: AppendResponse): void {
    const follower = this.replication.followers.get(message.from);
    if (!follower) return;
    this.#forget(follower, message);
    this.replication.announce(follower);
  }

  /**
   * On the first word of a replica that forgot, and when it denies what it acknowledged, for it may have begun anew once
   * more: by introducing itself (introduction.ts), or because that acknowledgement came late, from before it did. What it
   * said before that, or will say again, is told apart by `vouched`.
   */
  #forget(follower: Progress, { reject, index }: AppendResponse): void {
    if (follower.vouched || (reject && index <= follower.match)) {
      follower.forget(this.#core.log.lastIndex, this.#reads.demand({ urgent: true }));
    }
  }

  onHeartbeatResponse(message: HeartbeatResponse): void {
    const follower = this.replication.followers.get(message.from);
    if (!follower) return;
    this.replication.heard(follower);
    follower.answeredRound = Math.max(follower.answeredRound, message.readRound);
    // Only who takes part answers a round, and this one was asked after it was known to have forgotten.
    if (!follower.vouched && message.readRound >= follower.vouchRound) this.#takeBack(follower);
    if (follower.vouched && message.readRound === this.#reads.round) {
      this.#lease.answered(follower, this.#reads.askedMs, message.holdMs);
    }
    this.#confirmReads();
    // Its own refusal is no reason to vouch for it again at once.
    if (follower.vouched) this.#vouchForAll();
  }

  /** Commits what a quorum has, if it is of this term: older entries only come along (Raft §5.4.2). */
  advance(): void {
    const { configuration, commit, log, term, ledger } = this.#core;
    const index = quorumIndex(configuration, this);
    if (index > commit && log.term(index) === term) {
      this.#core.commitCounted(index);
      this.replication.committed();
      this.#serveAlone();
    }
    this.#unsettled.freeTo(Math.min(this.#core.commit, ledger.durableIndex));
  }

  /**
   * A leader that has no place in the configuration any more leads until a majority of those who stay knows that. If it
   * went before, they would still ask for its vote, or for that of others who left with it.
   */
  get mayLeave(): boolean {
    if (!this.#isLeaving) return false;
    const { configuration } = this.#core;
    const { followers } = this.replication;
    return hasQuorum(configuration, (voter) => (followers.get(voter)?.commitHeard ?? 0) >= this.#changeIndex);
  }

  applied(configurationChanged: boolean): void {
    const { configuration } = this.#core;
    if (configurationChanged) {
      this.replication.setMembers(membersOf(configuration));
      if (this.#isLeaving) this.replication.announceToAll();
      if (this.#transfer && !isVoter(configuration, this.#transfer.target)) this.#transfer = undefined;
      this.advance();
      this.#confirmReads();
      this.#vouchForAll();
      // Whoever has this on its disk has there, too, that the configuration is in use.
      if (!isJoint(configuration)) this.#append(this.#core.entries.noOp());
    }
    this.#leaveJointIfDue();
    this.replication.applied();
  }

  peerUp(peer: NodeId): void {
    const follower = this.replication.followers.get(peer);
    if (!follower) return;
    this.replication.restart(follower);
    // Whether it forgot everything once more nobody can tell: what it acknowledged before is void again.
    if (!follower.vouched) follower.forget(this.#core.log.lastIndex, this.#reads.demand({ urgent: true }));
  }

  /** A read that is answered through Ready.reads. */
  read(context: number): void {
    if (this.#readUnderLease(context)) return;
    if (this.#reads.count >= this.#core.limits.readsMax) {
      this.#core.reads.push({ context, index: -1 });
      return;
    }
    this.#reads.add(context);
    this.#serveAlone();
  }

  refuseReads(): void {
    this.#core.reads.push(...this.#reads.refuseAll());
  }

  transfer(target: NodeId): void {
    const { configuration, id, nowMs, electionTimeoutMs } = this.#core;
    const follower = this.replication.followers.get(target);
    if (target === id || !follower?.vouched || !isVoter(configuration, target)) return;
    if (this.#transfer?.target === target) return;
    this.#transfer = { target, untilMs: nowMs + electionTimeoutMs, told: false };
    this.#core.wakeBy(this.#transfer.untilMs);
    this.replication.announce(follower);
    this.#finishTransfer();
  }

  /** Returns false when no quorum was heard for an election timeout: somebody else may lead by now. */
  tick(): boolean {
    const { nowMs, electionTimeoutMs } = this.#core;
    if (nowMs >= this.#checkAtMs) {
      if (!this.#hearsQuorum()) return false;
      // Anchored to the election, not to the tick: groups that once were late together do not stay together.
      this.#checkAtMs += electionTimeoutMs * Math.ceil((nowMs - this.#checkAtMs + 1) / electionTimeoutMs);
      this.#vouchForAll();
      this.#remindVouchers();
      this.#leaveJointIfDue();
    }
    if (this.#transfer && nowMs >= this.#transfer.untilMs) this.#transfer = undefined;
    if (this.#reads.isAsking && nowMs >= this.#roundSentMs + this.#core.limits.retryMs) this.#ask(this.#reads.round);
    this.replication.tick();
    this.#arm();
    return true;
  }

  /** Makes the messages that are due. */
  flush(): void {
    if (this.#mayAsk()) {
      this.#reads.begin(this.#hasCommittedInTerm() ? this.#core.commit : undefined, this.#core.nowMs);
      this.#ask(this.#reads.round);
    }
    this.replication.flush();
  }

  #append(entry: E): void {
    const { log, entries, term } = this.#core;
    entries.stamp(entry, term, log.lastIndex + 1, log.lastEntry());
    this.#core.append(entry);
    this.replication.poke();
  }

  #arm(): void {
    if (this.replication.followers.size > 0) this.#core.wakeBy(this.#checkAtMs);
    if (this.#transfer) this.#core.wakeBy(this.#transfer.untilMs);
    if (this.#reads.isAsking) this.#core.wakeBy(this.#roundSentMs + this.#core.limits.retryMs);
  }

  get #isLeaving(): boolean {
    return !isVoter(this.#core.configuration, this.#core.id);
  }

  #hasCommittedInTerm(): boolean {
    return this.#core.log.term(this.#core.commit) === this.#core.term;
  }

  #hearsQuorum(): boolean {
    const { id, configuration, nowMs, electionTimeoutMs, peerHeardMs } = this.#core;
    return hasQuorum(configuration, (voter) => {
      if (voter === id) return true;
      const follower = this.replication.followers.get(voter);
      // One that begins anew counts here: while it is given what it lacks its leader may be needed for that.
      return follower !== undefined && nowMs - Math.max(follower.heardMs, peerHeardMs(voter)) < electionTimeoutMs;
    });
  }

  /** A read waits for a commit of this term, but a replica that begins anew may be needed for that. */
  #mayAsk(): boolean {
    return this.#reads.isDemanded || (this.#reads.isDue && this.#hasCommittedInTerm());
  }

  /** The joint configuration is in use on both halves' majorities: the way out of it may be proposed (Raft §6). */
  #leaveJointIfDue(): void {
    const { configuration, applied, entries } = this.#core;
    if (!isJoint(configuration) || this.#changeIndex > applied || this.#transfer) return;
    this.#append(entries.configuration(leaveJoint(configuration)));
    this.#changeIndex = this.#core.log.lastIndex;
  }

  #finishTransfer(): void {
    const transfer = this.#transfer;
    if (!transfer || transfer.told || this.matchOf(transfer.target) < this.#core.log.lastIndex) return;
    transfer.told = true;
    this.#lease.giveUp();
    this.#core.messages.push({ type: "timeout-now", from: this.#core.id, to: transfer.target, term: this.#core.term });
  }

  #readUnderLease(context: number): boolean {
    if (this.#transfer || !this.#lease.isValid || !this.#hasCommittedInTerm()) return false;
    this.#core.reads.push({ context, index: this.#core.commit });
    if (this.#lease.isFading) this.#reads.demand();
    return true;
  }

  /** A leader that is a quorum by itself need ask nobody. */
  #serveAlone(): void {
    const { configuration, id, commit, nowMs } = this.#core;
    if (!this.#reads.isDue || !hasQuorum(configuration, (voter) => voter === id) || !this.#hasCommittedInTerm()) return;
    this.#reads.begin(commit, nowMs);
    this.#core.reads.push(...this.#reads.confirmed());
  }

  /**
   * Asks all voters that have not answered this round whether they still follow; and whoever is not vouched for, learner
   * or not: it may have taken the word already, and only its answer says so.
   */
  #ask(round: number): void {
    const { nowMs, configuration } = this.#core;
    this.#roundSentMs = nowMs;
    for (const follower of this.replication.followers.values()) {
      const { peer, lost, vouched, answeredRound } = follower;
      if (lost || answeredRound >= round || (vouched && !isVoter(configuration, peer))) continue;
      this.#heartbeat(peer, round, false);
    }
    this.#core.wakeBy(this.#roundSentMs + this.#core.limits.retryMs);
  }

  #heartbeat(to: NodeId, readRound: number, vouch: boolean, commitMax = Infinity): void {
    const { id, term, messages } = this.#core;
    const commit = Math.min(this.#core.commit, commitMax);
    messages.push({ type: "heartbeat", from: id, to, term, commit, readRound, vouch });
  }

  /** `from` doubts that there is a leader, and may have told others; strangers are answered, too, so that they stay calm. */
  announce(from: NodeId): void {
    this.replication.announceToAll();
    if (!this.replication.followers.has(from)) this.#heartbeat(from, 0, false);
  }

  #confirmReads(): void {
    if (!this.#reads.isAsking) return;
    const { round } = this.#reads;
    const { configuration, id, reads } = this.#core;
    const answered = (voter: NodeId) =>
      voter === id || (this.replication.followers.get(voter)?.answeredRound ?? 0) >= round;
    if (hasQuorum(configuration, answered)) reads.push(...this.#reads.confirmed());
  }

  /** It takes part again; how far its log matches is asked anew. */
  #takeBack(follower: Progress): void {
    follower.vouched = true;
    this.replication.announce(follower);
  }

  #vouchForAll(): void {
    for (const follower of this.replication.followers.values()) if (!follower.vouched) this.#vouchFor(follower);
  }

  /**
   * A replica without its past may take part again when it has all that was in the leader's log when it returned, and
   * every other voter has confirmed this leader since: then no vote that it has forgotten can be in use (README.md).
   */
  #vouchFor(follower: Progress): void {
    const { round } = this.#reads;
    if (follower.match < follower.vouchIndex || round < follower.vouchRound) return;
    for (const voter of votersOf(this.#core.configuration)) {
      if (voter === this.#core.id || voter === follower.peer) continue;
      if ((this.replication.followers.get(voter)?.answeredRound ?? 0) < follower.vouchRound) return;
    }
    this.#heartbeat(follower.peer, round, true, follower.match);
  }

  /** Those whose word a returned replica waits for may have missed the question. */
  #remindVouchers(): void {
    for (const follower of this.replication.followers.values()) {
      if (!follower.vouched && this.#reads.round >= follower.vouchRound) return this.#ask(this.#reads.round);
    }
  }
}

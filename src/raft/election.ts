/** Asking for votes and giving them (Raft §5.2, §5.4.1; pre-votes: thesis §9.6; leases: thesis §4.2.3). */
import { Ballot } from "./ballot.ts";
import { isVoter, votersOf } from "./configuration.ts";
import type { Core } from "./core.ts";
import type { LeaderContact } from "./leader-contact.ts";
import type { NodeId, RaftEntry, VoteRequest, VoteResponse } from "./types.ts";

/** pre-vote: ask first; vote: in a new term; transfer: the same, and voters need not have lost their leader. */
export type Campaign = "pre-vote" | "vote" | "transfer";

/** What an election changes about the replica. */
export interface ElectionOutcome {
  campaigning(): void;
  becomeFollower(term: number): void;
  becomeLeader(): void;
  /** Lets somebody know that this replica leads. */
  announce(to: NodeId): void;
  /** The node that was taken for the leader does not lead. */
  loseLeader(): void;
}

export class Election<E extends RaftEntry> {
  readonly #core: Core<E>;
  readonly #contact: LeaderContact;
  readonly #outcome: ElectionOutcome;
  #ballot: Ballot | undefined;

  constructor(core: Core<E>, contact: LeaderContact, outcome: ElectionOutcome) {
    this.#core = core;
    this.#contact = contact;
    this.#outcome = outcome;
  }

  /** By its own wish: a transfer is the leader's. */
  get canCampaign(): boolean {
    return this.#isEligible && !this.#core.hold.holds(this.#core.nowMs);
  }

  get #isEligible(): boolean {
    const { membership, configuration, id, applied, commit, vouched, role } = this.#core;
    return role !== "leader" && vouched && isVoter(configuration, id) && !membership.isBehind(applied, commit);
  }

  /** No votes are counted any more. */
  end(): void {
    this.#ballot = undefined;
  }

  campaign(kind: Campaign): void {
    const core = this.#core;
    if (kind === "transfer" ? !this.#isEligible : !this.canCampaign) return;
    const preVote = kind === "pre-vote";
    core.leader = 0;
    core.role = preVote ? "pre-candidate" : "candidate";
    if (!preVote) {
      core.enterTerm(core.term + 1);
      core.castVote(core.id);
    }
    this.#outcome.campaigning();
    this.#contact.campaigns(core.nowMs);
    core.wakeBy(this.#contact.dueMs(-Infinity));
    this.#ballot = new Ballot(preVote);
    this.#ask(preVote, kind === "transfer");
    this.count();
  }

  /**
   * The candidate's own vote counts when it is durable; and without it nobody leads: after a crash it could campaign in
   * the same term once more, with the same votes of others and a different log.
   */
  count(): void {
    const core = this.#core;
    const ballot = this.#ballot;
    if (!ballot) return;
    const { durableTerm, durableVote } = core.ledger;
    const hasOwnVote = ballot.preVote || (durableTerm === core.term && durableVote === core.id);
    if (hasOwnVote) ballot.record(core.id, true);
    const result = ballot.result(core.configuration);
    if (result === "lost") this.#outcome.becomeFollower(core.term);
    else if (result === "won" && ballot.preVote) this.campaign("vote");
    else if (result === "won" && hasOwnVote) this.#outcome.becomeLeader();
  }

  onRequest(message: VoteRequest): void {
    const core = this.#core;
    const { from, term, preVote, transfer } = message;
    // Who asks for votes in a later term leads no more.
    if (from === core.leader && term > core.term) this.#outcome.loseLeader();
    if (!transfer && term > core.term && this.#isTrue()) {
      if (core.role === "leader") return this.#outcome.announce(from);
      if (this.#contact.doubt(core.nowMs, core.leaderHeardMs)) this.#request(core.leader, true, false);
      return preVote ? this.#answer(message, false) : undefined;
    }
    if (!preVote && term > core.term) this.#outcome.becomeFollower(term);
    this.#answer(message, this.#mayGrant(message));
  }

  onResponse({ from, term, preVote, reject, commit, commitTerm }: VoteResponse): void {
    const core = this.#core;
    const isPromise = preVote && !reject;
    if (!isPromise && term > core.term) return this.#outcome.becomeFollower(term);
    if (reject) this.#learnCommit(commit, commitTerm);
    if (term !== core.term + (isPromise ? 1 : 0) || this.#ballot?.preVote !== preVote) return;
    this.#ballot.record(from, !reject);
    this.count();
  }

  /**
   * The same term at the same index is the same log up to there (Raft §5.3), so what a voter knows to be committed is
   * committed here too. If that brings another configuration, the votes are not to be counted by the present one.
   */
  #learnCommit(commit: number, commitTerm: number): void {
    const core = this.#core;
    if (core.leader !== 0 || core.log.term(commit) !== commitTerm || !core.commitTo(commit)) return;
    if (core.membership.isBehind(core.applied, core.commit)) this.#outcome.becomeFollower(core.term);
  }

  #ask(preVote: boolean, transfer: boolean): void {
    const { id, configuration } = this.#core;
    for (const voter of votersOf(configuration)) if (voter !== id) this.#request(voter, preVote, transfer);
  }

  #request(to: NodeId, preVote: boolean, transfer: boolean): void {
    const { id, log, messages } = this.#core;
    const { lastIndex, lastTerm } = log;
    const term = this.#core.term + (preVote ? 1 : 0);
    messages.push({ type: "vote", from: id, to, term, preVote, lastIndex, lastTerm, transfer });
  }

  /** To its leader: because that may well be alive, or because it has promised it. */
  #isTrue(): boolean {
    const { role, leader, nowMs, leaderHeardMs, hold } = this.#core;
    if (role === "leader" || hold.holds(nowMs)) return true;
    return leader !== 0 && this.#contact.inLease(nowMs, leaderHeardMs);
  }

  #mayGrant({ from, term, preVote, lastIndex, lastTerm, transfer }: VoteRequest): boolean {
    const { term: ownTerm, vote, leader, hold, nowMs } = this.#core;
    if (hold.holds(nowMs) && !transfer) return false;
    if (term < ownTerm || !this.#core.mayVoteFor({ index: lastIndex, term: lastTerm }, term)) return false;
    return (preVote && term > ownTerm) || vote === from || (vote === 0 && leader === 0);
  }

  /** A granted vote is sent when it is durable. A pre-vote binds nobody, and leaves the timer alone. */
  #answer({ from, term, preVote }: VoteRequest, granted: boolean): void {
    const core = this.#core;
    const binding = granted && !preVote;
    if (binding) {
      core.castVote(from);
      this.#contact.restart(core.nowMs);
    }
    const box = binding ? core.messagesAfterPersist : core.messages;
    const ownTerm = granted ? term : core.term;
    const known = { commit: core.commit, commitTerm: core.log.term(core.commit) ?? 0 };
    box.push({ type: "vote-response", from: core.id, to: from, term: ownTerm, preVote, reject: !granted, ...known });
  }
}

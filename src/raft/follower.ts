/** What a replica does with what its leader sends: append, cut what contradicts, acknowledge. */
import type { Core } from "./core.ts";
import { NOTHING } from "./introduction.ts";
import type { AppendRequest, HeartbeatRequest, NodeId, RaftEntry, SnapshotRequest } from "./types.ts";

export class Follower<E extends RaftEntry> {
  readonly #core: Core<E>;
  /** Up to here this log was compared with that of the present term's leader. Nothing beyond is ever committed. */
  #verified: number;
  /** Who waits for an acknowledgement of `#verified`; those of one turn are one. 0 for nobody. */
  #acknowledgeTo: NodeId = 0;

  constructor(core: Core<E>) {
    this.#core = core;
    this.#verified = core.commit;
  }

  get hasWork(): boolean {
    return this.#acknowledgeTo !== 0;
  }

  /** A new term, or a new role: nothing is known of the log of whoever leads next, but what is committed is in it. */
  reset(): void {
    this.#verified = this.#core.commit;
    this.#acknowledgeTo = 0;
  }

  onAppend(message: AppendRequest<E>): void {
    const { log, commit } = this.#core;
    const { previousIndex, previousTerm, entries } = message;
    const lastIndex = previousIndex + entries.length;
    if (lastIndex <= commit) {
      // All of it is committed already: late, or sent again. It is not even looked at.
      this.#accept(message, commit);
    } else if (previousIndex <= commit) {
      // What is committed is the same here and there; only the rest is news.
      this.#append(entries, commit - previousIndex);
      this.#accept(message, lastIndex);
    } else if (log.term(previousIndex) === previousTerm) {
      this.#append(entries, 0);
      this.#accept(message, lastIndex);
    } else {
      this.#reject(message);
    }
  }

  onHeartbeat(message: HeartbeatRequest): void {
    const { id, term, messages } = this.#core;
    if (message.vouch && !this.#core.vouched) this.#acceptVouching(message);
    this.#core.commitTo(Math.min(message.commit, this.#verified));
    // What a replica without its past would confirm could be false: it may have helped somebody else to lead.
    const readRound = this.#core.vouched ? message.readRound : 0;
    const holdMs = readRound > 0 ? this.#holdVote() : 0;
    messages.push({ type: "heartbeat-response", from: id, to: message.from, term, readRound, holdMs });
  }

  onSnapshot(message: SnapshotRequest): void {
    const { snapshot, from } = message;
    const { log, commit } = this.#core;
    if (snapshot.index > commit) {
      if (log.term(snapshot.index) === snapshot.term) this.#core.commitTo(snapshot.index);
      else this.#core.restore(snapshot);
    }
    this.#verified = Math.max(this.#verified, this.#core.commit);
    this.#acknowledgeTo = from;
  }

  /** Puts the acknowledgement of this turn among what waits for durability. */
  flush(): void {
    if (this.#acknowledgeTo === 0) return;
    this.#respond(this.#acknowledgeTo, { index: this.#verified, reject: false, hintIndex: 0, hintTerm: 0 });
    this.#acknowledgeTo = 0;
  }

  #append(entries: readonly E[], skip: number): void {
    const { log } = this.#core;
    let at = skip;
    // Entries that are here already are passed over: a message that comes again, or late, must not cut what follows.
    while (at < entries.length && log.term(entries[at]!.index) === entries[at]!.term) at += 1;
    if (at === entries.length) return;
    if (entries[at]!.index <= log.lastIndex) this.#core.truncateFrom(entries[at]!.index);
    for (; at < entries.length; at++) this.#core.append(entries[at]!);
  }

  #accept(message: AppendRequest<E>, matched: number): void {
    this.#verified = Math.max(this.#verified, matched);
    this.#core.commitTo(Math.min(message.commit, this.#verified));
    this.#acknowledgeTo = message.from;
  }

  /** Tells at once: nothing was changed that would have to be durable. */
  #reject(message: AppendRequest<E>): void {
    const { log, messages } = this.#core;
    const { previousIndex, previousTerm } = message;
    const hintIndex = log.lastAtMost(Math.min(previousIndex, log.lastIndex), previousTerm);
    const hintTerm = log.term(hintIndex) ?? 0;
    this.#respond(message.from, { index: previousIndex, reject: true, hintIndex, hintTerm }, messages);
  }

  #respond(
    to: NodeId,
    answer: { index: number; reject: boolean; hintIndex: number; hintTerm: number },
    box = this.#core.messagesAfterPersist,
  ): void {
    const { id: from, term, commit, vouched } = this.#core;
    const { index, reject, hintIndex, hintTerm } = answer;
    box.push({ type: "append-response", from, to, term, index, reject, hintIndex, hintTerm, commit, vouched });
  }

  /** Only in a term that a restart remembers: one that knew of none would not know that it may have promised. */
  #holdVote(): number {
    const { ledger, term, hold, nowMs } = this.#core;
    return ledger.durableTerm === term ? hold.promise(nowMs) : 0;
  }

  /** From now on this replica's votes and acknowledgements count again, if it is what was vouched for. */
  #acceptVouching(message: HeartbeatRequest): void {
    const { ledger, term } = this.#core;
    if (this.#verified < message.commit) {
      // It is meant for an earlier return of this replica, whose acknowledgement came late: it has not what that had.
      return this.#respond(message.from, NOTHING, this.#core.messages);
    }
    const hasVoted = ledger.durableTerm === term && ledger.durableVote !== 0;
    if (!hasVoted || ledger.durableIndex < message.commit) return;
    this.#core.vouched = true;
    this.#acknowledgeTo = message.from;
  }
}

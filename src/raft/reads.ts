/**
 * Linearizable reads without a log entry (Raft thesis §6.4): the leader notes its commit index, has a quorum confirm
 * that it still leads, and then the read may be served at that index. Reads wait in rounds: one round is under way at a
 * time, and whatever arrives meanwhile rides on the next one. A round is never joined late: only replies to a question
 * that was asked after the read arrived prove anything for it.
 */
import type { ReadState } from "./types.ts";

export class ReadRounds {
  #waiting: number[] = [];
  /** The round under way: its reads, and the commit index they were promised. */
  #asked: { readonly index: number; readonly contexts: readonly number[] } | undefined;
  #round = 0;
  #askedMs = -Infinity;
  #demanded = false;
  /** What the round under way waits for may itself wait for the next one. */
  #isUrgent = false;

  /** Number of the round asked last. */
  get round(): number {
    return this.#round;
  }

  /** When it was asked first, monotonic ms. */
  get askedMs(): number {
    return this.#askedMs;
  }

  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /** Whether a round should begin. */
  get isDue(): boolean {
    return this.isDemanded || (this.#asked === undefined && this.#waiting.length > 0);
  }

  /** Whether one should begin though no read can be answered yet. */
  get isDemanded(): boolean {
    return this.#isUrgent || (this.#asked === undefined && this.#demanded);
  }

  get count(): number {
    return this.#waiting.length + (this.#asked?.contexts.length ?? 0);
  }

  add(context: number): void {
    this.#waiting.push(context);
  }

  /**
   * Has a round begin even without reads. Returns its number. `urgent`: in the place of one that is under way, for whoever
   * that waits for may not answer before.
   */
  demand({ urgent = false } = {}): number {
    this.#demanded = true;
    this.#isUrgent ||= urgent;
    return this.#round + 1;
  }

  /**
   * A round begins: followers are asked now. It takes the reads of one under way along: who answers this one would have
   * answered that. `commit` undefined: those that wait do so on, for what they may be promised is not known.
   */
  begin(commit: number | undefined, nowMs: number): void {
    const { index = 0, contexts = [] } = this.#asked ?? {};
    this.#round += 1;
    this.#askedMs = nowMs;
    this.#demanded = false;
    this.#isUrgent = false;
    if (commit === undefined) this.#asked = { index, contexts };
    else {
      this.#asked = { index: Math.max(index, commit), contexts: [...contexts, ...this.#waiting] };
      this.#waiting = [];
    }
  }

  /** A quorum has answered the round: its reads may be served. */
  confirmed(): ReadState[] {
    const { index = 0, contexts = [] } = this.#asked ?? {};
    this.#asked = undefined;
    return contexts.map((context) => ({ context, index }));
  }

  /** This replica does not lead any more: none of its reads can be answered here. */
  refuseAll(): ReadState[] {
    const contexts = [...(this.#asked?.contexts ?? []), ...this.#waiting];
    this.#asked = undefined;
    this.#waiting = [];
    return contexts.map((context) => ({ context, index: -1 }));
  }
}

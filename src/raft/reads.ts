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
    return this.#asked === undefined && (this.#waiting.length > 0 || this.#demanded);
  }

  /** Whether one should begin though no read can be answered yet. */
  get isDemanded(): boolean {
    return this.#asked === undefined && this.#demanded;
  }

  get count(): number {
    return this.#waiting.length + (this.#asked?.contexts.length ?? 0);
  }

  add(context: number): void {
    this.#waiting.push(context);
  }

  /** Has a round begin even without reads. Returns its number. */
  demand(): number {
    this.#demanded = true;
    return this.#round + 1;
  }

  /** A round begins: followers are asked now. `commit` undefined: the reads wait on, for what they may be promised is not known. */
  begin(commit: number | undefined, nowMs: number): void {
    this.#round += 1;
    this.#askedMs = nowMs;
    this.#demanded = false;
    this.#asked = { index: commit ?? 0, contexts: commit === undefined ? [] : this.#waiting };
    if (commit !== undefined) this.#waiting = [];
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

/** The terms of a log, kept as runs: `[first index of the run, term]`. A log has as many runs as it has seen leaders. */
import { invariant, InvariantError } from "./invariant.ts";

export class TermRuns {
  readonly #starts: number[] = [];
  readonly #terms: number[] = [];

  constructor(runs: readonly (readonly [number, number])[]) {
    for (const [start, term] of runs) this.append(start, term);
  }

  /** Term of an index at or after the first run's start; the caller knows where the log ends. */
  termOf(index: number): number | undefined {
    const last = this.#starts.length - 1;
    if (last >= 0 && index >= this.#starts[last]!) return this.#terms[last];
    const run = this.#runOf(index);
    return run < 0 ? undefined : this.#terms[run];
  }

  /** An entry of `term` at `index`, which is the log's new end. */
  append(index: number, term: number): void {
    const last = this.#terms.length - 1;
    if (last >= 0) {
      if (this.#terms[last] === term) return;
      if (term < this.#terms[last]! || index <= this.#starts[last]!) {
        throw new InvariantError(`term ${term} at ${index} after term ${this.#terms[last]} at ${this.#starts[last]}`);
      }
    }
    this.#starts.push(index);
    this.#terms.push(term);
  }

  /** Forgets `index` and all after it. */
  truncateFrom(index: number): void {
    while (this.#starts.length > 0 && this.#starts[this.#starts.length - 1]! >= index) {
      this.#starts.pop();
      this.#terms.pop();
    }
  }

  /** Forgets what is before `index`. */
  dropBefore(index: number): void {
    const run = this.#runOf(index);
    if (run <= 0) return;
    this.#starts.splice(0, run);
    this.#terms.splice(0, run);
  }

  clear(): void {
    this.#starts.length = 0;
    this.#terms.length = 0;
  }

  /** Largest index not after `index` whose term is at most `term`; `before` if there is none in these runs. */
  lastAtMost(index: number, term: number, before: number): number {
    invariant(index >= before, `${index} is before the log's start`);
    let run = this.#runOf(index);
    let at = index;
    while (run >= 0 && this.#terms[run]! > term) {
      at = this.#starts[run]! - 1;
      run -= 1;
    }
    return Math.max(at, before);
  }

  #runOf(index: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

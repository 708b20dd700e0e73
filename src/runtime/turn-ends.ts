/**
 * When a turn's work is done: after the events that came together, or at once where nothing came for a while. Waiting
 * for the loop's next phase costs a lone record 20 µs at each of its stations; under load it is what makes batches.
 */

/** So long nothing was called: what comes now comes alone. */
const QUIET_MS = 0.3;

const RESOLVED = Promise.resolve();

/** @example const ends = new TurnEnds(() => performance.now()); ends.call(() => flush()); */
export class TurnEnds {
  readonly #clockMs: () => number;
  /** When the last callback ended or the last one was asked for; Infinity while one runs, so that events get their turn. */
  #lastMs = -Infinity;

  constructor(clockMs: () => number) {
    this.#clockMs = clockMs;
  }

  call(callback: () => void): void {
    const nowMs = this.#clockMs();
    const isQuiet = nowMs - this.#lastMs >= QUIET_MS;
    this.#lastMs = nowMs;
    const run = () => {
      this.#lastMs = Infinity;
      callback();
      this.#lastMs = this.#clockMs();
    };
    // Not queueMicrotask: Node makes an asynchronous context for each.
    if (isQuiet) void RESOLVED.then(run);
    else setImmediate(run);
  }
}

/** What happened in a run, for people. */
import type { Scheduler } from "./scheduler.ts";

const LINES_MAX = 400;

export class Timeline {
  readonly #scheduler: Scheduler;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #lines: string[] = [];

  /** `onLine` is called with every line; only the last ones are kept. */
  constructor(scheduler: Scheduler, onLine: ((line: string) => void) | undefined) {
    this.#scheduler = scheduler;
    this.#onLine = onLine;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  say(text: string): void {
    const line = `${(this.#scheduler.nowMs / 1000).toFixed(4).padStart(9)} s  ${text}`;
    this.#onLine?.(line);
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
  }
}

/** Looks again and again while something is to be done, and costs nothing while there is not. */
import type { Runtime, Timer } from "../runtime/runtime.ts";

export interface WatchOptions {
  readonly runtime: Runtime;
  readonly everyMs: number;
  readonly isDue: () => boolean;
  readonly look: () => void;
}

export class Watch {
  readonly #options: WatchOptions;
  #timer: Timer | undefined;
  #running = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running;
  }

  start(): void {
    this.#running = true;
    this.wake();
  }

  /** Something may be due now. */
  wake(): void {
    const { runtime, everyMs, isDue, look } = this.#options;
    if (!this.#running || this.#timer !== undefined || !isDue()) return;
    this.#timer = runtime.timers.after(everyMs, () => {
      this.#timer = undefined;
      look();
      this.wake();
    });
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }
}

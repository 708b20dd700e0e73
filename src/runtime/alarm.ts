/**
 * One timer for many deadlines, most of which never come: answers that arrive in time, nearly always. It stays set when the
 * deadline it was set for is gone, and asks when it rings; setting and cancelling a timer for each would cost a lone
 * request as much as encoding it.
 */
import type { Runtime, Timer } from "./runtime.ts";

/**
 * @example
 * const alarm = new Alarm(runtime, (nowMs) => { giveUp(nowMs); return earliestDeadlineMs(); });
 * alarm.by(deadlineMs);
 * alarm.cancel();
 */
export class Alarm {
  readonly #runtime: Pick<Runtime, "timers" | "clock">;
  readonly #ring: (nowMs: number) => number;
  #timer: Timer | undefined;
  #setMs = Infinity;

  /** `ring`: does what is due and returns when to be called next, monotonic ms; Infinity for not before the next `by`. */
  constructor(runtime: Pick<Runtime, "timers" | "clock">, ring: (nowMs: number) => number) {
    this.#runtime = runtime;
    this.#ring = ring;
  }

  /** Rings at that time or a little later, monotonic ms; earlier if it was asked for earlier. */
  by(atMs: number): void {
    if (atMs >= this.#setMs) return;
    this.#timer?.cancel();
    this.#set(atMs);
  }

  /** Until the next `by`. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#setMs = Infinity;
  }

  #set(atMs: number): void {
    this.#setMs = atMs;
    const delayMs = Math.max(0, atMs - this.#runtime.clock.monotonicMs());
    this.#timer = this.#runtime.timers.after(Math.ceil(delayMs), () => this.#rung());
  }

  #rung(): void {
    this.#timer = undefined;
    this.#setMs = Infinity;
    const nextMs = this.#ring(this.#runtime.clock.monotonicMs());
    if (nextMs < Infinity) this.by(nextMs);
  }
}

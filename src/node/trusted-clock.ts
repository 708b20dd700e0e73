import type { Runtime } from "../runtime/runtime.ts";

/** How much quicker than real time it follows a wall clock that is ahead of it. */
const CATCH_UP = 2;

/**
 * The time by which records expire. The wall clock alone may be wrong, and what it deletes does not come back. So this one
 * goes back with it at once, but follows it forward only at twice the pace of the monotonic clock: a jump of an hour
 * takes an hour to count, in which it can be mended. It is believed at once as far as producers say the same: up to the
 * newest timestamp of the batches here. So a node that was off for days, or began with a wrong clock, deletes late, not
 * early; and a producer with a wrong clock moves nothing beyond this node's own time.
 */
export class TrustedClock {
  readonly #runtime: Runtime;
  #trustedMs = 0;
  #seenAtMs: number;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#seenAtMs = runtime.clock.monotonicMs();
  }

  /** Milliseconds since 1970. `newestTimestampMs`: of all batches here. */
  nowMs(newestTimestampMs: number): number {
    const { clock } = this.#runtime;
    const elapsedMs = clock.monotonicMs() - this.#seenAtMs;
    this.#seenAtMs += elapsedMs;
    const believedMs = Math.max(this.#trustedMs + CATCH_UP * elapsedMs, newestTimestampMs);
    this.#trustedMs = Math.min(clock.wallMs(), believedMs);
    return this.#trustedMs;
  }
}

/**
 * Holds when queues give out records against what was asked for when they were sent: not before `delayMs` is over, not long
 * after it once everything is healed, and not when `ttlMs` is over. Leaders judge by their own wall clocks: while
 * one of these was wrong nothing is said.
 */
import type { Violation } from "./history.ts";

/**
 * A leader chooses records when it is asked, and a consumer takes the answer to one question for this long at most: its wait,
 * what an answer may take beyond it, half of a lease in its buffer, and a little.
 */
const CHOSEN_MS_MAX = 1_000 + 2_000 + 750 + 250;
/** After healing: what waits for a wall clock is looked at every 5 s, and there may be many before it. */
const LATE_MS_MAX = 30_000;
/** Times of the wire are whole milliseconds. */
const ROUNDING_MS = 1;

interface Timed {
  readonly isScheduled: boolean;
  /** Not before. */
  readonly dueMs: number;
  /** Not much later than this; Infinity: for ever. */
  readonly overMs: number;
  /** Infinity: not yet. */
  givenMs: number;
}

export class DeliveryTimes {
  readonly #sent = new Map<string, Timed>();
  /** Since when all clocks are right; Infinity: one is wrong. */
  readonly #rightSinceMs: () => number;
  readonly #fail: (violation: Violation) => void;
  /** Deliveries of scheduled and of mortal records that were judged, and mortal ones that became dead letters. */
  readonly checked = { scheduled: 0, mortal: 0, over: 0 };

  constructor(rightSinceMs: () => number, fail: (violation: Violation) => void) {
    this.#rightSinceMs = rightSinceMs;
    this.#fail = fail;
  }

  /** @param value unique */
  sent(value: string, nowMs: number, { delayMs = 0, ttlMs = Infinity }: { delayMs?: number; ttlMs?: number }): void {
    this.#sent.set(value, {
      isScheduled: delayMs > 0,
      dueMs: nowMs + delayMs,
      overMs: nowMs + ttlMs,
      givenMs: Infinity,
    });
  }

  /** @param expiresMs when its time is over as the record says; null: never */
  delivered(value: string, nowMs: number, expiresMs: number | null): void {
    const timed = this.#sent.get(value);
    if (timed === undefined) return;
    const { isScheduled, dueMs, overMs } = timed;
    timed.givenMs = Math.min(timed.givenMs, nowMs);
    if ((expiresMs === null) !== (overMs === Infinity) || (expiresMs ?? Infinity) < overMs - ROUNDING_MS) {
      this.#broken("a record's time to live changed", `${value}: ${expiresMs}, was to be ${overMs} or later`);
    }
    if (this.#rightSinceMs() > nowMs - CHOSEN_MS_MAX) return;
    if (nowMs < dueMs - ROUNDING_MS) {
      this.#broken("delivered before its time", `${value}: at ${nowMs}, was to wait until ${dueMs}`);
    }
    if (expiresMs !== null && nowMs > expiresMs + CHOSEN_MS_MAX) {
      this.#broken("delivered when its time was over", `${value}: at ${nowMs}, its time was over at ${expiresMs}`);
    }
    if (isScheduled) this.checked.scheduled += 1;
    if (expiresMs !== null) this.checked.mortal += 1;
  }

  /** It is a dead letter because its time was over. @param nowMs when the letter was written, by its leader's clock */
  expired(value: string, nowMs: number): void {
    const timed = this.#sent.get(value);
    if (timed === undefined) return this.#broken("a dead letter that nobody sent", value);
    this.checked.over += 1;
    if (this.#rightSinceMs() > 0) return;
    if (nowMs < timed.overMs - ROUNDING_MS) {
      this.#broken("given up before its time was over", `${value}: at ${nowMs}, had time until ${timed.overMs}`);
    }
  }

  /** Everything was given out by now that ever will be. @param healedMs since when nothing goes wrong */
  checkLate(healedMs: number): void {
    for (const [value, { dueMs, givenMs }] of this.#sent) {
      const fromMs = Math.max(healedMs, dueMs);
      if (givenMs === Infinity || givenMs <= fromMs + LATE_MS_MAX) continue;
      this.#broken("delivered late", `${value}: at ${givenMs}, was due at ${dueMs}, healed at ${healedMs}`);
      return;
    }
  }

  #broken(invariant: string, detail: string): void {
    this.#fail({ invariant, detail });
  }
}

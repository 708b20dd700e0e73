/** A clock and timers that move only when told. */
import type { Clock, Random, Runtime, Timers } from "../../../src/runtime/runtime.ts";

export interface FakeTime {
  readonly runtime: Runtime;
  /** How many timers wait. */
  waiting(): number;
  /** Moves on, calling what comes due, in order. */
  advance(ms: number): void;
}

export function fakeTime(): FakeTime {
  let nowMs = 1_000;
  let timers: { atMs: number; callback: () => void }[] = [];
  const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => nowMs };
  const timing: Timers = {
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return { cancel: () => timers = timers.filter((other) => other !== timer) };
    },
    defer: (callback) => callback(),
    endTurn: (callback) => callback(),
  };
  const random: Random = { next: () => 0.5, integer: () => 0, bytes: (length) => new Uint8Array(length) };
  const advance = (ms: number) => {
    const untilMs = nowMs + ms;
    for (;;) {
      const next = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      timers = timers.filter((timer) => timer !== next);
      nowMs = Math.max(nowMs, next.atMs);
      next.callback();
    }
    nowMs = untilMs;
  };
  return { runtime: { clock, timers: timing, random } as unknown as Runtime, waiting: () => timers.length, advance };
}

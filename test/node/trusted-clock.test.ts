import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { TrustedClock } from "../../src/node/trusted-clock.ts";

const clock = suite("the clock by which records expire");

const HOUR_MS = 3_600_000;
const NOW_MS = 1_800_000_000_000;

/** A wall clock and a monotonic one that go on together, unless the wall clock is moved. */
class Clocks {
  wall = NOW_MS;
  monotonic = 5_000;
  readonly trusted = new TrustedClock(
    { clock: { wallMs: () => this.wall, monotonicMs: () => this.monotonic } } as unknown as Runtime,
  );

  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

clock("is the wall clock while batches come", () => {
  const clocks = new Clocks();
  assert.is(clocks.trusted.nowMs(NOW_MS - 5), NOW_MS - 5);
  clocks.pass(10_000);
  assert.is(clocks.trusted.nowMs(NOW_MS + 9_990), NOW_MS + 10_000);
});

clock("a jump forward counts at twice the pace of real time", () => {
  const clocks = new Clocks();
  clocks.trusted.nowMs(NOW_MS);
  clocks.wall += HOUR_MS;
  clocks.pass(1_000);
  assert.is(clocks.trusted.nowMs(NOW_MS), NOW_MS + 2_000);
  clocks.pass(HOUR_MS / 2);
  assert.is(clocks.trusted.nowMs(NOW_MS), NOW_MS + 2_000 + HOUR_MS);
  clocks.pass(HOUR_MS);
  assert.is(clocks.trusted.nowMs(NOW_MS), clocks.wall, "it has caught up");
});

clock("a jump back counts at once", () => {
  const clocks = new Clocks();
  clocks.trusted.nowMs(NOW_MS);
  clocks.wall -= HOUR_MS;
  assert.is(clocks.trusted.nowMs(NOW_MS), NOW_MS - HOUR_MS);
});

clock("a node that begins with a wrong clock believes it no further than the batches it has", () => {
  const clocks = new Clocks();
  clocks.wall += 1_000 * HOUR_MS;
  assert.is(clocks.trusted.nowMs(NOW_MS), NOW_MS);
  clocks.pass(1_000);
  assert.is(clocks.trusted.nowMs(NOW_MS), NOW_MS + 2_000);
});

clock("a producer with a wrong clock moves it no further than this node's own time", () => {
  const clocks = new Clocks();
  assert.is(clocks.trusted.nowMs(NOW_MS + 1_000 * HOUR_MS), NOW_MS);
});

clock.run();

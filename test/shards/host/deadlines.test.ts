import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Deadlines, type Timed } from "../../../shards/host/deadlines.ts";
import { fakeTime } from "./fake-time.ts";

const deadlines = suite("deadlines of many groups");

function item(
  deadlineMs: number,
  next: () => number = () => Infinity,
): Timed & { deadlineMs: number; firedAtMs: number[] } {
  return {
    deadlineMs,
    place: undefined,
    firedAtMs: [],
    tick(nowMs) {
      this.firedAtMs.push(nowMs);
      this.deadlineMs = next();
    },
  };
}

deadlines("each is called once it has passed, and not before", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const items = Array.from({ length: 500 }, (_, i) => item(1_000 + i * 7));
  for (const one of items) wheel.update(one);
  assert.is(time.waiting(), 1, "one timer for all");
  time.advance(10_000);
  for (const [i, one] of items.entries()) {
    assert.is(one.firedAtMs.length, 1);
    const lateMs = one.firedAtMs[0]! - (1_000 + i * 7);
    // What is due soon does not wait for others.
    assert.ok(lateMs >= 0 && lateMs <= (i * 7 > 50 ? 60 : 20), `${lateMs} ms late`);
  }
});

deadlines("without slack none is late", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 0);
  const items = Array.from({ length: 100 }, (_, i) => item(1_000 + i * 70));
  for (const one of items) wheel.update(one);
  time.advance(10_000);
  for (const [i, { firedAtMs }] of items.entries()) assert.equal(firedAtMs, [Math.max(1_010, 1_000 + i * 70)]);
});

deadlines("one that comes near while the wheel sleeps is called in time", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const one = item(1_900);
  wheel.update(one);
  time.advance(303);
  one.deadlineMs = 1_305;
  wheel.update(one);
  time.advance(10);
  assert.equal(one.firedAtMs, [1_310]);
});

deadlines("those that are not due soon share their wake-ups, and none is for nothing", () => {
  const time = fakeTime();
  let timers = 0;
  const { clock, timers: { after } } = time.runtime;
  const counted = {
    clock,
    timers: { after: (ms: number, then: () => void) => (timers++, after(Math.floor(ms), then)) },
  };
  const wheel = new Deadlines<Timed>(counted as unknown as typeof time.runtime, 50);
  const items = Array.from({ length: 40 }, (_, i) => {
    const one: ReturnType<typeof item> = item(1_500.4 + i * 12.5, () => one.firedAtMs.at(-1)! + 500.3);
    return one;
  });
  for (const one of items) wheel.update(one);
  time.advance(10_500);
  assert.ok(items.every(({ firedAtMs }) => firedAtMs.length >= 18));
  assert.ok(timers <= 220, `${timers} timers in ten seconds`);
});

deadlines("one whose own call removes it is not called again", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const one: ReturnType<typeof item> = item(1_010, () => {
    wheel.remove(one);
    return 1_050;
  });
  wheel.update(one);
  time.advance(20_000);
  assert.equal(one.firedAtMs, [1_010]);
  assert.is(time.waiting(), 0);
});

deadlines("one that has moved away is not called early; one that has come nearer is called in time", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const away = item(1_100);
  const nearer = item(9_000);
  wheel.update(away);
  wheel.update(nearer);
  away.deadlineMs = 3_000;
  nearer.deadlineMs = 1_200;
  wheel.update(nearer);
  time.advance(500);
  assert.equal(away.firedAtMs, []);
  assert.is(nearer.firedAtMs.length, 1);
  time.advance(2_000);
  assert.is(away.firedAtMs.length, 1);
});

deadlines("beyond the wheel and after a long pause nothing is forgotten", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const far = item(61_000);
  const repeating: Timed & { firedAtMs: number[]; deadlineMs: number } = item(
    1_050,
    () => repeating.firedAtMs.at(-1)! + 50,
  );
  wheel.update(far);
  wheel.update(repeating);
  time.advance(59_000);
  assert.is(far.firedAtMs.length, 0);
  assert.ok(repeating.firedAtMs.length > 900);
  time.advance(2_000);
  assert.is(far.firedAtMs.length, 1);
});

deadlines("a removed one is not called; a closed wheel waits for nothing", () => {
  const time = fakeTime();
  const wheel = new Deadlines<Timed>(time.runtime, 50);
  const removed = item(1_100);
  const left = item(1_500);
  wheel.update(removed);
  wheel.update(left);
  wheel.remove(removed);
  time.advance(200);
  wheel.close();
  time.advance(1_000);
  assert.equal([removed.firedAtMs, left.firedAtMs], [[], []]);
  assert.is(time.waiting(), 0);
});

deadlines.run();

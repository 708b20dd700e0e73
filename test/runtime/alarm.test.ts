/** One timer rings for each deadline that is still there, at its time and in no case before it. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Alarm } from "../../src/runtime/alarm.ts";

const alarms = suite("one timer for many deadlines");

/** Time that goes when it is told to, and counts what timers cost. */
class Time {
  nowMs = 0;
  set = 0;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
  readonly timers = {
    after: (delayMs: number, run: () => void) => {
      assert.ok(Number.isInteger(delayMs) && delayMs >= 0, "whole ms from now on");
      this.set += 1;
      const timer = { atMs: this.nowMs + delayMs, run };
      this.#timers.push(timer);
      return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
    },
    endTurn: () => assert.unreachable("an alarm has no work for the end of a turn"),
    defer: () => assert.unreachable("an alarm has no work for the end of a turn"),
  };

  get waiting(): number {
    return this.#timers.length;
  }

  goTo(atMs: number): void {
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= atMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.run();
    }
    this.nowMs = atMs;
  }
}

/** What uses an alarm: deadlines that come and go, and the times at which some were found to be due. */
class Deadlines {
  readonly missed = new Map<number, number>();
  readonly #waiting = new Map<number, number>();
  readonly #alarm: Alarm;

  constructor(time: Time) {
    this.#alarm = new Alarm(time, (nowMs) => {
      for (const [id, atMs] of this.#waiting) {
        if (atMs > nowMs) continue;
        this.#waiting.delete(id);
        this.missed.set(id, nowMs);
      }
      return Math.min(Infinity, ...this.#waiting.values());
    });
  }

  add(id: number, atMs: number): void {
    this.#waiting.set(id, atMs);
    this.#alarm.by(atMs);
  }

  remove(id: number): void {
    this.#waiting.delete(id);
  }

  cancel(): void {
    this.#waiting.clear();
    this.#alarm.cancel();
  }
}

alarms("each deadline that was not met rings within the ms it is due in, the others never", () => {
  const deadline = fc.record({
    pauseMs: fc.nat(50),
    delayMs: fc.nat(800).map((quarters) => quarters / 4),
    metAfterMs: fc.option(fc.nat(250)),
  });
  fc.assert(fc.property(fc.array(deadline, { maxLength: 30 }), (all) => {
    const time = new Time();
    const deadlines = new Deadlines(time);
    const met: { readonly id: number; readonly atMs: number }[] = [];
    const expected = new Map<number, number>();
    const goTo = (atMs: number) => {
      for (const one of met.filter((one) => one.atMs <= atMs).sort((a, b) => a.atMs - b.atMs)) {
        time.goTo(one.atMs);
        deadlines.remove(one.id);
        met.splice(met.indexOf(one), 1);
      }
      time.goTo(atMs);
    };
    for (const [id, { pauseMs, delayMs, metAfterMs }] of all.entries()) {
      goTo(time.nowMs + pauseMs);
      deadlines.add(id, time.nowMs + delayMs);
      const due = time.nowMs + delayMs;
      if (metAfterMs !== null && metAfterMs < delayMs) met.push({ id, atMs: time.nowMs + metAfterMs });
      else expected.set(id, due);
    }
    goTo(time.nowMs + 1_000);
    assert.equal([...deadlines.missed.keys()].sort((a, b) => a - b), [...expected.keys()]);
    for (const [id, due] of expected) {
      const rangMs = deadlines.missed.get(id)!;
      assert.ok(rangMs >= due && rangMs < due + 1, `due at ${due}, rang at ${rangMs}`);
    }
    assert.is(time.waiting, 0);
  }));
});

alarms("a thousand deadlines, all of them met, cost one timer", () => {
  const time = new Time();
  const deadlines = new Deadlines(time);
  for (let id = 0; id < 1_000; id++) {
    time.goTo(id);
    deadlines.add(id, id + 30_000);
    deadlines.remove(id);
  }
  assert.is(time.set, 1);
});

alarms("nothing rings once it is cancelled, until the next deadline", () => {
  const time = new Time();
  const deadlines = new Deadlines(time);
  deadlines.add(1, 10);
  deadlines.cancel();
  assert.is(time.waiting, 0);
  time.goTo(5);
  deadlines.add(2, 20);
  time.goTo(100);
  assert.equal([...deadlines.missed], [[2, 20]]);
});

alarms.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { QueueState } from "../../shards/partition/groups/queue-state.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";
import { DeliveryTimes } from "../../tools/simulator/delivery-times.ts";
import type { Violation } from "../../tools/simulator/history.ts";
import { KeyOrder } from "../../tools/simulator/key-order.ts";

const checkers = suite("the checkers of when and in which order queues deliver");

/** What a story of times makes of it: the invariants found broken. `rightSinceMs`: since when the clocks are right. */
function timesOf(story: (times: DeliveryTimes) => void, rightSinceMs = 0): string[] {
  const violations: Violation[] = [];
  story(new DeliveryTimes(() => rightSinceMs, (violation) => violations.push(violation)));
  return violations.map(({ invariant }) => invariant);
}

const HOUR_MS = 3_600_000;

checkers("a record that waits is given out at its time, or a while after it", () => {
  for (const nowMs of [12_000, 11_999, 15_000, HOUR_MS]) {
    assert.equal(
      timesOf((times) => {
        times.sent("a", 10_000, { delayMs: 2_000 });
        times.delivered("a", nowMs, null);
      }),
      [],
    );
  }
});

checkers("nothing is given out before its time", () => {
  const early = (times: DeliveryTimes) => {
    times.sent("a", 10_000, { delayMs: 2_000 });
    times.delivered("a", 11_990, null);
  };
  assert.equal(timesOf(early), ["delivered before its time"]);
  assert.equal(timesOf(early, Infinity), [], "a clock is wrong");
  assert.equal(timesOf(early, 8_500), [], "a clock was wrong when it may have been chosen");
  assert.equal(timesOf(early, 7_000), ["delivered before its time"], "it was, but before");
});

checkers("once everything is healed nothing waits long beyond its time", () => {
  const given = (atMs: number) =>
    timesOf((times) => {
      times.sent("a", 10_000, { delayMs: 2_000 });
      times.delivered("a", atMs, null);
      times.delivered("a", atMs + HOUR_MS, null);
      times.checkLate(20_000);
    });
  assert.equal(given(49_000), []);
  assert.equal(given(51_000), ["delivered late"]);
});

checkers(
  "what was sent for a while is given out in time: the question may have been asked a moment before it was over",
  () => {
    const mortal = (nowMs: number, expiresMs: number | null, rightSinceMs = 0) =>
      timesOf((times) => {
        times.sent("a", 10_000, { ttlMs: 1_000 });
        times.delivered("a", nowMs, expiresMs);
      }, rightSinceMs);
    assert.equal(mortal(10_500, 11_000), []);
    assert.equal(mortal(14_900, 11_000), [], "asked at 10,900");
    assert.equal(mortal(15_100, 11_000), ["delivered when its time was over"]);
    assert.equal(mortal(15_100, 11_000, 12_000), [], "a clock was wrong");
    assert.equal(mortal(15_100, 15_000), [], "it waited in the producer before it got its time");
    assert.equal(mortal(10_500, null), ["a record's time to live changed"]);
    assert.equal(mortal(10_500, 10_900), ["a record's time to live changed"]);
  },
);

checkers("what is given up because its time was over had its time", () => {
  const given = (letterMs: number, rightSinceMs = 0) =>
    timesOf((times) => {
      times.sent("a", 10_000, { ttlMs: 1_000 });
      times.expired("a", letterMs);
    }, rightSinceMs);
  assert.equal(given(11_000), []);
  assert.equal(given(10_900), ["given up before its time was over"]);
  assert.equal(given(10_900, 1), [], "clocks were wrong");
  assert.equal(timesOf((times) => times.expired("b", 1)), ["a dead letter that nobody sent"]);
});

/** A queue of six records, by their keys, and whose leases are held against these. */
function ordered(
  keys: readonly (string | undefined)[],
  story: (lease: (...offsets: number[]) => QueueState) => void,
): string[] {
  const violations: Violation[] = [];
  const order = new KeyOrder((violation) => violations.push(violation));
  keys.forEach((key, offset) => order.put(offset, key));
  const queue = new QueueState({ leaseMs: 100, deliveriesMax: 1, deadLetter: "dead", keyOrdered: true }, 0);
  let leaseId = 0;
  story((...offsets) => {
    const wanted = new OffsetSet();
    for (const offset of offsets) wanted.add(offset, offset + 1);
    queue.lease(++leaseId, "c", 100, wanted, keys.length);
    order.leased("shard 9", queue, offsets);
    return queue;
  });
  return violations.map(({ detail }) => detail);
}

checkers("records of different keys go side by side, those of one key one after the other", () => {
  const found = ordered(["a", "b", "a", undefined, undefined], (lease) => {
    lease(0, 1, 3).ack(1, "c", OffsetSet.of(0, 1));
    lease(2, 4);
  });
  assert.equal(found, []);
});

checkers("a record of a key that is dead, or was deleted, holds nothing up", () => {
  const found = ordered(["a", "a", "b", "b"], (lease) => {
    lease(0).expire(1);
    lease(1).trimmed(3);
    lease(3);
  });
  assert.equal(found, []);
});

checkers("two records of a key at once are found: in two leases, in one, and while the first was put off", () => {
  const wrong = (second: number, first: number) =>
    `shard 9/${second} of key a was given out while ${first} was not done with`;
  assert.equal(ordered(["a", "a"], (lease) => [lease(0), lease(1)]), [wrong(1, 0)]);
  assert.equal(ordered(["a", "a"], (lease) => lease(0, 1)), [wrong(1, 0)]);
  assert.equal(ordered(["a", "a"], (lease) => lease(1)), [wrong(1, 0)]);
  const parked = ordered(["a", "b", "a"], (lease) => {
    lease(1).park(1, 5_000, OffsetSet.of(0, 1), 3);
    lease(2);
  });
  assert.equal(parked, [wrong(2, 0)]);
});

checkers.run();

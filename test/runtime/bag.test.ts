/** A bag is a set without an order, and leaves nothing behind of what came and went. */
import v8 from "node:v8";
import vm from "node:vm";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Bag, type Bagged } from "../../src/runtime/bag.ts";

interface Thing extends Bagged {
  readonly bytes: Uint8Array;
}

const THING_BYTES = 10_000;

const bags = suite("a bag of what comes and goes");

bags("holds what was added and not deleted", () => {
  fc.assert(fc.property(fc.array(fc.nat(9)), (steps) => {
    const items = Array.from({ length: 10 }, () => ({ place: -1 }));
    const bag = new Bag<Bagged>();
    const set = new Set<Bagged>();
    for (const step of steps) {
      const item = items[step]!;
      assert.is(bag.has(item), set.has(item));
      if (set.has(item)) assert.is(bag.delete(item), set.delete(item));
      else {
        assert.is(bag.delete(item), false, "it is not here");
        bag.add(item);
        set.add(item);
      }
      assert.is(bag.size, set.size);
      assert.equal(new Set(bag.all()), set);
    }
  }));
});

bags("does not delete what is in another", () => {
  const [here, there] = [new Bag<Bagged>(), new Bag<Bagged>()];
  const [mine, other] = [{ place: -1 }, { place: -1 }];
  here.add(mine);
  there.add(other);
  assert.is(here.has(other), false);
  assert.is(here.delete(other), false);
  assert.ok(there.has(other) && here.has(mine));
});

bags("is empty when it was cleared, and takes them again", () => {
  const bag = new Bag<Bagged>();
  const items = [{ place: -1 }, { place: -1 }];
  for (const item of items) bag.add(item);
  bag.clear();
  assert.equal([bag.size, bag.all(), items.map((item) => bag.has(item))], [0, [], [false, false]]);
  bag.add(items[1]!);
  assert.equal(items.map((item) => bag.delete(item)), [false, true]);
});

bags("leaves what came and went to the next collection of young objects", () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as (options: { type: "minor" }) => void;
  const bag = new Bag<Thing>();
  // It is old by then, as in any process that has run for a while.
  for (let i = 0; i < 4; i++) collect({ type: "minor" });
  const before = v8.getHeapStatistics().external_memory;
  const there: Thing[] = [];
  for (let i = 0; i < 2_000; i++) {
    const thing = { place: -1, bytes: new Uint8Array(THING_BYTES) };
    there.push(thing);
    bag.add(thing);
    if (there.length > 3) bag.delete(there.shift()!);
    if (i % 100 === 0) collect({ type: "minor" });
  }
  for (let i = 0; i < 3; i++) collect({ type: "minor" });
  const left = (v8.getHeapStatistics().external_memory - before) / THING_BYTES;
  assert.ok(left < 50, `${left} of 2,000 things are still there`);
});

bags.run();

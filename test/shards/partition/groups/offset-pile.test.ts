import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OffsetPile } from "../../../../shards/partition/groups/offset-pile.ts";
import { OffsetSet } from "../../../../src/records/offset-set.ts";

const piles = suite("piles of offsets");

piles("a pile gives back what was put on it, and looks the same however it was built", () => {
  const some = fc.uniqueArray(fc.nat(20_000), { maxLength: 600 });
  fc.assert(fc.property(some, fc.integer({ min: 1, max: 200 }), fc.nat(50_000), (offsets, atOnce, from) => {
    const pile = new OffsetPile();
    for (let i = 0; i < offsets.length; i += atOnce) {
      const part = new OffsetSet();
      for (const offset of offsets.slice(i, i + atOnce)) part.add(offset, offset + 1);
      pile.add(part);
    }
    assert.is(pile.size, offsets.length);
    const again = new OffsetPile();
    again.load(pile.encode());
    assert.equal(again.encode(), pile.encode());
    const target = new OffsetSet();
    again.moveTo(target, from);
    assert.is(target.size, offsets.filter((offset) => offset >= from).length);
  }));
});

piles.run();

import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OffsetPile } from "../../../../shards/partition/groups/offset-pile.ts";
import { CHUNK_OFFSETS, OffsetSet } from "../../../../shards/partition/groups/offset-set.ts";

const sets = suite("sets of offsets");

const SPAN = 3 * CHUNK_OFFSETS;
const range = fc.tuple(fc.nat(SPAN), fc.oneof(fc.nat(5), fc.nat(CHUNK_OFFSETS * 2)));
const change = fc.record({ add: fc.boolean(), range });

sets("holds what a naive set holds, through any additions and removals", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 10 }), fc.nat(SPAN), (changes, probe) => {
      const set = new OffsetSet();
      const naive = new Set<number>();
      for (const { add, range: [start, length] } of changes) {
        const before = naive.size;
        for (let offset = start; offset < start + length; offset++) {
          if (add) naive.add(offset);
          else naive.delete(offset);
        }
        const changed = add ? set.add(start, start + length) : set.remove(start, start + length);
        assert.is(changed, Math.abs(naive.size - before));
        assert.is(set.size, naive.size);
      }
      const members = [...naive].sort((a, b) => a - b);
      assert.is(set.has(probe), naive.has(probe));
      assert.is(set.nextIn(probe), members.find((offset) => offset >= probe) ?? Infinity);
      let out = probe;
      while (naive.has(out)) out += 1;
      assert.is(set.nextOut(probe), out);
      const again = new OffsetSet();
      again.load(set.encode());
      assert.equal(again.encode(), set.encode());
      assert.is(again.size, set.size);
    }),
    { numRuns: 60 },
  );
});

sets("every second of a million offsets takes a bit each, and in a checkpoint the same", () => {
  const set = new OffsetSet();
  for (let offset = 0; offset < 1_000_000; offset += 2) set.add(offset, offset + 1);
  const [ranges, bitmaps] = set.encode();
  const bytes = ranges.length * 4 + bitmaps.reduce((total, [, bitmap]) => total + bitmap.length + 8, 0);
  assert.ok(bytes < 140_000, `${bytes} bytes`);
  assert.is(set.size, 500_000);
});

sets("a hundred million offsets in one piece are captured as one range", () => {
  const set = new OffsetSet();
  set.add(7, 100_000_000);
  assert.equal(set.encode(), [[7, 100_000_000], []]);
});

sets("a pile gives back what was put on it, and looks the same however it was built", () => {
  fc.assert(fc.property(fc.uniqueArray(fc.nat(20_000), { maxLength: 600 }), fc.nat(50_000), (offsets, from) => {
    const pile = new OffsetPile();
    for (const offset of offsets) pile.add(offset, offset + 1);
    assert.is(pile.size, offsets.length);
    const again = new OffsetPile();
    again.load(pile.encode());
    assert.equal(again.encode(), pile.encode());
    const target = new OffsetSet();
    again.moveTo(target, from);
    assert.is(target.size, offsets.filter((offset) => offset >= from).length);
  }));
});

sets.run();

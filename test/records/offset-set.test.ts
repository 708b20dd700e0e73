import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHUNK_OFFSETS } from "../../src/records/offset-chunk.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";

const sets = suite("sets of offsets");

const SPAN = 3 * CHUNK_OFFSETS;
/** One offset, some in a row, or every second, third, … of some. */
const stretch = fc.record({
  start: fc.nat(SPAN),
  length: fc.oneof(fc.nat(5), fc.nat(CHUNK_OFFSETS * 2)),
  stride: fc.constantFrom(1, 1, 2, 3, 64, 1_000),
});
type Stretch = { readonly start: number; readonly length: number; readonly stride: number };
const change = fc.record({ add: fc.boolean(), stretch });

function offsetsIn({ start, length, stride }: Stretch): number[] {
  const offsets: number[] = [];
  for (let offset = start; offset < start + length; offset += stride) offsets.push(offset);
  return offsets;
}

const ascending = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);

/** The same offsets twice. */
const members = fc.array(stretch, { maxLength: 6 }).map((stretches) => {
  const naive = new Set(stretches.flatMap(offsetsIn));
  const set = new OffsetSet();
  for (const { start, length, stride } of stretches) {
    if (stride === 1) set.add(start, start + length);
    else for (const offset of offsetsIn({ start, length, stride })) set.add(offset, offset + 1);
  }
  return { set, naive };
});

function listOf(set: OffsetSet): number[] {
  return [...set.ranges()].flatMap(([start, end]) => offsetsIn({ start, length: end - start, stride: 1 }));
}

sets("holds what a naive set holds, through any additions and removals", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 10 }), fc.nat(SPAN), (changes, probe) => {
      const set = new OffsetSet();
      const naive = new Set<number>();
      for (const { add, stretch: { start, length } } of changes) {
        const before = naive.size;
        for (const offset of offsetsIn({ start, length, stride: 1 })) {
          if (add) naive.add(offset);
          else naive.delete(offset);
        }
        const changed = add ? set.add(start, start + length) : set.remove(start, start + length);
        assert.is(changed, Math.abs(naive.size - before));
        assert.is(set.size, naive.size);
      }
      assert.is(set.has(probe), naive.has(probe));
      assert.is(set.nextIn(probe), ascending(naive).find((offset) => offset >= probe) ?? Infinity);
      let out = probe;
      while (naive.has(out)) out += 1;
      assert.is(set.nextOut(probe), out);
    }),
    { numRuns: 100 },
  );
});

sets("put together, taken apart and cut as naive sets are", () => {
  fc.assert(
    fc.property(members, members, fc.nat(SPAN), fc.nat(SPAN), (one, other, from, to) => {
      const both = one.set.slice(0);
      assert.is(both.addAll(other.set), [...other.naive].filter((offset) => !one.naive.has(offset)).length);
      assert.equal(listOf(both), ascending(new Set([...one.naive, ...other.naive])));
      assert.is(both.end, Math.max(-1, ...both.size > 0 ? [listOf(both).at(-1)!] : []) + 1);

      const expected = ascending(one.naive).find((offset) => offset >= from && !other.naive.has(offset));
      assert.is(one.set.nextIn(from, other.set), expected ?? Infinity);

      const slice = ascending(one.naive).filter((offset) => offset >= from && offset < to);
      assert.equal(listOf(one.set.slice(from, to)), slice);

      const first = one.set.slice(0);
      first.keepFirst(from % 100);
      assert.equal(listOf(first), ascending(one.naive).slice(0, from % 100));

      const rest = one.set.slice(0);
      const taken = rest.take(other.set);
      assert.equal(listOf(taken), ascending(one.naive).filter((offset) => other.naive.has(offset)));
      assert.equal(listOf(rest), ascending(one.naive).filter((offset) => !other.naive.has(offset)));
      assert.is(rest.size + taken.size, one.set.size);
      assert.equal(listOf(one.set), ascending(one.naive), "copies are copies");
      assert.equal(listOf(other.set), ascending(other.naive));
    }),
    { numRuns: 100 },
  );
});

sets.run();

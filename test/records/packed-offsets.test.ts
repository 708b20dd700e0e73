import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHUNK_OFFSETS } from "../../src/records/offset-chunk.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";
import { packedBytesMax, packOffsets, unpackOffsets } from "../../src/records/packed-offsets.ts";

const packing = suite("packed offsets");

const COUNT_MAX = 50_000;
const base = fc.oneof(
  fc.constant(0),
  fc.nat(3 * CHUNK_OFFSETS),
  fc.maxSafeNat().map((start) => Math.max(0, start - 30_000)),
);
const stretch = fc.record({
  start: base,
  length: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 * CHUNK_OFFSETS })),
  stride: fc.constantFrom(1, 1, 2, 3, 31, 1_000),
});
const set = fc.array(stretch, { maxLength: 5 }).map((stretches) => {
  const offsets = new OffsetSet();
  for (const { start, length, stride } of stretches) {
    for (let at = start; at < start + length; at += stride) offsets.add(at, stride === 1 ? at += length : at + 1);
  }
  return offsets;
});

packing("any set comes out as it went in, in one form, and in no more bytes than was said", () => {
  fc.assert(
    fc.property(set, (offsets) => {
      const bytes = packOffsets(offsets);
      assert.ok(bytes.length <= packedBytesMax(offsets), `${bytes.length} of ${packedBytesMax(offsets)} bytes`);
      const again = unpackOffsets(bytes, COUNT_MAX)!;
      assert.is(again.size, offsets.size);
      assert.equal([...again.ranges()], [...offsets.ranges()]);
      // Built another way: one by one, from the end.
      const rebuilt = new OffsetSet();
      for (const [start, end] of [...offsets.ranges()].reverse()) {
        for (let at = end - 1; at >= start; at--) rebuilt.add(at, at + 1);
      }
      assert.equal(packOffsets(rebuilt), bytes);
    }),
    { numRuns: 100 },
  );
});

packing("whatever the bytes are: a set within the bound, or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.nat(5_000), (bytes, countMax) => {
      const offsets = unpackOffsets(bytes, countMax);
      if (offsets === undefined) return;
      assert.ok(offsets.size <= countMax);
      assert.equal([...unpackOffsets(packOffsets(offsets), countMax)!.ranges()], [...offsets.ranges()]);
    }),
    { numRuns: 500 },
  );
});

packing("bytes that are changed or cut are a set within the bound, or nothing", () => {
  fc.assert(
    fc.property(set, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (offsets, place, flip, cut) => {
      const bytes = packOffsets(offsets);
      if (bytes.length === 0) return;
      const changed = bytes.slice(0, 1 + (cut % bytes.length));
      changed[place % changed.length]! ^= flip;
      const read = unpackOffsets(changed, COUNT_MAX);
      assert.ok(read === undefined || read.size <= COUNT_MAX);
    }),
    { numRuns: 300 },
  );
});

packing("a few bytes that declare a great many offsets are refused before any is made", () => {
  const whole = packOffsets(OffsetSet.of(7, 100_000_000));
  assert.ok(whole.length < 10);
  assert.is(unpackOffsets(whole, 10_000), undefined);
  assert.is(unpackOffsets(Uint8Array.of(0, 0), COUNT_MAX), undefined, "a stretch of none");
  assert.is(unpackOffsets(Uint8Array.of(1), COUNT_MAX), undefined, "a bitmap that does not follow");
  assert.is(unpackOffsets(new Uint8Array(513).fill(0).fill(1, 0, 1), COUNT_MAX), undefined, "an empty bitmap");
  assert.is(unpackOffsets(new Uint8Array(20).fill(0xff), COUNT_MAX), undefined, "a number without end");
  const beyond = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 2);
  assert.is(unpackOffsets(beyond, COUNT_MAX), undefined, "beyond 2^53 - 1");
});

packing("a hundred million offsets in one piece take a few bytes, every second of a million a bit each", () => {
  const whole = OffsetSet.of(7, 100_000_000);
  assert.equal([...unpackOffsets(packOffsets(whole), Infinity)!.ranges()], [[7, 100_000_000]]);
  const scattered = new OffsetSet();
  for (let offset = 0; offset < 1_000_000; offset += 2) scattered.add(offset, offset + 1);
  const { length } = packOffsets(scattered);
  assert.ok(length < 130_000, `${length} bytes`);
});

packing.run();

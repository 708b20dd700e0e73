import { crc32 } from "node:zlib";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RecordsError } from "../../src/records/errors.ts";
import { compressLz4, decompressLz4, lz4BytesMax } from "../../src/records/lz4.ts";

const lz4 = suite("LZ4 blocks");

function packed(bytes: Uint8Array): Uint8Array {
  const room = new Uint8Array(lz4BytesMax(bytes.length));
  return room.subarray(0, compressLz4(bytes, room));
}

/** Text, runs and noise of all lengths, as batches have them. */
const source = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.tuple(fc.nat(255), fc.nat(600)).map(([value, count]) => new Uint8Array(count).fill(value)),
    fc.constantFrom("customer-", "paid", '{"order":42,"state":"').map((text) => new TextEncoder().encode(text)),
  ),
  { maxLength: 60 },
).map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

lz4("give back what went in, within the bound", () => {
  fc.assert(fc.property(source, (bytes) => {
    const block = packed(bytes);
    assert.ok(block.length <= lz4BytesMax(bytes.length));
    assert.ok(Buffer.from(decompressLz4(block, bytes.length)).equals(bytes));
  }));
});

lz4("of other makers are read: a literal run, a match that overlaps itself, a long length", () => {
  // As lz4 1.9 writes 300 times "a", and "abcd" twice with an end.
  const run = Uint8Array.from([0x1f, 0x61, 0x01, 0x00, 0xff, 0x14, 0x50, 0x61, 0x61, 0x61, 0x61, 0x61]);
  assert.is(new TextDecoder().decode(decompressLz4(run, 1_000)), "a".repeat(1 + 4 + 15 + 255 + 20 + 5));
  assert.ok(packed(new Uint8Array(100_000)).length < 500);
});

lz4("that lie are refused: too large, cut off, a match before the start", () => {
  const code = (block: Uint8Array, bytesMax: number) => {
    try {
      decompressLz4(block, bytesMax);
      return "";
    } catch (error) {
      assert.instance(error, RecordsError);
      return (error as RecordsError).code;
    }
  };
  assert.is(code(packed(new Uint8Array(10_000)), 9_999), "TOO_LARGE");
  assert.is(code(Uint8Array.from([0x10, 0x61, 0x09, 0x00]), 100), "CORRUPT");
  assert.is(code(Uint8Array.from([0xf0, 0xff]), 100), "CORRUPT");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
    const found = code(noise, 10_000);
    assert.ok(["", "CORRUPT", "TOO_LARGE"].includes(found));
  }));
});

lz4("are the same on every runtime", () => {
  const text = new TextEncoder().encode(Array.from({ length: 500 }, (_, i) => `record ${i * i} of many; `).join(""));
  assert.is(crc32(packed(text)), CHECK);
});

/** Of the block of that text, made on Node 20. */
const CHECK = 2_888_283_135;

lz4.run();

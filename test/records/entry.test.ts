import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import {
  Codec,
  Entry,
  ENTRY_HEADER_BYTES,
  type EntryFields,
  EntryKind,
  RecordFormat,
} from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";

const fields: fc.Arbitrary<EntryFields> = fc.record({
  kind: fc.constantFrom(...Object.values(EntryKind)),
  payload: fc.uint8Array({ maxLength: 200 }),
  format: fc.constantFrom(...Object.values(RecordFormat)),
  codec: fc.constantFrom(...Object.values(Codec)),
  maxTimestampMs: fc.maxSafeNat(),
  recordCount: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  producerId: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  producerEpoch: fc.integer({ min: 0, max: 65_535 }),
  baseSequence: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});
const place = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat());

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RecordsError) return error.code;
    throw error;
  }
  return "";
}

const entries = suite("entries");

entries("come out as they went in, from anywhere in a buffer", () => {
  fc.assert(fc.property(fields, place, fc.nat(50), (given, [term, index, baseOffset], at) => {
    const made = Entry.create(given);
    made.stamp(term, index, baseOffset);
    const buffer = new Uint8Array(at + made.byteLength + 20).fill(0xee);
    buffer.set(made.bytes, at);
    const read = Entry.parse(buffer, at);
    read.verifyPayload();
    const { payload, ...rest } = given;
    for (const [name, value] of Object.entries(rest)) assert.is(read[name as keyof typeof rest], value, name);
    assert.equal([...read.payload], [...payload]);
    assert.equal([read.term, read.index, read.baseOffset], [term, index, baseOffset]);
    assert.is(read.nextOffset, baseOffset + given.recordCount!);
    assert.is(read.byteLength, ENTRY_HEADER_BYTES + payload.length);
  }));
});

entries("keep their payload and its checksum when they are stamped", () => {
  const entry = Entry.create({ kind: EntryKind.batch, payload: Uint8Array.of(1, 2, 3), recordCount: 1 });
  const { payloadCrc } = entry;
  const before = entry.headerCrc;
  entry.stamp(7, 8, 9);
  assert.is(entry.payloadCrc, payloadCrc);
  assert.is.not(entry.headerCrc, before);
});

entries("show every damaged bit", () => {
  const entry = Entry.create({ kind: EntryKind.batch, payload: Uint8Array.of(1, 2, 3), recordCount: 3 });
  for (let bit = 0; bit < entry.byteLength * 8; bit++) {
    const damaged = Uint8Array.from(entry.bytes);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.is(codeOf(() => Entry.parse(damaged).verifyPayload()), "CORRUPT", `bit ${bit}`);
  }
});

entries("say when they are cut off, and read any bytes as an entry or a typed error", () => {
  const entry = Entry.create({ kind: EntryKind.noOp, payload: new Uint8Array(10) });
  for (let length = 0; length < entry.byteLength; length++) {
    assert.is(codeOf(() => Entry.parse(entry.bytes.subarray(0, length))), "TRUNCATED", `${length} bytes`);
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 64, maxLength: 200 }), (bytes) => {
    assert.ok(["CORRUPT", "TRUNCATED", "UNSUPPORTED_VERSION"].includes(codeOf(() => Entry.parse(bytes))));
  }));
});

entries.run();

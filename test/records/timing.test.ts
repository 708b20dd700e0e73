import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readBatch } from "../../src/records/batch-reader.ts";
import { BatchWriter } from "../../src/records/batch-writer.ts";
import { Codec, Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";
import { timingOf } from "../../src/records/timing.ts";

const timing = suite("timed batches");

const time = fc.option(fc.maxSafeNat());

timing("the times and the records come back, compressed or not", () => {
  fc.assert(fc.property(time, time, fc.constantFrom(Codec.none, Codec.deflate), (deliverAtMs, expiresAtMs, codec) => {
    const writer = new BatchWriter({ bytesMax: 100_000, timing: { deliverAtMs, expiresAtMs } });
    for (let i = 0; i < 50; i++) writer.append(1_000 + i, `key ${i}`, "value ".repeat(10), null);
    const entry = writer.finish({ codec });
    entry.verifyPayload();
    const found = timingOf(entry);
    assert.equal([found.deliverAtMs, found.expiresAtMs], [deliverAtMs, expiresAtMs]);
    const records = readBatch(entry);
    assert.is(records.length, 50);
    records.forEach((record, i) => {
      assert.equal([record.keyText(), record.timestamp], [`key ${i}`, 1_000 + i]);
      assert.equal([record.deliverAt, record.expiresAt], [deliverAtMs, expiresAtMs]);
    });
  }));
});

timing("a batch without times is as it was", () => {
  const writer = new BatchWriter({ bytesMax: 1_000 });
  writer.append(1, null, "x", null);
  const entry = writer.finish();
  assert.is(entry.format, RecordFormat.cbor);
  assert.is(timingOf(entry).byteLength, 0);
});

timing("what is no pair of times is refused", () => {
  for (
    const payload of [[], [0x82], [0x81, 0xf6], [0x82, 0xf6], [0x82, 0x1b, 1, 2], [
      0x82,
      0xf6,
      0x1b,
      ...new Array(8).fill(255),
    ]]
  ) {
    const bytes = Uint8Array.from(payload);
    const entry = Entry.create({
      kind: EntryKind.batch,
      format: RecordFormat.cborTimed,
      payload: bytes,
      recordCount: 1,
    });
    assert.throws(() => timingOf(entry), (error: RecordsError) => error.code === "CORRUPT", payload.join());
  }
});

timing.run();

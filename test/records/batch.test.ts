import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { deflateRawSync } from "node:zlib";
import { BatchReader, readBatch } from "../../src/records/batch-reader.ts";
import { BatchWriter, type Bytes, type Headers } from "../../src/records/batch-writer.ts";
import { hasCodec } from "../../src/records/codecs.ts";
import { Codec, Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";

interface Sample {
  readonly timestamp: number;
  readonly key: Bytes | null;
  readonly value: Bytes;
  readonly headers: Headers | null;
}

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: "grapheme", maxLength: 100 }));
const bytes = fc.oneof<fc.Arbitrary<Bytes>[]>(text, fc.uint8Array({ maxLength: 400 }));
const sample: fc.Arbitrary<Sample> = fc.record({
  timestamp: fc.oneof(fc.integer({ min: 1_000_000, max: 1_000_500 }), fc.maxSafeNat()),
  key: fc.option(bytes),
  value: bytes,
  headers: fc.option(fc.dictionary(text, bytes, { maxKeys: 4 })),
});

function write(samples: readonly Sample[], codec: number = Codec.none): Entry {
  const writer = new BatchWriter({ bytesMax: 1 << 20 });
  for (const { timestamp, key, value, headers } of samples) assert.ok(writer.append(timestamp, key, value, headers));
  const entry = writer.finish({ codec, producerId: 2 ** 40, producerEpoch: 3, baseSequence: 9 });
  entry.stamp(1, 2, 1_000);
  return entry;
}

/** As it reads: lone surrogates become U+FFFD in UTF-8. */
function utf8(value: Bytes): number[] {
  return [...typeof value === "string" ? Buffer.from(value, "utf8") : value];
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RecordsError) return error.code;
    throw error;
  }
  return "";
}

function batchOf(payload: Uint8Array, recordCount: number, codec: number = Codec.none): Entry {
  return Entry.create({
    kind: EntryKind.batch,
    format: RecordFormat.cbor,
    codec,
    payload,
    recordCount,
    maxTimestampMs: 99,
  });
}

const codecs = [Codec.none, Codec.deflate, Codec.zstd, Codec.lz4].filter(hasCodec);

const trips = suite("batches: round trips");

trips("records come out as they went in", () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), fc.constantFrom(...codecs), (samples, codec) => {
      const entry = write(samples, codec);
      entry.verifyPayload();
      assert.is(entry.recordCount, samples.length);
      assert.is(entry.maxTimestampMs, Math.max(...samples.map(({ timestamp }) => timestamp)));
      assert.equal([entry.producerId, entry.producerEpoch, entry.baseSequence], [2 ** 40, 3, 9]);
      readBatch(entry).forEach((record, i) => {
        const { timestamp, key, value, headers } = samples[i]!;
        assert.is(record.offset, 1_000 + i);
        assert.is(record.timestamp, timestamp);
        assert.equal(record.key && [...record.key], key === null ? null : utf8(key));
        assert.equal([...record.value], utf8(value));
        assert.is(record.text(), Buffer.from(utf8(value)).toString("utf8"));
        const expected = new Map(Object.entries(headers ?? {}).map(([name, one]) => [textOf(name), one]));
        const read = new Map(Object.entries(record.headers));
        assert.equal([...read.keys()], [...expected.keys()]);
        for (const [name, one] of read) {
          assert.is(typeof one, typeof expected.get(name));
          assert.equal(utf8(one), utf8(expected.get(name)!));
        }
      });
    }),
    { numRuns: 300 },
  );
});

function textOf(value: string): string {
  return Buffer.from(value, "utf8").toString("utf8");
}

trips("items around every length of a header", () => {
  for (const length of [0, 1, 7, 8, 23, 24, 25, 85, 86, 255, 256, 65_535, 65_536]) {
    for (const value of ["x".repeat(length), "ü".repeat(length), new Uint8Array(length).fill(1)]) {
      const [record] = readBatch(write([{ timestamp: 1, key: value, value, headers: null }]));
      assert.is(Buffer.compare(record!.value, Buffer.from(utf8(value))), 0, `${length}`);
      assert.is(Buffer.compare(record!.key!, Buffer.from(utf8(value))), 0, `${length}`);
    }
  }
});

trips("the bytes are a CBOR sequence that says what README says", () => {
  const entry = write([
    { timestamp: 1_000, key: null, value: "a", headers: null },
    { timestamp: 1_003, key: "k", value: Uint8Array.of(255), headers: { h: "v" } },
    { timestamp: 998, key: null, value: "", headers: null },
  ]);
  const first = [0x84, 0x1b, 0, 0, 0, 0, 0, 0, 0, 3, 0xf6, 0x61, 0x61, 0xf6];
  const second = [0x84, 0x03, 0x61, 0x6b, 0x41, 0xff, 0xa1, 0x61, 0x68, 0x61, 0x76];
  const third = [0x84, 0x21, 0xf6, 0x60, 0xf6];
  assert.equal([...entry.payload], [...first, ...second, ...third]);
});

trips("a header may be called __proto__", () => {
  const headers = Object.fromEntries([["__proto__", "x"]]);
  const [record] = readBatch(write([{ timestamp: 1, key: null, value: "", headers }]));
  assert.equal(Object.entries(record!.headers), [["__proto__", "x"]]);
});

trips("a cursor reads without objects, and skips", () => {
  const entry = write(
    Array.from({ length: 10 }, (_, i) => ({ timestamp: i, key: null, value: `${i}`, headers: null })),
  );
  const reader = new BatchReader(entry);
  reader.skipTo(1_007);
  const seen: number[] = [];
  while (reader.next()) seen.push(reader.offset, reader.timestampMs, reader.bytes[reader.valueStart]! - 48);
  assert.equal(seen, [1_007, 7, 7, 1_008, 8, 8, 1_009, 9, 9]);
});

trips.run();

const bounds = suite("batches: bounds");

bounds("a full batch refuses a record, which fits into the next", () => {
  const writer = new BatchWriter({ bytesMax: 300 });
  let batches = 0;
  let records = 0;
  for (let i = 0; i < 100; i++) {
    if (!writer.append(i, null, "x".repeat(50), null)) {
      const entry = writer.finish();
      assert.ok(entry.byteLength <= 300 && entry.byteLength > 220, `${entry.byteLength}`);
      records += readBatch(entry).length;
      batches++;
      assert.ok(writer.append(i, null, "x".repeat(50), null));
    }
  }
  assert.is(records + writer.count, 100);
  assert.ok(batches > 20);
});

bounds("a large record goes alone beyond the target, but not beyond the maximum", () => {
  const writer = new BatchWriter({ bytesMax: 1_000, bytesTarget: 200 });
  assert.ok(writer.append(1, null, "small", null));
  assert.not.ok(writer.append(1, null, "x".repeat(500), null));
  assert.is(readBatch(writer.finish()).length, 1);
  assert.ok(writer.append(1, null, "x".repeat(500), null));
  assert.not.ok(writer.append(1, null, "small", null));
  assert.is(writer.finish().byteLength, 64 + 10 + 1 + 3 + 500 + 1);
  assert.is(codeOf(() => writer.append(1, null, "x".repeat(1_000), null)), "TOO_LARGE");
  assert.is(writer.count, 0);
});

bounds("the largest record that fits is known to the byte", () => {
  for (let length = 180; length < 260; length++) {
    const writer = new BatchWriter({ bytesMax: 300 });
    const alone = codeOf(() => writer.append(1, null, new Uint8Array(length), null));
    const second = new BatchWriter({ bytesMax: 300 });
    second.append(1, null, "", null);
    const after = codeOf(() => second.append(1, null, new Uint8Array(length), null));
    assert.is(after, alone, `${length}`);
    assert.is(alone, 64 + 10 + 1 + 2 + length + 1 <= 300 ? "" : "TOO_LARGE", `${length}`);
  }
});

bounds("what cannot be a record is refused, and what was there stays", () => {
  const writer = new BatchWriter({ bytesMax: 1_000 });
  writer.append(5, null, "first", null);
  const wrong: [number, unknown, unknown, unknown][] = [
    [-1, null, "v", null],
    [1.5, null, "v", null],
    [NaN, null, "v", null],
    [2 ** 60, null, "v", null],
    [1, 5, "v", null],
    [1, null, undefined, null],
    [1, null, [1, 2], null],
    [1, null, "v", { a: 1 }],
  ];
  for (const [timestamp, key, value, headers] of wrong) {
    const act = () => writer.append(timestamp, key as Bytes, value as Bytes, headers as Headers);
    assert.is(codeOf(act), "INVALID_RECORD");
  }
  writer.append(6, null, "second", null);
  assert.equal(readBatch(writer.finish()).map((record) => record.text()), ["first", "second"]);
  assert.throws(() => writer.finish(), /at least one record/);
});

bounds("compression is dropped where it does not pay", () => {
  const noise = Uint8Array.from({ length: 100 }, (_, i) => (i * i * 97 + i * 31) & 255);
  assert.is(write([{ timestamp: 1, key: null, value: noise, headers: null }], Codec.deflate).codec, Codec.none);
  const long = write([{ timestamp: 1, key: null, value: "a".repeat(1_000), headers: null }], Codec.deflate);
  assert.is(long.codec, Codec.deflate);
  assert.ok(long.byteLength < 150);
});

bounds.run();

const hostile = suite("batches: hostile bytes");

hostile("what unpacks to too much is refused", () => {
  const bomb = deflateRawSync(new Uint8Array(10 << 20));
  assert.is(codeOf(() => new BatchReader(batchOf(bomb, 1, Codec.deflate), 1 << 20)), "TOO_LARGE");
  assert.is(codeOf(() => new BatchReader(batchOf(Uint8Array.of(1, 2, 3), 1, Codec.deflate))), "CORRUPT");
  assert.is(codeOf(() => new BatchReader(batchOf(Uint8Array.of(1), 1, 9))), "UNSUPPORTED_CODEC");
  const noBatch = Entry.create({ kind: EntryKind.command, payload: Uint8Array.of(1) });
  assert.is(codeOf(() => new BatchReader(noBatch)), "UNSUPPORTED_FORMAT");
});

hostile("counts and lengths that cannot be true are refused before anything is made of them", () => {
  const record = [0x84, 0, 0xf6, 0x60, 0xf6];
  assert.is(codeOf(() => readBatch(batchOf(Uint8Array.from(record), 1))), "");
  assert.is(codeOf(() => readBatch(batchOf(Uint8Array.from(record), 2 ** 32 - 1))), "CORRUPT");
  assert.is(codeOf(() => readBatch(batchOf(Uint8Array.from([...record, ...record]), 1))), "CORRUPT");
  const wrong = [
    [0x85, 0, 0xf6, 0x60, 0xf6],
    [0x84, 0, 0xf6, 0x7b, 0, 0, 0, 1, 0, 0, 0, 0],
    [0x84, 0, 0xf6, 0x7f, 0x60, 0xff, 0xf6],
    [0x84, 0, 0xf6, 0x78],
    [0x84, 0, 0xf6, 0xf6, 0xf6],
    [0x84, 0, 0xf6, 0x60, 0xba, 0xff, 0xff, 0xff, 0xff],
    [0x84, 0, 0xf6, 0x60, 0xa1, 0x41, 0x61, 0x60],
    [0x84, 0x18, 100, 0xf6, 0x60, 0xf6],
    [0x84, 0x20, 0xf6, 0x60, 0xf6],
    [0x84, 0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0, 0xf6, 0x60, 0xf6],
  ];
  for (const bytes of wrong) {
    assert.is(codeOf(() => readBatch(batchOf(Uint8Array.from(bytes), 1))), "CORRUPT", `${bytes}`);
  }
});

hostile("any bytes are records or a typed error", () => {
  const opener = fc.constantFrom(0x84, 0x00, 0xf6, 0x60, 0x41, 0x61, 0x18, 0x1b, 0xa1, 0xa0, 0x20, 0x78, 0x7b);
  const payload = fc.array(fc.oneof({ weight: 4, arbitrary: opener }, fc.integer({ min: 0, max: 255 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(payload, fc.integer({ min: 0, max: 12 }), (tail, count) => {
      const entry = batchOf(Uint8Array.from([0x84, 0x00, ...tail]), count);
      const code = codeOf(() => {
        for (const record of readBatch(entry)) void [record.key, record.text(), record.headers];
      });
      assert.ok(["", "CORRUPT"].includes(code), code);
    }),
    { numRuns: 10_000 },
  );
});

hostile("a good batch with one changed byte is records or a typed error", () => {
  const entry = write(
    Array.from({ length: 5 }, (_, i) => ({ timestamp: i, key: "k", value: "value", headers: { a: "b" } })),
  );
  fc.assert(
    fc.property(fc.nat(entry.payload.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const payload = Uint8Array.from(entry.payload);
      payload[at] = byte;
      const changed = batchOf(payload, 5);
      const code = codeOf(() => readBatch(changed).forEach((record) => void record.headers));
      assert.ok(["", "CORRUPT"].includes(code), code);
    }),
    { numRuns: 3_000 },
  );
});

hostile.run();

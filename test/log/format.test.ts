import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasBlankSector } from "../../src/log/blank-sector.ts";
import { BlockBuilder } from "../../src/log/block-builder.ts";
import { BLOCK_HEADER_BYTES, decodeBlockHeader, decodeTable } from "../../src/log/block.ts";
import { ByteReader, ByteWriter, FormatError } from "../../src/log/bytes.ts";
import {
  decodeFileHeader,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  fileName,
  fileNumber,
} from "../../src/log/file-header.ts";
import { FileIndex } from "../../src/log/file-index.ts";
import { decodeSummary, decodeTrailer, encodeFooter, TRAILER_BYTES } from "../../src/log/footer.ts";
import { DEFAULT_LOG_LIMITS } from "../../src/log/limits.ts";
import { decodeRecord, EMPTY_RECORD, type LogRecord, type PlacedRecord } from "../../src/log/record.ts";
import { LogError } from "../../src/log/types.ts";
import { WalFile } from "../../src/log/wal-file.ts";
import { entriesOf } from "./entries.ts";
import { SMALL } from "./machine.ts";

const test = suite("the format of the log");
const LIMITS = { ...DEFAULT_LOG_LIMITS, ...SMALL };
const IDENTITY = { low: 0x12345678, high: 0x9abcdef0 };

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
/** As literals are: a comparison would tell records of a null prototype from them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const nodes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 });
const anyRecord: fc.Arbitrary<LogRecord> = record<LogRecord>({
  group: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  remove: fc.boolean(),
  reset: fc.boolean(),
  truncateFrom: number,
  checkpoint: fc.option(
    record({
      index: number,
      term: number,
      nextOffset: number,
      configuration: record({ voters: nodes, outgoing: nodes, learners: nodes, learnersNext: nodes }),
      state: fc.uint8Array({ maxLength: 200 }),
    }),
    { nil: undefined },
  ),
  hardState: fc.option(record({ term: number, vote: fc.integer({ min: 0, max: 99 }), commit: number }), {
    nil: undefined,
  }),
  trim: fc.option(record({ firstIndex: number, startOffset: number, previousTerm: number }), { nil: undefined }),
  repaired: fc.boolean(),
  suspect: fc.boolean(),
  entries: fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 4000 })).map(([count, bytes]) =>
    entriesOf(1, 1, count, 3, bytes)
  ),
});

function blockOf(records: readonly LogRecord[], position = FILE_HEADER_BYTES) {
  const file = new WalFile("folder", 7, IDENTITY);
  const block = new BlockBuilder(LIMITS).build(records, file, position, 42, 3);
  const bytes = new Uint8Array(block.bytes);
  let at = 0;
  for (const chunk of block.chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  assert.is(at, block.bytes, "the chunks are the block");
  return { block, bytes };
}

function tableOf(bytes: Uint8Array): PlacedRecord[] {
  const header = decodeBlockHeader(bytes, 0, IDENTITY)!;
  const table = bytes.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.tableBytes);
  return decodeTable(header, table, FILE_HEADER_BYTES);
}

const withoutLists = (records: readonly PlacedRecord[]) =>
  records.map((record) => ({ ...record, runs: record.runs.map((run) => ({ ...run, listAt: 0 })) }));

test("what a block says is what was put into it, and the entries lie where it says", () => {
  fc.assert(fc.property(fc.array(anyRecord, { maxLength: 5 }), (records) => {
    const { block, bytes } = blockOf(records);
    const header = decodeBlockHeader(bytes, 0, IDENTITY)!;
    assert.equal([header.sequence, header.oldestFile, header.records], [42, 3, records.length]);
    const decoded = tableOf(bytes);
    assert.equal(withoutLists(decoded), withoutLists(block.records));
    for (const [at, record] of records.entries()) {
      const { runs, ...head } = decoded[at]!;
      const { entries, ...written } = record;
      assert.equal(head, written);
      assert.is(runs.reduce((sum, run) => sum + run.count, 0), entries.length);
      for (const run of runs) {
        const first = entries.find(({ index }) => index === run.firstIndex)!;
        const found = bytes.subarray(
          run.position - FILE_HEADER_BYTES,
          run.position - FILE_HEADER_BYTES + first.byteLength,
        );
        assert.is(Buffer.compare(found, first.bytes), 0);
      }
    }
  }));
});

test("any bytes in place of a table are refused with a FormatError, or are a table", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    try {
      decodeRecord(new ByteReader(bytes), 0);
    } catch (error) {
      assert.instance(error, FormatError);
    }
  }));
});

test("a flipped bit in a block's header or table is always noticed", () => {
  const { bytes } = blockOf([{ ...EMPTY_RECORD, group: 1, entries: entriesOf(1, 1, 3, 1) }]);
  const { tableBytes } = decodeBlockHeader(bytes, 0, IDENTITY)!;
  for (let at = 0; at < BLOCK_HEADER_BYTES + tableBytes; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << bit;
      if (!decodeBlockHeader(flipped, 0, IDENTITY)) continue;
      assert.throws(() => tableOf(flipped), (error: unknown) => error instanceof FormatError);
    }
  }
});

test("a block of another file does not pass, whatever its number", () => {
  const { bytes } = blockOf([]);
  assert.ok(decodeBlockHeader(bytes, 0, IDENTITY));
  assert.is(decodeBlockHeader(bytes, 0, { ...IDENTITY, high: 1 }), undefined);
});

test("names of files are numbers, and nothing else is taken for one", () => {
  assert.is(fileName(12), "wal-0000000012.log");
  assert.is(fileNumber("wal-0000000012.log"), 12);
  for (const name of ["wal-12.log", "wal-00000000012.log", "wal-0000000000.log", "x", "wal-0000000012.log.tmp"]) {
    assert.is(fileNumber(name), undefined, name);
  }
});

test("a file's header survives the loss of either copy, and tells what is wrong when both are", () => {
  const header = {
    number: 5,
    identity: IDENTITY,
    logIdentity: { low: 1, high: 2 },
    compactedBlocks: 7,
    firstNumber: 3,
  };
  const intact = encodeFileHeader(header);
  assert.equal(decodeFileHeader(intact, "f"), header);
  for (const at of [20, 4096 + 20]) {
    const bytes = intact.slice();
    bytes[at]! ^= 1;
    assert.equal(decodeFileHeader(bytes, "f"), header);
  }
  const codeOf = (change: (bytes: Uint8Array) => void) => {
    const bytes = intact.slice();
    change(bytes);
    try {
      return decodeFileHeader(bytes, "f") === undefined ? "unfinished" : "read";
    } catch (error) {
      return (error as LogError).code;
    }
  };
  assert.is(codeOf((bytes) => bytes.fill(0)), "unfinished");
  assert.is(codeOf((bytes) => bytes.fill(0, 0, 4096).fill(1, 4096)), "unfinished");
  assert.is(codeOf((bytes) => bytes.fill(1)), "FOREIGN_FILE");
  assert.is(codeOf((bytes) => bytes.fill(9, 16, 20).fill(9, 4112, 4116)), "CORRUPT");
});

test("a footer gives back what was put into it, and any damage to it is noticed", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 6 }), (records) => {
      const index = new FileIndex(LIMITS);
      for (const [at, record] of records.entries()) {
        const { block } = blockOf([{ ...record, group: record.group % 3 }], FILE_HEADER_BYTES + at * 50_000);
        index.apply(block.records[0]!);
      }
      const facts = { identity: IDENTITY, firstSequence: 5, nextSequence: 9, blocksEnd: 1000, oldestFile: 2 };
      const damage = [
        { file: "f", position: 7, bytes: 8, group: undefined, lost: undefined },
        { file: "f", position: 9, bytes: 8, group: 4, lost: { first: 2, last: 3 } },
      ];
      const items = [...index.deltas()].map((delta) => ({ delta, runs: delta.runs }));
      const footer = encodeFooter(facts, items, damage);
      const trailer = decodeTrailer(footer.bytes.subarray(-TRAILER_BYTES), IDENTITY)!;
      const summaryAt = trailer.summaryPosition - facts.blocksEnd;
      const summary = decodeSummary(trailer, footer.bytes.subarray(summaryAt, summaryAt + trailer.summaryBytes), "f");
      assert.equal(summary.damage, damage);
      for (const [at, { delta }] of summary.deltas.entries()) {
        const { remove, gone, reset, truncateFrom, checkpoint, hardState, trim, repaired, suspect, entries, terms } =
          items[at]!.delta;
        assert.equal(
          { ...delta, damage: 0 },
          {
            group: items[at]!.delta.group,
            remove,
            gone,
            reset,
            truncateFrom,
            checkpoint,
            hardState,
            trim,
            repaired,
            suspect,
            entries,
            terms: [...terms],
            damage: 0,
          },
        );
      }
      const flipped = footer.bytes.slice(-TRAILER_BYTES);
      flipped[Math.floor(TRAILER_BYTES / 2)]! ^= 4;
      assert.is(decodeTrailer(flipped, IDENTITY), undefined);
    }),
    { numRuns: 50 },
  );
});

test("numbers above 2^53 - 1 are refused", () => {
  const out = new ByteWriter(8);
  out.u64(Number.MAX_SAFE_INTEGER);
  assert.is(new ByteReader(out.written()).u64(), Number.MAX_SAFE_INTEGER);
  assert.throws(() => new ByteReader(new Uint8Array(8).fill(255)).u64(), /exceeds/);
});

test("a sector of zeros is found wherever it lies in a block, across chunks and at its end, and nowhere else", () => {
  const anyBlock = fc.record({
    position: fc.integer({ min: 0, max: 2_000 }),
    lengths: fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 1, maxLength: 6 }),
    written: fc.array(fc.nat(8_000), { maxLength: 20 }),
  });
  fc.assert(fc.property(anyBlock, ({ position, lengths, written }) => {
    const all = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
    for (const at of written) if (at < all.length) all[at] = 1;
    let from = 0;
    const chunks = lengths.map((length) => all.subarray(from, from += length));
    let isBlank = false;
    for (let sector = Math.floor(position / 512) * 512; sector < position + all.length; sector += 512) {
      const part = all.subarray(Math.max(0, sector - position), sector + 512 - position);
      isBlank ||= part.every((byte) => byte === 0);
    }
    assert.is(hasBlankSector([...chunks, new Uint8Array(7)], position, all.length), isBlank);
  }));
});

test.run();

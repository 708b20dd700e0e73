import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Log, LogError } from "../../src/log/types.ts";
import { checkpointOf, contentOf, durable, entriesOf, entryOf, writeOf } from "./entries.ts";
import { Machine, SMALL } from "./machine.ts";

const test = suite("reading the log");

async function withLog(write: (log: Log) => Promise<void>, read: (log: Log, machine: Machine) => Promise<void>) {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await write(log);
    await read(log, machine);
    await log.close();
    const again = await machine.open();
    await read(again, machine);
    await again.close();
  })());
  assert.is(machine.fatalReason, undefined);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "ok";
  } catch (error) {
    assert.instance(error, LogError);
    return (error as LogError).code;
  }
}

/** Two groups, small and large entries in turns, over many files. */
async function interleaved(log: Log): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const first = round * 4 + 1;
    await durable(
      log,
      writeOf(1, { entries: entriesOf(1, first, first + 3, 1 + Math.floor(round / 20), 20) }),
      writeOf(2, { entries: entriesOf(2, first, first + 3, 1, round % 3 === 0 ? 1500 : 100) }),
    );
  }
}

test("gives whole entries from any index, until the bytes or the index are reached, at least one", async () => {
  await withLog(interleaved, async (log) => {
    for (const group of [1, 2]) {
      for (let from = 1; from <= 200; from += 7) {
        for (const to of [from, from + 10, 200]) {
          for (const bytesMax of [1, 500, 4000, 1e6]) {
            const entries = await log.read(group, from, to, bytesMax);
            assert.is(entries[0]!.index, from);
            let bytes = 0;
            for (const [at, entry] of entries.entries()) {
              assert.is(entry.index, from + at);
              assert.ok(bytes < bytesMax, "one more than needed");
              bytes += entry.byteLength;
              assert.is(entryOf(group, entry.index, entry.term, entry.payload.length).payloadCrc, entry.payloadCrc);
            }
            const last = entries.at(-1)!.index;
            assert.ok(last <= to);
            assert.ok(bytes >= bytesMax || last === Math.min(to, 200), `${bytes} of ${bytesMax}, ${last} of ${to}`);
          }
        }
      }
    }
  });
});

test("finds an offset and a time", async () => {
  await withLog(interleaved, async (log) => {
    for (let index = 1; index <= 200; index += 3) {
      assert.is(await log.seekOffset(2, index - 1), index);
      assert.is(await log.seekTime(1, 1_000_000 + index), index);
    }
    assert.is(await log.seekOffset(1, 1000), 201);
    assert.is(await log.seekTime(1, 2_000_000), 201);
    assert.is(await log.seekOffset(1, 0), 1);
    assert.is(await log.seekTime(1, 0), 1);
  });
});

test("finds the later entry where the one with the offset carries no records", async () => {
  const { Entry, EntryKind } = await import("../../src/records/entry.ts");
  const plain = (index: number, offset: number, recordCount: number) => {
    const kind = recordCount > 0 ? EntryKind.batch : EntryKind.noOp;
    const entry = Entry.create({ kind, payload: new Uint8Array(400), recordCount, maxTimestampMs: index });
    entry.stamp(1, index, offset);
    return entry;
  };
  await withLog(
    (log) =>
      durable(
        log,
        writeOf(1, { entries: [plain(1, 0, 0), plain(2, 0, 10), plain(3, 10, 0), plain(4, 10, 0), plain(5, 10, 5)] }),
      ),
    async (log) => {
      assert.is(await log.seekOffset(1, 0), 1);
      assert.is(await log.seekOffset(1, 1), 2);
      assert.is(await log.seekOffset(1, 9), 2);
      assert.is(await log.seekOffset(1, 10), 5);
      assert.is(await log.seekOffset(1, 14), 5);
      assert.is(await log.seekOffset(1, 15), 6);
    },
  );
});

test("says what is wrong with a range", async () => {
  await withLog(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 10, 1), checkpoint: checkpointOf(5, 1) }));
    log.trim(1, 6);
    await durable(log, writeOf(1, { entries: entriesOf(1, 11, 11, 1) }));
  }, async (log) => {
    assert.is(log.group(1)!.firstIndex, 6);
    assert.is(log.group(1)!.startOffset, 5, "known from the checkpoint");
    assert.is(await codeOf(log.read(1, 5, 7, 100)), "TRIMMED");
    assert.is(await codeOf(log.read(1, 12, 12, 100)), "OUT_OF_RANGE");
    assert.is(await codeOf(log.read(9, 1, 1, 100)), "OUT_OF_RANGE");
    assert.is(await codeOf(log.seekOffset(9, 1)), "OUT_OF_RANGE");
    assert.is(await codeOf(log.read(1, 6, 11, 1e6)), "ok");
    assert.is(await log.seekOffset(1, 2), 6);
  });
});

test("a truncation while a read is under way gives either log, never a mixture", async () => {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 40, 1, 900) }));
    const reading = log.read(1, 1, 40, 1e6);
    await durable(log, writeOf(1, { truncateFrom: 5, entries: entriesOf(1, 5, 40, 2, 10) }));
    const terms = new Set((await reading).slice(4).map(({ term }) => term));
    assert.is(terms.size, 1);
    const after = await log.read(1, 1, 40, 1e6);
    assert.equal([...new Set(after.map(({ term }) => term))], [1, 2]);
  })());
});

test("large ranges are read in large pieces, by few reads at a time", async () => {
  const machine = new Machine(1);
  const limits = { ...SMALL, fileBytes: 4_000_000, blockBytesMax: 100_000, readBytesMax: 200_000, runBytesMax: 20_000 };
  await machine.run((async () => {
    const log = await machine.open(limits);
    for (let at = 0; at < 20; at++) {
      await durable(log, writeOf(1, { entries: entriesOf(1, at * 10 + 1, at * 10 + 10, 1, 5000) }));
    }
    let reads = 0;
    let underWay = 0;
    let most = 0;
    machine.disk.onOperation = ({ name, phase }) => {
      if (name !== "read") return;
      if (phase === "during") {
        reads++;
        most = Math.max(most, ++underWay);
      }
      if (phase === "after") underWay--;
    };
    const all = await Promise.all([1, 2, 3, 4, 5, 6].map(() => log.read(1, 1, 200, 1e9)));
    assert.equal(all.map((entries) => entries.length), [200, 200, 200, 200, 200, 200]);
    assert.ok(reads <= 6 * 7, `${reads} reads of a megabyte six times`);
    assert.ok(most <= 3, `${most} reads at a time`);
  })());
});

test("a thousand groups in one log, each with its own entries", async () => {
  const machine = new Machine(1);
  const limits = { ...SMALL, fileBytes: 400_000, blockBytesMax: 300_000, zeroLeadBytes: 0 };
  await machine.run((async () => {
    const log = await machine.open(limits);
    for (let round = 0; round < 6; round++) {
      const writes = Array.from({ length: 1000 }, (_, at) =>
        writeOf(at + 1, {
          hardState: { term: 1, vote: at % 3, commit: round },
          entries: entriesOf(at + 1, round * 2 + 1, round * 2 + 2, 1, 30),
        }));
      await durable(log, ...writes);
    }
    await log.close();
    const again = await machine.open(limits);
    assert.is([...again.groups()].length, 1000);
    for (let group = 1; group <= 1000; group += 37) {
      assert.is((await contentOf(again, group)).split(" ").length, 12);
      assert.is(again.group(group)!.hardState.vote, (group - 1) % 3);
    }
    await again.close();
  })());
});

test.run();

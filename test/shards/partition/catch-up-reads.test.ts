import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Log, TakeMemory } from "../../../src/log/types.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import { CatchUpReads } from "../../../shards/partition/catch-up-reads.ts";
import { Lease } from "../../../shards/partition/read-memory.ts";

const test = suite("reads of consumers that are behind");

/** A log whose entries have ten records each, but every fifth one, which has none; ten entries a read. */
class SlowLog {
  readonly entries: Entry[] = [];
  readonly reads: string[] = [];
  /** What was read into. */
  readonly memory = new Set<ArrayBufferLike>();
  failing = false;

  constructor(count: number) {
    let baseOffset = 0;
    for (let index = 1; index <= count; index++) {
      const recordCount = index % 5 === 0 ? 0 : 10;
      const entry = Entry.create({ kind: EntryKind.batch, payload: new Uint8Array(100).fill(index), recordCount });
      entry.stamp(1, index, baseOffset);
      baseOffset = entry.nextOffset;
      this.entries.push(entry);
    }
  }

  get log(): Log {
    const log = {
      read: async (group: number, from: number, to: number, _bytes: number, memory: TakeMemory) => {
        this.reads.push(`${group}:${from}`);
        await Promise.resolve();
        if (this.failing) throw new Error("the disk fails");
        return this.entries.slice(from - 1, Math.min(to, from + 9)).map((entry) => {
          const bytes = memory(entry.byteLength);
          bytes.set(entry.bytes);
          this.memory.add(bytes.buffer);
          return Entry.parse(bytes, 0);
        });
      },
      seekOffset: (_group: number, offset: number) => {
        return Promise.resolve(
          this.entries.find(({ nextOffset }) => nextOffset > offset)?.index ?? this.entries.length + 1,
        );
      },
    };
    return log as unknown as Log;
  }

  /** All offsets from one on, as one reader gets them. */
  async drain(reads: CatchUpReads, group: number, to: number, bytesMax = 500, leased = true): Promise<number[]> {
    const offsets: number[] = [];
    for (let next = 0;;) {
      const lease = leased ? new Lease() : undefined;
      const entries = await reads.read(group, next, to, bytesMax, lease);
      if (entries.length === 0) return offsets;
      // Others read meanwhile.
      for (let i = 0; i < 5; i++) await Promise.resolve();
      for (const entry of entries) assert.equal(entry.bytes, this.entries[entry.index - 1]!.bytes);
      lease?.end();
      for (const { baseOffset, recordCount } of entries) if (recordCount > 0) offsets.push(baseOffset);
      next = entries.at(-1)!.nextOffset;
    }
  }
}

/** A clock that jumps to where somebody waits for. */
class Jumps {
  nowMs = 0;
  readonly runtime = {
    clock: { monotonicMs: () => this.nowMs },
    timers: {
      after: (delayMs: number, callback: () => void) => {
        this.nowMs += delayMs;
        queueMicrotask(callback);
      },
    },
  } as unknown as Runtime;
}

function readsOf({ log }: SlowLog, isBusy = () => false, { runtime } = new Jumps()): CatchUpReads {
  return new CatchUpReads({ runtime, log, isBusy });
}

test("gives everything once, in order, up to what is committed", async () => {
  const slow = new SlowLog(103);
  const reads = readsOf(slow);
  const wanted = slow.entries.slice(0, 93).filter(({ recordCount }) => recordCount > 0);
  assert.equal(await slow.drain(reads, 1, 93), wanted.map(({ baseOffset }) => baseOffset));
  assert.equal(slow.reads, ["1:1", "1:11", "1:21", "1:31", "1:41", "1:51", "1:61", "1:71", "1:81", "1:91"]);
});

test("the next piece is fetched while the one before is given out", async () => {
  const slow = new SlowLog(40);
  const reads = readsOf(slow);
  await reads.read(1, 0, 40, 200);
  assert.equal(slow.reads, ["1:1", "1:11"]);
});

test("readers of the same place share what is read", async () => {
  const slow = new SlowLog(100);
  const reads = readsOf(slow);
  const all = await Promise.all([1, 2, 3].map(() => slow.drain(reads, 1, 100)));
  assert.equal(all[0], all[1]);
  assert.equal(all[0], all[2]);
  assert.is(slow.reads.length, 10, `${slow.reads}`);
});

test("many readers at once read no more than they need", async () => {
  const slow = new SlowLog(50);
  const reads = readsOf(slow);
  const groups = Array.from({ length: 40 }, (_, at) => at + 1);
  const all = await Promise.all(groups.map((group) => slow.drain(reads, group, 50, Infinity)));
  for (const offsets of all) assert.is(offsets.length, 40);
  assert.ok(slow.reads.length <= 40 * 6, `${slow.reads.length} reads`);
});

test("memory is used again when all that hold it have let go, and only then", async () => {
  const slow = new SlowLog(500);
  const reads = readsOf(slow);
  const held = new Lease();
  const kept = await reads.read(1, 0, 500, 200, held);
  const forGood = await reads.read(99, 0, 500, 200);
  for (let round = 0; round < 3; round++) {
    await Promise.all([2, 3, 4, 5, 5].map((group) => slow.drain(reads, group, 500)));
  }
  assert.ok(slow.reads.length >= 600, `${slow.reads.length} reads`);
  assert.ok(slow.memory.size < 50, `${slow.memory.size} pieces of memory`);
  for (const entry of kept) assert.equal(entry.bytes, slow.entries[entry.index - 1]!.bytes);
  held.end();
  for (let next = 0, entries = forGood; entries.length > 0; next = entries.at(-1)?.nextOffset ?? 0) {
    entries = await reads.read(6, next, 500, 500);
    forGood.push(...entries);
  }
  const before = slow.memory.size;
  for (const group of [7, 8, 9]) await slow.drain(reads, group, 500);
  assert.ok(slow.memory.size - before < 40, `${slow.memory.size - before} more`);
  assert.ok(forGood.length > 400);
  for (const entry of forGood) assert.equal(entry.bytes, slow.entries[entry.index - 1]!.bytes, "no lease: for good");
});

test("what could not be read is read again", async () => {
  const slow = new SlowLog(20);
  const reads = readsOf(slow);
  slow.failing = true;
  assert.is(await reads.read(1, 0, 20, 100).then(() => "read", ({ message }) => message), "the disk fails");
  slow.failing = false;
  assert.is((await reads.read(1, 0, 20, 100)).length, 1);
});

test("while producers wait it takes its time", async () => {
  const slow = new SlowLog(100);
  const jumps = new Jumps();
  await slow.drain(readsOf(slow, () => true, jumps), 1, 100);
  assert.ok(jumps.nowMs >= 10 * 30, `10 pieces in ${jumps.nowMs} ms`);
  const quick = new Jumps();
  await slow.drain(readsOf(slow, () => false, quick), 1, 100);
  assert.is(quick.nowMs, 0);
});

test("entries without records are passed over", async () => {
  const slow = new SlowLog(4);
  for (let index = 5; index <= 30; index++) {
    const entry = Entry.create({ kind: EntryKind.command, payload: new Uint8Array(3) });
    entry.stamp(1, index, 40);
    slow.entries.push(entry);
  }
  const last = Entry.create({ kind: EntryKind.batch, payload: new Uint8Array(9), recordCount: 1 });
  last.stamp(1, 31, 40);
  slow.entries.push(last);
  const reads = readsOf(slow);
  await reads.read(1, 0, 31, 10_000);
  assert.equal((await reads.read(1, 40, 31, 100)).map(({ index }) => index), [31]);
});

test.run();

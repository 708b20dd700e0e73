import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Log } from "../../src/log/types.ts";
import { contentOf, durable, entriesOf, writeOf } from "./entries.ts";
import { Machine, SMALL } from "./machine.ts";

const test = suite("group commit");

/** Runs with an open log; how many writes to WAL files there were is in `writes`. */
async function withLog(
  work: (log: Log, machine: Machine, writes: string[]) => Promise<void>,
  seed = 1,
): Promise<Machine> {
  const machine = new Machine(seed);
  const writes: string[] = [];
  machine.disk.onOperation = ({ name, phase, path }) => {
    if (name === "write" && phase === "during") writes.push(path);
  };
  await machine.run((async () => {
    const log = await machine.open({ ...SMALL, fileBytes: 256 * 1024 });
    writes.length = 0;
    await work(log, machine, writes);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
  return machine;
}

test("what is handed over in one call goes out in one write, at once", async () => {
  await withLog(async (log, _machine, writes) => {
    const five = [1, 2, 3, 4, 5].map((group) => writeOf(group, { entries: entriesOf(group, 1, 2, 1) }));
    await new Promise<void>((resolve) => {
      log.write(five, resolve);
      assert.is(writes.length, 1);
      assert.ok(log.pendingBytes > 1000);
    });
    assert.is(writes.length, 1);
    assert.is(log.pendingBytes, 0);
  });
});

test("of calls in a row the first goes out at once, the others together next; all are reported in order", async () => {
  await withLog(async (log, _machine, writes) => {
    const reported: number[] = [];
    const all = [1, 2, 3, 4, 5].map((group) =>
      new Promise<void>((resolve) =>
        log.write([writeOf(group, { entries: entriesOf(group, 1, 2, 1) })], () => {
          reported.push(group);
          resolve();
        })
      )
    );
    await Promise.all(all);
    assert.equal(reported, [1, 2, 3, 4, 5]);
    assert.is(writes.length, 2);
    assert.is(log.pendingBytes, 0);
  });
});

test("one write is under way at a time; what comes meanwhile goes out together next", async () => {
  await withLog(async (log, machine, writes) => {
    let underWay = 0;
    const { disk } = machine;
    const before = disk.onOperation;
    disk.onOperation = (operation) => {
      before(operation);
      if (operation.name !== "write") return;
      if (operation.phase === "during") assert.is(++underWay, 1);
      if (operation.phase === "after") underWay--;
    };
    const first = durable(log, writeOf(1, { entries: entriesOf(1, 1, 1, 1) }));
    await new Promise<void>((resolve) => machine.scheduler.after(0, resolve));
    const rest = Array.from(
      { length: 20 },
      (_, at) => durable(log, writeOf(1, { entries: entriesOf(1, 2 + at, 2 + at, 1) })),
    );
    await first;
    assert.is(writes.length, 1);
    await Promise.all(rest);
    assert.is(writes.length, 2);
    disk.onOperation = before;
  });
});

test("a commit is bounded in bytes, but one group's write is never split", async () => {
  await withLog(async (log, _machine, writes) => {
    const big = durable(log, writeOf(1, { entries: entriesOf(1, 1, 10, 1, 1_900) }));
    const others = [2, 3, 4].map((group) => durable(log, writeOf(group, { entries: entriesOf(group, 1, 1, 1, 6000) })));
    await Promise.all([big, ...others]);
    assert.is(writes.length, 4);
    assert.is((await log.read(1, 1, 10, 1e6)).length, 10);
  });
});

test("a write larger than a file makes a larger file", async () => {
  const machine = await withLog(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 1, 1) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 2, 2, 1, 300_000) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 3, 3, 1) }));
  });
  assert.is(await machine.run((async () => contentOf(await machine.open(), 1))()), "1:1 2:1 3:1");
});

test("an empty write is reported when all before it is durable", async () => {
  await withLog(async (log) => {
    let done = false;
    log.write([writeOf(1, { entries: entriesOf(1, 1, 1, 1) })], () => done = true);
    await durable(log);
    assert.is(done, true);
  });
});

test("a gap in the entries is refused at once", async () => {
  await withLog(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 3, 1) }));
    assert.throws(() => log.write([writeOf(1, { entries: entriesOf(1, 5, 5, 1) })], () => {}), /cannot follow/);
    assert.throws(() => log.write([writeOf(1, { entries: entriesOf(1, 3, 4, 1) })], () => {}), /cannot follow/);
  });
});

test("entries that lie side by side in one buffer go out as one chunk, small ones are copied together", async () => {
  const machine = new Machine(3);
  const chunkCounts: number[] = [];
  const runtime = machine.start();
  const { disk } = runtime;
  const open = disk.open.bind(disk);
  disk.open = async (path, mode, writes) => {
    const file = await open(path, mode, writes);
    const write = file.write.bind(file);
    file.write = (chunks, position) => {
      chunkCounts.push(chunks.length);
      return write(chunks, position);
    };
    return file;
  };
  const { openLog } = await import("../../src/log/log.ts");
  const { Entry } = await import("../../src/records/entry.ts");
  await machine.run((async () => {
    const log = await openLog(runtime, "node/log", { limits: { ...SMALL, blockBytesMax: 1e6 } });
    const large = entriesOf(1, 1, 8, 1, 1000);
    const frame = new Uint8Array(large.reduce((sum, entry) => sum + entry.byteLength, 0));
    let at = 0;
    const inFrame = large.map((entry) => {
      frame.set(entry.bytes, at);
      at += entry.byteLength;
      return Entry.parse(frame, at - entry.byteLength);
    });
    chunkCounts.length = 0;
    await durable(log, writeOf(1, { entries: inFrame }), writeOf(2, { entries: entriesOf(2, 1, 200, 1, 20) }));
    assert.ok(chunkCounts[0]! <= 4, `${chunkCounts[0]} chunks`);
    assert.is((await contentOf(log, 1)).split(" ").length, 8);
    assert.is((await contentOf(log, 2)).split(" ").length, 200);
  })());
});

test("closing writes what waits, through many files, and sets off nothing that goes on after it", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const machine = new Machine(seed);
    const reported: number[] = [];
    await machine.run((async () => {
      const log = await machine.open();
      for (let index = 1; index <= 100 + seed; index++) {
        log.write([writeOf(1, { entries: entriesOf(1, index, index, 1, 2_000) })], () => reported.push(index));
      }
      await log.close();
      const { operations } = machine.disk;
      await new Promise<void>((resolve) => machine.scheduler.after(1_000, resolve));
      assert.is(machine.disk.operations, operations, `seed ${seed}`);
    })());
    assert.is(machine.fatalReason, undefined, `seed ${seed}`);
    assert.is(reported.length, 100 + seed);
  }
});

test.run();

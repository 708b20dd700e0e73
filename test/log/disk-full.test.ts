import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openLog } from "../../src/log/log.ts";
import type { Log } from "../../src/log/types.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { contentOf, durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine, SMALL } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("the log on a full disk");
const LIMITS = { ...SMALL, reserveBytes: 64 * 1024 };

const sleep = (machine: Machine, ms: number) =>
  new Promise<void>((resolve) => {
    machine.scheduler.after(ms, resolve);
  });

/** A log that has made its reserve, and then a disk with room for `roomBytes` more. */
async function almostFull(machine: Machine, roomBytes: number, onFull: (full: boolean) => void): Promise<Log> {
  const log = await openLog(machine.start(), FOLDER, { limits: LIMITS, onFull });
  await durable(log, writeOf(1, { entries: entriesOf(1, 1, 1, 1) }));
  await sleep(machine, 100);
  machine.disk.faults.quotaBytes = machine.disk.usedBytes + roomBytes;
  return log;
}

test("says that it is full, goes on from the reserve, and is itself again when there is space", async () => {
  const machine = new Machine(1);
  const told: boolean[] = [];
  await machine.run((async () => {
    const log = await almostFull(machine, 20_000, (full) => told.push(full));
    let index = 1;
    while (!log.full) await durable(log, writeOf(1, { entries: entriesOf(1, ++index, index, 1, 3000) }));
    assert.ok(index >= 4, `${index} entries fitted`);
    for (let term = 2; term < 30; term++) {
      await durable(log, writeOf(2, { hardState: { term, vote: 1, commit: 0 } }));
    }
    await sleep(machine, 5_000);
    assert.is(log.full, true, "there is no more space yet");
    machine.disk.faults.quotaBytes += 400_000;
    await sleep(machine, 5_000);
    assert.is(log.full, false);
    await durable(log, writeOf(1, { entries: entriesOf(1, index + 1, index + 30, 1, 3000) }));
    assert.is((await contentOf(log, 1)).split(" ").length, index + 30);
    await log.close();
    assert.equal(told, [true, false]);
  })());
  assert.is(machine.fatalReason, undefined);
  const found = await machine.run((async () => (await machine.open(LIMITS)).group(2)!.hardState.term)());
  assert.is(found, 29);
});

test("says how much of the reserve may go to what is large, whatever is queued counted", async () => {
  const machine = new Machine(7);
  await machine.run((async () => {
    const log = await almostFull(machine, 10_000, () => {});
    assert.is(log.spareBytes, Infinity);
    for (let index = 2; index <= 15; index++) {
      log.write([writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) })], () => {});
    }
    while (!log.full) await sleep(machine, 1);
    const { spareBytes, pendingBytes } = log;
    assert.ok(pendingBytes > 3_000);
    assert.is(spareBytes, LIMITS.reserveBytes * 0.75 - pendingBytes);
    await durable(log, writeOf(1, { entries: entriesOf(1, 16, 16, 1, 3000) }));
    assert.ok(log.spareBytes <= spareBytes - 3_000);
    assert.is(log.pendingBytes, 0);
    machine.disk.faults.quotaBytes = Infinity;
    await sleep(machine, 5_000);
    assert.is(log.spareBytes, Infinity);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("opened where its reserve finds no room it is full from the start", async () => {
  const machine = new Machine(8);
  await machine.run((async () => {
    const log = await almostFull(machine, 10_000, () => {});
    let index = 1;
    while (!log.full) await durable(log, writeOf(1, { entries: entriesOf(1, ++index, index, 1, 3000) }));
    await log.close();
  })());
  await machine.run((async () => {
    const log = await openLog(machine.start(), FOLDER, { limits: LIMITS });
    await sleep(machine, 1_000);
    assert.is(log.full, true);
    assert.ok(log.spareBytes <= 0);
    await durable(log, writeOf(2, { hardState: { term: 2, vote: 1, commit: 0 } }));
    machine.disk.faults.quotaBytes = Infinity;
    await sleep(machine, 5_000);
    assert.is(log.full, false);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("when even the reserve is used up it waits, and nothing that was queued is lost", async () => {
  const machine = new Machine(2);
  await machine.run((async () => {
    const log = await almostFull(machine, 10_000, () => {});
    const all = Array.from(
      { length: 60 },
      (_, at) => durable(log, writeOf(1, { entries: entriesOf(1, at + 2, at + 2, 1, 3000) })),
    );
    await sleep(machine, 20_000);
    assert.is(log.full, true);
    assert.ok(log.pendingBytes > 0);
    assert.ok(log.group(1)!.lastIndex > 15, `${log.group(1)!.lastIndex} entries by the reserve`);
    machine.disk.faults.quotaBytes = Infinity;
    await Promise.all(all);
    await sleep(machine, 5_000);
    assert.is(log.full, false);
    assert.is((await contentOf(log, 1)).split(" ").length, 61);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("is closed with what finds no room: it was acknowledged to nobody", async () => {
  const machine = new Machine(6);
  let durableTo = 1;
  const closed = await machine.run((async () => {
    const log = await almostFull(machine, 10_000, () => {});
    for (let index = 2; index <= 60; index++) {
      log.write([writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) })], () => durableTo = index);
    }
    await sleep(machine, 20_000);
    log.trim(1, durableTo, durableTo - 1);
    await sleep(machine, 2_000);
    assert.ok(log.pendingBytes > 0);
    await log.close();
    return true;
  })());
  assert.ok(closed);
  assert.is(machine.fatalReason, undefined);
  const found = await machine.run((async () => (await machine.open(LIMITS)).group(1)!.lastIndex)());
  assert.is(found, durableTo);
});

test("trims and removals give space back on a full disk", async () => {
  const machine = new Machine(3);
  await machine.run((async () => {
    const log = await almostFull(machine, 400_000, () => {});
    let index = 1;
    while (!log.full) await durable(log, writeOf(1, { entries: entriesOf(1, ++index, index, 1, 3000) }));
    log.trim(1, index, index - 1);
    await durable(log, writeOf(2, { hardState: { term: 2, vote: 1, commit: 0 } }));
    await sleep(machine, 5_000);
    assert.is(log.full, false);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

/**
 * A full log with so much room, whose records are trimmed away but for one at its start, of another group, and the
 * `kept` last.
 */
async function trimmedWhenFull(machine: Machine, roomBytes: number, kept: number): Promise<Log> {
  const log = await almostFull(machine, 400_000, () => {});
  let index = 0;
  while (!log.full) await durable(log, writeOf(2, { entries: entriesOf(1, ++index, index, 1, 3000) }));
  const { disk } = machine;
  assert.ok(disk.faults.quotaBytes - disk.usedBytes > 50_000, "the reserve was given back");
  disk.faults.quotaBytes = disk.usedBytes + roomBytes;
  log.trim(2, index - kept + 1, index - kept);
  await durable(log, writeOf(3, { hardState: { term: 2, vote: 1, commit: 0 } }));
  await sleep(machine, 5_000);
  return log;
}

test("what is hardly needed gives its space back where what is half needed finds no room", async () => {
  const machine = new Machine(4);
  await machine.run((async () => {
    const log = await trimmedWhenFull(machine, 15_000, 6);
    assert.is(log.full, false);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("what found no room to be given back is tried again, for others may have left some", async () => {
  const machine = new Machine(5);
  await machine.run((async () => {
    const log = await trimmedWhenFull(machine, 2_000, 3);
    assert.is(log.full, true, "there is no room to compact");
    machine.disk.faults.quotaBytes += 40_000;
    await sleep(machine, 5_000);
    assert.is(log.full, false);
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("a write that found no space half-way leaves nothing behind, whenever power is lost", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const machine = new Machine(seed);
    const random = new SeededRandom(seed);
    const workload = new Workload(random.fork());
    const { disk, scheduler } = machine;
    const where = `seed ${seed}`;
    disk.onOperation = ({ number, phase }) => {
      if (number === 20) disk.faults.quotaBytes = disk.usedBytes + random.integer(60_000);
      if (number % 50 === 0) disk.faults.quotaBytes += 30_000;
      if (number !== 60 + seed * 2 || phase !== "during") return;
      disk.crash();
      scheduler.stop();
    };
    await machine.run((async () => {
      const log = await machine.open(LIMITS);
      await workload.run(log, 60);
    })());
    assert.is(machine.fatalReason, undefined, where);
    disk.onOperation = () => {};
    disk.faults.quotaBytes = Infinity;
    await machine.run((async () => {
      const log = await machine.open(LIMITS);
      assert.equal(log.report.damage, [], where);
      const found = await describeLog(log);
      assert.ok([...workload.allowed()].includes(found), where);
      await log.close();
    })());
  }
});

test.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DiskError } from "../../src/runtime/disk.ts";
import { encodeFileHeader } from "../../src/log/file-header.ts";
import type { LogError } from "../../src/log/types.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { contentOf, durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine, refusal } from "./machine.ts";
import { Workload } from "./workload.ts";

const test = suite("opening a log");
const path = (number: number) => `${FOLDER}/wal-${String(number).padStart(10, "0")}.log`;

/** A machine with a log of several files. */
async function machineWithLog(seed = 1): Promise<Machine> {
  const machine = new Machine(seed);
  await machine.run((async () => {
    const log = await machine.open();
    for (let index = 1; index <= 60; index++) {
      await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) }));
    }
    await log.close();
  })());
  return machine;
}

test("a new folder becomes an empty log", async () => {
  const machine = new Machine(1);
  const log = await machine.run(machine.open());
  assert.equal([...log!.groups()], []);
  assert.is(log!.group(1), undefined);
  assert.equal(log!.report, {
    isNew: true,
    files: 1,
    scannedBlocks: 0,
    scannedBytes: 0,
    cut: undefined,
    damage: [],
    rebuiltIndexes: [],
    rebuiltHeaders: [],
  });
});

test("a file with a name of its own is refused, and so is a folder", async () => {
  for (const name of ["notes.txt", "wal-1.log", "wal-0000000001.log.bak"]) {
    const machine = await machineWithLog();
    machine.disk.put(`${FOLDER}/${name}`, new Uint8Array(10));
    const error = await refusal(machine);
    assert.is(error.code, "FOREIGN_FILE");
    assert.is(error.file, name);
  }
  const machine = await machineWithLog();
  await machine.run(machine.disk.attach().makeFolder(`${FOLDER}/segments`));
  assert.is((await refusal(machine)).code, "FOREIGN_FILE");
});

test("a file that was cut off while it was made does not count, a finished one with another number does", async () => {
  const machine = await machineWithLog();
  const last = machine.disk.paths().filter((name) => name.includes("wal-")).length;
  machine.disk.put(path(last + 1), new Uint8Array(0));
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(log.group(1)!.lastIndex, 60);
    await log.close();
  })());
  const renamed = await machineWithLog();
  renamed.disk.put(path(last + 1), renamed.disk.bytes(path(1)));
  assert.is((await refusal(renamed)).code, "FOREIGN_FILE");
});

test("a file of another log is refused", async () => {
  const machine = await machineWithLog(1);
  const other = await machineWithLog(2);
  machine.disk.put(path(2), other.disk.bytes(path(2)));
  const error = await refusal(machine);
  assert.equal([error.code, error.file], ["FOREIGN_FILE", "wal-0000000002.log"]);
});

test("a newer format is refused, with file and position", async () => {
  const machine = await machineWithLog();
  const identity = { low: 1, high: 2 };
  const bytes = encodeFileHeader({ number: 1, identity, logIdentity: identity, compactedBlocks: 0, firstNumber: 1 });
  // The version is the only field that a newer program is sure to have left where it was; its checksum matches.
  const newer = machine.disk.bytes(path(1));
  newer.set(bytes);
  const { crc32 } = await import("node:zlib");
  for (const at of [0, 4096]) {
    const copy = newer.subarray(at, at + 48);
    copy[8] = 2;
    new DataView(copy.buffer, copy.byteOffset).setUint32(
      12,
      crc32(copy.subarray(16), crc32(copy.subarray(0, 12))),
      true,
    );
  }
  machine.disk.put(path(1), newer);
  const error = await refusal(machine);
  assert.equal([error.code, error.file, error.position], ["UNSUPPORTED_VERSION", "wal-0000000001.log", 8]);
});

test("a file that is missing in the middle, at the start or at the end is told by name", async () => {
  const count = (await machineWithLog()).disk.paths().length;
  assert.ok(count >= 5);
  for (const missing of [1, 3, count]) {
    const machine = await machineWithLog();
    // The last one may be the next one made ready: then it is not missed, and the one before it is the last.
    const begun = machine.disk.bytes(path(missing)).subarray(8192).some((byte) => byte !== 0);
    const number = begun ? missing : missing - 1;
    if (!begun) machine.disk.delete(path(missing));
    machine.disk.delete(path(number));
    const error = await refusal(machine);
    assert.equal([error.code, error.file], ["MISSING_FILE", path(number).slice(FOLDER.length + 1)]);
  }
});

test("what is opened again is scanned from the last files only", async () => {
  const machine = await machineWithLog();
  await machine.run((async () => {
    const log = await machine.open();
    assert.ok(log.report.files >= 5);
    assert.ok(log.report.scannedBlocks < 20, `${log.report.scannedBlocks} blocks`);
    await log.close();
  })());
});

test("a log can be opened and closed many times, and each time it is the same", async () => {
  const machine = new Machine(7);
  const workload = new Workload(new SeededRandom(7));
  for (let round = 0; round < 20; round++) {
    await machine.run((async () => {
      const log = await machine.open();
      await workload.run(log, 5);
      await log.close();
    })());
  }
  assert.is(machine.fatalReason, undefined);
});

test("a failed sync ends the process and is not tried again", async () => {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 3, 1) }));
    machine.disk.faults.syncErrors = 1;
    log.write([writeOf(1, { entries: entriesOf(1, 4, 5, 1) })], () => assert.unreachable("reported durable"));
    await new Promise(() => {});
  })());
  assert.match(machine.fatalReason!, /cannot be written/);
  machine.disk.crash({ survival: "all" });
  assert.is(await machine.run((async () => contentOf(await machine.open(), 1))()), "1:1 2:1 3:1");
});

test("what a restart finds after a failed sync is on the disk, and not only in the system's memory", async () => {
  for (let operation = 1; operation < 40; operation++) {
    const machine = new Machine(operation);
    machine.disk.onOperation = ({ number, phase }) => {
      if (number === operation && phase === "before") machine.disk.faults.syncErrors = 1;
    };
    await machine.run((async () => {
      const log = await machine.open();
      for (let index = 1; index <= 14; index++) {
        await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) }));
      }
    })()).catch((error) => assert.instance(error, DiskError));
    machine.disk.onOperation = () => {};
    machine.disk.faults.syncErrors = 0;
    machine.disk.kill();
    const found = await machine.run((async () => {
      const log = await machine.open();
      await durable(log, writeOf(2, { entries: entriesOf(2, 1, 1, 1) }));
      return contentOf(log, 1);
    })());
    machine.disk.crash({ survival: "none" });
    const after = await machine.run((async () => contentOf(await machine.open(), 1))());
    assert.is(after, found, `sync error at operation ${operation}`);
  }
});

test("a failed sync while opening is told", async () => {
  const machine = await machineWithLog();
  machine.disk.faults.syncErrors = 1;
  try {
    await machine.run(machine.open());
    assert.unreachable();
  } catch (error) {
    assert.instance(error, DiskError);
    assert.is((error as DiskError).code, "IO_ERROR");
  }
});

test("after close nothing is taken any more", async () => {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 1, 1) }));
    await log.close();
    await log.close();
    assert.throws(() => log.write([], () => {}), (error: unknown) => (error as LogError).code === "CLOSED");
    for (
      const read of [(): Promise<unknown> => log.read(1, 1, 1, 1), () => log.seekOffset(1, 0), () => log.seekTime(1, 0)]
    ) {
      let code = "";
      await Promise.resolve().then(read).catch((error) => code = error.code);
      assert.is(code, "CLOSED");
    }
  })());
});

test.run();

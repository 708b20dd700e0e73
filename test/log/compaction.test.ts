import { suite } from "uvu";
import * as assert from "uvu/assert";
import { filesToCompact, isWorthClosing } from "../../src/log/compaction-plan.ts";
import { examineLog } from "../../src/log/examine.ts";
import { DEFAULT_LOG_LIMITS } from "../../src/log/limits.ts";
import type { Log } from "../../src/log/types.ts";
import { WalFile } from "../../src/log/wal-file.ts";
import { checkpointOf, contentOf, durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine, SMALL } from "./machine.ts";

const test = suite("compaction of the log");

/** Compaction takes its time. */
const SLOW = { ...SMALL, compactBytesPerSecond: 400 * 1024 };
const GROUPS = [1, 2, 3, 4];
const LAST = 240;

const filesOf = (machine: Machine) => machine.disk.paths().filter((path) => path.includes("wal-"));

/** Group 1 keeps all it has, the others' entries lie between. */
async function interleaved(log: Log, from = 1, to = LAST): Promise<void> {
  for (let index = from; index <= to; index++) {
    await durable(
      log,
      ...GROUPS.map((group) => writeOf(group, { entries: entriesOf(group, index, index, 1, group === 1 ? 100 : 700) })),
    );
  }
}

/** Until nothing is left to be done in the background. */
async function settle(machine: Machine, log: Log): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await durable(log);
    await new Promise<void>((resolve) => machine.scheduler.after(20, resolve));
  }
}

async function allOf(log: Log): Promise<string[]> {
  return await Promise.all(GROUPS.map((group) => contentOf(log, group)));
}

/** The last one of the group's in the file: only there is it noticed. */
async function damageEntryOf(machine: Machine, path: string, group: number): Promise<void> {
  const bytes = machine.disk.bytes(path);
  for (let position = bytes.length - 1; position > 0; position -= 100) {
    machine.disk.flipBit(path, position, 1);
    const { findings } = await examineLog(machine.start().disk, FOLDER);
    if (findings.some((each) => each.group === group && each.what.includes("entry"))) return;
    machine.disk.flipBit(path, position, 1);
  }
  throw new Error(`no entry of group ${group} in ${path}`);
}

/** A machine whose log was compacted, and what is in it. */
async function compacted(seed: number): Promise<{ machine: Machine; content: string[] }> {
  const machine = new Machine(seed);
  const content = await machine.run((async () => {
    const log = await machine.open();
    await interleaved(log);
    for (const group of [2, 3]) log.trim(group, LAST - 5, LAST - 6);
    log.remove(4);
    const before = await Promise.all([contentOf(log, 1), contentOf(log, 2)]);
    const used = machine.disk.usedBytes;
    await settle(machine, log);
    assert.ok(machine.disk.usedBytes < used / 2, `${used} → ${machine.disk.usedBytes} bytes`);
    assert.equal(await Promise.all([contentOf(log, 1), contentOf(log, 2)]), before, "nothing that is needed is gone");
    const content = await allOf(log);
    await log.close();
    return content;
  })());
  return { machine, content: content! };
}

test("gives most of a sparse file back, and all that is needed can be read: at once, and after a power loss", async () => {
  const { machine, content } = await compacted(1);
  assert.is(content[0]!.split(" ").length, LAST);
  assert.is(content[1]!.split(" ").length, 6);
  assert.is(content[3], "none");
  for (const survival of ["none", "all"] as const) {
    machine.disk.crash({ survival });
    await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, []);
      assert.equal(await allOf(log), content);
      await log.close();
    })());
  }
});

test("who reads while files are replaced reads the same", async () => {
  const machine = new Machine(2);
  await machine.run((async () => {
    const log = await machine.open();
    await interleaved(log);
    const before = await contentOf(log, 1);
    for (const group of [2, 3, 4]) log.trim(group, LAST, LAST - 1);
    const used = machine.disk.usedBytes;
    let reads = 0;
    while (machine.disk.usedBytes > used / 3 || reads < 20) {
      assert.is(await contentOf(log, 1), before);
      assert.is(await log.seekOffset(1, 50), 51);
      reads++;
      assert.ok(reads < 500, "it comes to its end");
    }
    await log.close();
  })());
});

test("what is trimmed, cut or removed while it is under way stays so", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const machine = new Machine(seed);
    await machine.run((async () => {
      const log = await machine.open({ ...SLOW });
      await interleaved(log);
      for (const group of [2, 3]) log.trim(group, LAST - 20, LAST - 21);
      // Somewhere in the middle of it.
      await new Promise<void>((resolve) => machine.scheduler.after(seed * 3, resolve));
      log.trim(1, 60, 59);
      log.remove(3);
      await durable(log, writeOf(2, { truncateFrom: LAST - 10, hardState: { term: 2, vote: 1, commit: 1 } }));
      await settle(machine, log);
      const check = async (log: Log) => {
        assert.is((await contentOf(log, 1)).split(" ").length, LAST - 59);
        assert.is((await contentOf(log, 2)).split(" ").length, 10);
        assert.is(await contentOf(log, 3), "none");
      };
      await check(log);
      await log.close();
      const again = await machine.open();
      await check(again);
      await again.close();
    })());
    assert.is(machine.fatalReason, undefined);
  }
});

test("a damaged index of a compacted file is made again from its blocks", async () => {
  const { machine, content } = await compacted(3);
  const path = filesOf(machine)[0]!;
  const size = machine.disk.bytes(path).length;
  for (const position of [size - 10, size - 70, size - 300]) {
    machine.disk.flipBit(path, position, 3);
    await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, []);
      assert.equal(await allOf(log), content, `byte ${position}`);
      await log.close();
    })());
  }
});

test("a flipped byte anywhere in a compacted file is told or does not matter, and is never read", async () => {
  const { machine, content } = await compacted(4);
  const path = filesOf(machine)[0]!;
  const bytes = machine.disk.bytes(path).slice();
  for (let position = 8192; position < bytes.length; position += 97) {
    machine.disk.put(path, bytes.slice());
    machine.disk.flipBit(path, position, position % 8);
    await machine.run((async () => {
      const log = await machine.open();
      for (const [at, group] of GROUPS.entries()) {
        const read = await contentOf(log, group).catch((error) => `${error.code}`);
        assert.ok([content[at], "CORRUPT", "TRIMMED"].includes(read), `byte ${position}, group ${group}: ${read}`);
      }
    })());
    machine.disk.kill();
  }
});

test("a damaged sparse file stays as it is", async () => {
  const machine = new Machine(5);
  await machine.run((async () => {
    const log = await machine.open({ ...SLOW, compactFreesBytesMin: Infinity, compactFilesMin: Infinity });
    await interleaved(log);
    await settle(machine, log);
    await log.close();
    const [path] = filesOf(machine);
    machine.disk.flipBit(path!, 8_200, 1);
    const again = await machine.open();
    for (const group of [2, 3, 4]) again.trim(group, LAST, LAST - 1);
    await settle(machine, again);
    assert.ok(filesOf(machine).includes(path!));
    assert.ok(machine.messages.includes("a WAL file is damaged and stays as it is"));
    await again.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("what is dropped while the file with its damage is compacted is not told again, and the file goes", async () => {
  const machine = new Machine(9);
  const told: number[] = [];
  await machine.run((async () => {
    const log = await machine.open({ ...SLOW, compactFreesBytesMin: Infinity, compactFilesMin: Infinity });
    await interleaved(log);
    await settle(machine, log);
    await log.close();
    const [path] = filesOf(machine);
    await damageEntryOf(machine, path!, 2);
    const again = await machine.open(SLOW, (group) => void told.push(group));
    for (const group of [3, 4]) again.trim(group, LAST, LAST - 1);
    await durable(again);
    await new Promise<void>((resolve) => machine.scheduler.after(20, resolve));
    assert.ok(filesOf(machine).some((path) => path.endsWith(".tmp")), "it is under way");
    await again.drop(2, 2);
    told.length = 0;
    for (let round = 0; round < 10; round++) await settle(machine, again);
    assert.equal(told, []);
    assert.equal((await examineLog(machine.start().disk, FOLDER)).findings, [], "no damage is left");
    assert.is(await contentOf(again, 1), Array.from({ length: LAST }, (_, at) => `${at + 1}:1`).join(" "));
    await again.close();
  })());
  assert.is(machine.fatalReason, undefined);
});

test("what a compacted file has to keep is no reason to compact it again, nor after a restart", async () => {
  const machine = new Machine(7);
  const compactions = () => machine.messages.filter((message) => message === "a WAL file was compacted").length;
  await machine.run((async () => {
    const log = await machine.open();
    // More bytes of checkpoints than a file must give back to be worth it, and few of entries.
    for (let index = 1; index <= LAST; index++) {
      const others = index % 2 === 0 ? [] : [writeOf(5 + index, { checkpoint: checkpointOf(0, 0, "x".repeat(200)) })];
      await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 700) }), ...others);
    }
    log.trim(1, LAST - 5, LAST - 6);
    await settle(machine, log);
    const before = compactions();
    assert.ok(before > 0);
    await settle(machine, log);
    assert.is(compactions(), before);
    await log.close();
    const again = await machine.open();
    await settle(machine, again);
    await settle(machine, again);
    assert.ok(compactions() <= before + 1, `${before} → ${compactions()}`);
    await again.close();
  })());
});

test("a checkpoint is not written anew when a later sealed file has its successor, and what was is compacted again", async () => {
  const machine = new Machine(8);
  const stateOf = (index: number) => `state ${index};`.repeat(1_200);
  /** Which checkpoints' states are anywhere on the disk. */
  const onDisk = () => {
    const found = new Set<number>();
    for (const path of filesOf(machine)) {
      for (const [, index] of Buffer.from(machine.disk.bytes(path)).toString("latin1").matchAll(/state (\d+);/g)) {
        found.add(Number(index));
      }
    }
    return [...found].sort((a, b) => a - b);
  };
  /** Group 1 keeps its few entries, group 3 none of its many; group 2 has checkpoints. */
  const work = async (log: Log, from: number, to: number) => {
    for (let index = from; index <= to; index++) {
      const many = writeOf(3, { entries: entriesOf(3, index, index, 1, 300) });
      const few = writeOf(1, { entries: entriesOf(1, index / 10, index / 10, 1) });
      const checkpoint = checkpointOf(index, 1, stateOf(index));
      await durable(log, many, ...(index % 10 === 0 ? [few, writeOf(2, { checkpoint })] : []));
    }
    log.trim(3, to, to - 1);
    for (let round = 0; round < 5; round++) await settle(machine, log);
  };
  await machine.run((async () => {
    const log = await machine.open();
    await work(log, 1, 400);
    const first = onDisk();
    assert.is(first.at(-1), 400);
    assert.ok(first.length <= 6, `of forty: ${first}`);
    await work(log, 401, 800);
    const second = onDisk();
    assert.is(second.at(-1), 800);
    assert.ok(second.every((index) => index > 600), `what was compacted first has none any more: ${second}`);
    assert.is(log.group(2)!.checkpoint!.index, 800);
    await log.close();
  })());
  machine.disk.crash({ survival: "none" });
  await machine.run((async () => {
    const log = await machine.open();
    assert.equal(log.report.damage, []);
    assert.is(new TextDecoder().decode(log.group(2)!.checkpoint!.state), stateOf(800));
    assert.is((await contentOf(log, 1)).split(" ").length, 80);
    await log.close();
  })());
});

test("the file that is being written is closed when most of it is dead", async () => {
  const machine = new Machine(6);
  await machine.run((async () => {
    const log = await machine.open({ ...SMALL, fileBytes: 1024 * 1024 });
    await interleaved(log);
    assert.ok(filesOf(machine).length <= 2, "one, and the next one made ready");
    const used = machine.disk.usedBytes;
    for (const group of [2, 3, 4]) log.remove(group);
    await settle(machine, log);
    assert.ok(machine.disk.usedBytes < used / 4, `${used} → ${machine.disk.usedBytes} bytes`);
    assert.is((await contentOf(log, 1)).split(" ").length, LAST);
    await log.close();
  })());
});

test("files are chosen where it pays: sparse neighbours, and many small ones", () => {
  const MIB = 1024 * 1024;
  const file = (number: number, mib: number, liveMib: number) => {
    const made = new WalFile(FOLDER, number, { low: 1, high: 1 });
    made.end = 8192 + mib * MIB;
    made.liveBytes = liveMib * MIB;
    made.extents = liveMib > 0 ? 1 : 0;
    return made;
  };
  const chosenWith = (freeMib: number, ...files: WalFile[]) =>
    filesToCompact(files, DEFAULT_LOG_LIMITS, freeMib * MIB).map(({ number }) => number);
  const chosen = (...files: WalFile[]) => chosenWith(Infinity, ...files);
  assert.equal(chosen(file(1, 128, 100), file(2, 128, 70)), []);
  assert.equal(chosen(file(1, 128, 100), file(2, 128, 30), file(3, 128, 10), file(4, 128, 128)), [2, 3]);
  assert.equal(chosen(file(1, 128, 50), file(2, 128, 50)), [1], "half a file at most");
  assert.equal(chosen(...[1, 2, 3, 4, 5, 6, 7].map((number) => file(number, 2, 2))), []);
  assert.equal(chosen(...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => file(number, 2, 2))), [1, 2, 3, 4, 5, 6, 7, 8]);
  const left = [file(1, 128, 1), file(2, 128, 0), file(3, 128, 40), file(4, 128, 1), file(5, 128, 0)];
  assert.equal(chosenWith(20, ...left), [1, 2], "what has room on the disk");
  assert.equal(chosenWith(20, ...left.slice(2)), [4, 5], "and not one that alone has none");
  assert.equal(chosenWith(0, ...left), [2]);
  assert.is(isWorthClosing(file(1, 100, 80), DEFAULT_LOG_LIMITS), false);
  assert.is(isWorthClosing(file(1, 100, 40), DEFAULT_LOG_LIMITS), true);
  assert.is(isWorthClosing(file(1, 10, 0), DEFAULT_LOG_LIMITS), false);
});

test.run();

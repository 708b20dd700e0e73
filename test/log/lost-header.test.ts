import { suite } from "uvu";
import * as assert from "uvu/assert";
import { blockBytes } from "../../src/log/block.ts";
import { examineLog } from "../../src/log/examine.ts";
import { FILE_HEADER_BYTES, fileName } from "../../src/log/file-header.ts";
import type { Log } from "../../src/log/types.ts";
import { readU32 } from "../../src/records/entry.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine, refusal, SMALL } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("a WAL file whose header is destroyed in both copies");

/** "RLBK" */
const BLOCK_MAGIC = 0x4b424c52;

type Files = ReadonlyMap<string, Uint8Array>;

interface Written {
  readonly files: Files;
  /** What the log held. */
  readonly text: string;
  /** WAL files with blocks, and those of them that were compacted. */
  readonly begun: readonly string[];
  readonly compacted: readonly string[];
}

async function written(work: (log: Log, machine: Machine) => Promise<void>): Promise<Written> {
  const machine = new Machine(1);
  const text = await machine.run((async () => {
    const log = await machine.open();
    await work(log, machine);
    const text = await describeLog(log);
    await log.close();
    return text;
  })());
  const { files: examined } = (await machine.run(examineLog(machine.start().disk, FOLDER)))!;
  const pathsOf = (states: readonly string[]) =>
    examined.filter(({ state }) => states.includes(state)).map(({ file }) => `${FOLDER}/${file}`);
  return {
    files: new Map(machine.disk.paths().map((path) => [path, machine.disk.bytes(path).slice()])),
    text: text!,
    begun: pathsOf(["open", "sealed", "compacted"]),
    compacted: pathsOf(["compacted"]),
  };
}

async function machineWith(files: Files): Promise<Machine> {
  const machine = new Machine(2);
  await machine.run(machine.disk.attach().makeFolder(FOLDER));
  for (const [path, bytes] of files) machine.disk.put(path, bytes.slice());
  return machine;
}

/** Flips a bit of each copy, or makes all of it zeros, or noise. */
function destroy(machine: Machine, path: string, how: "flipped" | "zeroed" | "noise", bytesUpTo = FILE_HEADER_BYTES) {
  const bytes = machine.disk.bytes(path).slice();
  if (how === "flipped") { for (const at of [20, 4096 + 30]) bytes[at]! ^= 1; }
  if (how === "zeroed") bytes.fill(0, 0, bytesUpTo);
  if (how === "noise") bytes.set(new SeededRandom(1).bytes(bytesUpTo));
  machine.disk.put(path, bytes);
}

function positionsOfBlocks(bytes: Uint8Array): number[] {
  const positions: number[] = [];
  for (let at = FILE_HEADER_BYTES; readU32(bytes, at + 4) === BLOCK_MAGIC;) {
    positions.push(at);
    at += blockBytes({ tableBytes: readU32(bytes, at + 24), dataBytes: readU32(bytes, at + 32) });
  }
  return positions;
}

test("is opened as if nothing had happened, told, and has its header again: of whatever file, in whatever way", async () => {
  for (const seed of [2, 6, 10]) {
    const { files, text, begun, compacted } = await written(async (log, machine) => {
      const workload = new Workload(new SeededRandom(seed));
      await workload.run(log, 400);
      // What can be compacted is, before more follows.
      await new Promise<void>((resolve) => machine.scheduler.after(2_000, resolve));
      await workload.run(log, 150);
    });
    assert.ok(begun.length > 3 && compacted.length > 0, `${begun.length} files, ${compacted.length} compacted`);
    for (const path of begun) {
      for (const how of ["flipped", "zeroed", "noise"] as const) {
        const machine = await machineWith(files);
        destroy(machine, path, how);
        const { findings } = (await machine.run(examineLog(machine.start().disk, FOLDER)))!;
        const name = path.slice(FOLDER.length + 1);
        assert.equal(findings.map(({ code, file, position }) => [code, file, position]), [["CORRUPT", name, 0]], name);
        await machine.run((async () => {
          const log = await machine.open();
          assert.equal(log.report.rebuiltHeaders, [name]);
          assert.equal(log.report.damage, []);
          assert.is(await describeLog(log), text, `${name} ${how}`);
          await log.close();
        })());
        const again = (await machine.run(examineLog(machine.start().disk, FOLDER)))!;
        assert.equal(again.findings, [], `${name} ${how}: it is whole again`);
        await machine.run((async () => {
          const log = await machine.open();
          assert.equal(log.report.rebuiltHeaders, []);
          assert.is(await describeLog(log), text);
          await log.close();
        })());
      }
    }
  }
});

test("of the only file of a log, too", async () => {
  const { files, text } = await written((log) => durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) })));
  const machine = await machineWith(files);
  destroy(machine, `${FOLDER}/${fileName(1)}`, "noise");
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(await describeLog(log), text);
    for (let index = 6; index <= 40; index++) {
      await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) }));
    }
    await log.close();
  })());
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(log.group(1)!.lastIndex, 40, "files made later belong to the same log");
    await log.close();
  })());
});

test("and that was made ready to be the next one, is made anew", async () => {
  const { files, text, begun } = await written(async (log) => {
    for (let index = 1; index <= 6; index++) {
      await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) }));
    }
  });
  const prepared = [...files.keys()].filter((path) => path.endsWith(".log") && !begun.includes(path));
  assert.is(prepared.length, 1);
  const machine = await machineWith(files);
  destroy(machine, prepared[0]!, "flipped");
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(await describeLog(log), text);
    await log.close();
  })());
});

test("with more damage in it, what else is damaged is told as ever", async () => {
  const { files, compacted, begun } = await written((log) => new Workload(new SeededRandom(4)).run(log, 400));
  const sealed = begun.find((path) => !compacted.includes(path))!;
  for (const path of [...compacted, sealed]) {
    const blocks = positionsOfBlocks(files.get(path)!);
    for (const position of [blocks[0]!, blocks.at(-1)!]) {
      const machine = await machineWith(files);
      destroy(machine, path, "zeroed");
      const withHeader = await machineWith(files);
      for (const each of [machine, withHeader]) each.disk.flipBit(path, position + 4, 1);
      const wanted = (await withHeader.run(examineLog(withHeader.start().disk, FOLDER)))!.findings;
      const { findings } = (await machine.run(examineLog(machine.start().disk, FOLDER)))!;
      assert.ok(wanted.length > 0);
      assert.equal(findings.slice(1), wanted, "its trailer tells whose it is");
    }
  }
});

test("of which nothing else can be told is refused, with its name, and what to do about it", async () => {
  const { files, begun } = await written((log) => new Workload(new SeededRandom(4)).run(log, 400));
  const path = begun.at(-1)!;
  const { fileBytes } = SMALL;
  assert.is(files.get(path)!.length, fileBytes, "it is the current one, and has no trailer");
  for (const [how, code] of [["zeroed", "CORRUPT"], ["noise", "FOREIGN_FILE"]] as const) {
    const machine = await machineWith(files);
    destroy(machine, path, how, FILE_HEADER_BYTES + 48);
    const error = await refusal(machine);
    assert.equal([error.code, error.file], [code, path.slice(FOLDER.length + 1)]);
    if (code === "CORRUPT") assert.match(error.message, /move its whole data folder away/);
  }
});

test.run();

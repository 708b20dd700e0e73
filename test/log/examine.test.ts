import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Examination, examineLog } from "../../src/log/examine.ts";
import { checkpointOf, durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine } from "./machine.ts";

const test = suite("examining a log");

const TRIMMED_AT = 60;
const LAST = 100;

/** Sealed files, a compacted one, one that is written to. `beforeTrim`: when what is compacted later is still there. */
async function machineWithLog(beforeTrim = (_machine: Machine) => {}): Promise<Machine> {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    for (let index = 1; index <= LAST; index++) {
      await durable(
        log,
        ...[1, 2, 3].map((group) =>
          writeOf(group, { entries: entriesOf(group, index, index, 1, group === 1 ? 50 : 900) })
        ),
      );
      if (index !== TRIMMED_AT) continue;
      beforeTrim(machine);
      for (const group of [2, 3]) log.trim(group, index, index - 1);
      await new Promise<void>((resolve) => machine.scheduler.after(500, resolve));
    }
    await durable(log, writeOf(1, { hardState: { term: 7, vote: 2, commit: 50 }, checkpoint: checkpointOf(40, 1) }));
    await log.close();
  })());
  return machine;
}

const examine = async (machine: Machine): Promise<Examination> =>
  (await machine.run(examineLog(machine.start().disk, FOLDER)))!;

test("tells what is there, and changes nothing", async () => {
  const machine = await machineWithLog();
  const before = machine.disk.paths().map((path) => machine.disk.bytes(path).slice());
  const { files, groups, findings } = await examine(machine);
  assert.equal(findings, []);
  assert.equal([...new Set(files.map(({ state }) => state))].sort(), ["compacted", "open", "prepared", "sealed"]);
  assert.equal(groups.map(({ group, lastIndex }) => [group, lastIndex]), [[1, LAST], [2, LAST], [3, LAST]]);
  assert.equal(groups.map(({ firstIndex }) => firstIndex), [1, TRIMMED_AT, TRIMMED_AT]);
  assert.equal(groups[0]!.hardState, { term: 7, vote: 2, commit: 50 });
  assert.is(groups[0]!.checkpoint!.index, 40);
  assert.equal(machine.disk.paths().map((path) => machine.disk.bytes(path)), before);
});

test("files that a compacted one stands for, and nobody had time to remove, are no longer part of the log", async () => {
  const earlier = new Map<string, Uint8Array>();
  const machine = await machineWithLog(({ disk }) => {
    for (const path of disk.paths().filter((path) => path.includes("wal-"))) {
      earlier.set(path, disk.bytes(path).slice());
    }
  });
  const without = await examine(machine);
  const gone = [...earlier].filter(([path]) => !machine.disk.paths().includes(path));
  assert.ok(gone.length > 2, `${gone.length} were compacted into one`);
  // Killed when the first one, or every second one, was removed.
  for (const left of [gone.slice(1), gone.filter((_, at) => at % 2 === 1)]) {
    for (const [path, bytes] of left) machine.disk.put(path, bytes);
    const { files, groups, findings } = await examine(machine);
    assert.equal(findings, []);
    assert.equal(groups, without.groups);
    assert.equal(files.filter(({ state }) => state !== "replaced"), without.files);
    assert.is(files.length, without.files.length + left.length);
    for (const [path] of left) await machine.run(machine.start().disk.remove(path));
  }
});

test("finds every flipped byte of what was written", async () => {
  const machine = await machineWithLog();
  let flipped = 0;
  for (const path of machine.disk.paths().filter((path) => path.includes("wal-"))) {
    const bytes = machine.disk.bytes(path).slice();
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    // Each kind of place is met: headers, tables, entries, indexes, summaries, trailers.
    for (let position = 0; position < used; position += position < 48 || position > used - 70 ? 3 : 531) {
      const changed = bytes.slice();
      changed[position]! ^= 1 << position % 8;
      machine.disk.put(path, changed);
      const { findings } = await examine(machine);
      const covered = findings.some((finding) =>
        path.endsWith(finding.file) && finding.position <= position && position < finding.position + finding.bytes
      );
      assert.ok(covered, `byte ${position} of ${used} of ${path}: ${JSON.stringify(findings)}`);
      flipped++;
    }
    machine.disk.put(path, bytes);
  }
  assert.ok(flipped > 400, `${flipped} places`);
});

test("what does not belong there, what is missing and a newer format are told by name and place", async () => {
  const machine = await machineWithLog();
  machine.disk.put(`${FOLDER}/notes.txt`, new Uint8Array(3));
  const wal = machine.disk.paths().filter((path) => path.includes("wal-"));
  await machine.run(machine.start().disk.remove(wal[1]!));
  const { findings } = await examine(machine);
  const told = findings.map(({ code, file }) => `${code} ${file}`);
  assert.equal(told.sort(), ["FOREIGN_FILE notes.txt", `MISSING_FILE ${wal[1]!.slice(FOLDER.length + 1)}`]);
});

test("a write that a crash has torn is no damage", async () => {
  const machine = await machineWithLog();
  const wal = machine.disk.paths().filter((path) => path.includes("wal-"));
  const path = wal.findLast((each) => machine.disk.bytes(each).findLastIndex((byte) => byte !== 0) > 8192)!;
  const bytes = machine.disk.bytes(path).slice();
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
  bytes.fill(0, Math.floor((used - 40) / 512) * 512, used);
  machine.disk.put(path, bytes);
  const { findings } = await examine(machine);
  assert.equal(findings.map(({ code }) => code), ["TORN"]);
});

test.run();

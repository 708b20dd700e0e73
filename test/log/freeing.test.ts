import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Log } from "../../src/log/types.ts";
import { checkpointOf, contentOf, durable, entriesOf, writeOf } from "./entries.ts";
import { FOLDER, Machine } from "./machine.ts";

const test = suite("freeing files of the log");

const numbersOf = (machine: Machine) =>
  machine.disk.paths().filter((path) => path.includes("wal-")).map((path) => Number(path.slice(FOLDER.length + 5, -4)));

/** About one file's worth of entries of a group. */
async function fill(log: Log, group: number, from: number): Promise<number> {
  for (let index = from; index < from + 10; index++) {
    await durable(log, writeOf(group, { entries: entriesOf(group, index, index, 1, 3000) }));
  }
  return from + 10;
}

/** Lets what goes on in the background come to its end. */
async function settle(machine: Machine, log: Log): Promise<void> {
  for (let round = 0; round < 5; round++) {
    await durable(log);
    await new Promise<void>((resolve) => machine.scheduler.after(20, resolve));
  }
}

test("files before the trim go, and hard states, checkpoints and bounds of all groups stay", async () => {
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(
      log,
      writeOf(1, { hardState: { term: 3, vote: 2, commit: 0 } }),
      writeOf(2, { hardState: { term: 9, vote: 1, commit: 0 }, checkpoint: checkpointOf(50, 9), resetLog: true }),
      writeOf(3, { entries: entriesOf(3, 1, 3, 1), checkpoint: checkpointOf(3, 1) }),
    );
    log.trim(3, 4);
    let next = 1;
    while (next < 100) next = await fill(log, 1, next);
    assert.ok(numbersOf(machine).length >= 9);
    log.trim(1, 95, 94);
    await settle(machine, log);
    const numbers = numbersOf(machine);
    assert.ok(numbers.length <= 3, `left: ${numbers}`);
    assert.ok(numbers[0]! > 5);
    await log.close();
  })());
  machine.disk.crash({ survival: "none" });
  await machine.run((async () => {
    const log = await machine.open();
    assert.equal(log.report.damage, []);
    assert.equal(log.group(1)!.hardState, { term: 3, vote: 2, commit: 0 });
    assert.equal([log.group(1)!.firstIndex, log.group(1)!.startOffset], [95, 94]);
    assert.is(await contentOf(log, 1), [95, 96, 97, 98, 99, 100].map((index) => `${index}:1`).join(" "));
    assert.equal(log.group(2)!.hardState, { term: 9, vote: 1, commit: 0 });
    assert.equal([log.group(2)!.firstIndex, log.group(2)!.lastIndex], [51, 50]);
    assert.is(log.group(2)!.checkpoint!.index, 50);
    assert.equal([log.group(3)!.firstIndex, log.group(3)!.lastIndex], [4, 3]);
    assert.is(log.group(3)!.checkpoint!.index, 3);
    await durable(
      log,
      writeOf(3, { entries: entriesOf(3, 4, 4, 2) }),
      writeOf(2, { entries: entriesOf(2, 51, 51, 9) }),
    );
    await log.close();
  })());
});

test("files in the middle are compacted, and what they say of groups counts still", async () => {
  const machine = new Machine(2);
  await machine.run((async () => {
    const log = await machine.open();
    // Group 1 stays in the first file for ever.
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 6, 1) }), writeOf(4, { entries: entriesOf(4, 1, 2, 1) }));
    await fill(log, 2, 1);
    await durable(log, writeOf(1, { truncateFrom: 3, hardState: { term: 5, vote: 1, commit: 2 } }));
    log.remove(4);
    const next = await fill(log, 2, 11);
    await fill(log, 2, next);
    const before = machine.disk.usedBytes;
    log.trim(2, 26, 25);
    await settle(machine, log);
    assert.ok(numbersOf(machine).length <= 3, `left: ${numbersOf(machine)}`);
    assert.ok(machine.disk.usedBytes < before / 1.2, `${before} → ${machine.disk.usedBytes} bytes`);
    await log.close();
  })());
  for (const survival of ["none", "all"] as const) {
    machine.disk.crash({ survival });
    await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, []);
      assert.is(await contentOf(log, 1), "1:1 2:1", "the truncation was in a file that was compacted");
      assert.equal(log.group(1)!.hardState, { term: 5, vote: 1, commit: 2 });
      assert.is(log.group(4), undefined, "and so was the removal");
      assert.is((await contentOf(log, 2)).split(" ").length, 5);
      await log.close();
    })());
  }
});

test("a power loss at any moment of it loses nothing that was not trimmed", async () => {
  let interrupted = true;
  for (let operation = 1; interrupted; operation++) {
    const machine = new Machine(5);
    interrupted = false;
    await machine.run((async () => {
      const log = await machine.open();
      await durable(log, writeOf(1, { entries: entriesOf(1, 1, 3, 1) }));
      await fill(log, 2, 1);
      await fill(log, 2, 11);
      await settle(machine, log);
      const until = machine.disk.operations + operation;
      machine.disk.onOperation = ({ number, phase }) => {
        if (number !== until || phase !== "during") return;
        interrupted = true;
        machine.disk.crash();
        machine.scheduler.stop();
      };
      log.trim(2, 19, 18);
      // Nobody writes: what frees files must itself see to it that the trim is durable first.
      await new Promise<void>((resolve) => machine.scheduler.after(100, resolve));
    })());
    machine.disk.onOperation = () => {};
    await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, []);
      assert.is(await contentOf(log, 1), "1:1 2:1 3:1");
      const first = log.group(2)!.firstIndex;
      assert.ok(first === 1 || first === 19, `starts at ${first}`);
      assert.is((await contentOf(log, 2)).split(" ").length, 21 - first, `operation ${operation}`);
    })());
    assert.ok(operation < 100);
  }
});

test("a removed group's bytes go, and it does not come back", async () => {
  const machine = new Machine(3);
  await machine.run((async () => {
    const log = await machine.open();
    let next = 1;
    while (next < 60) next = await fill(log, 1, next);
    await durable(log, writeOf(2, { entries: entriesOf(2, 1, 1, 1) }));
    log.remove(1);
    assert.is(log.group(1), undefined, "gone at once");
    assert.equal([...log.groups()].map(({ group }) => group), [2]);
    await settle(machine, log);
    assert.ok(numbersOf(machine).length <= 3, `left: ${numbersOf(machine)}`);
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 2, 7) }));
    assert.is(await contentOf(log, 1), "1:7 2:7");
    await log.close();
  })());
  machine.disk.crash({ survival: "none" });
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(await contentOf(log, 1), "1:7 2:7");
    assert.is(await contentOf(log, 2), "1:1");
    await log.close();
  })());
});

test("a trim is forgotten by a crash before the next write, and nothing it covered is lost", async () => {
  const machine = new Machine(4);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) }));
    log.trim(1, 4, 3);
    assert.equal([log.group(1)!.firstIndex, log.group(1)!.startOffset], [4, 3]);
  })());
  machine.disk.crash({ survival: "none" });
  assert.is(await machine.run((async () => contentOf(await machine.open(), 1))()), "1:1 2:1 3:1 4:1 5:1");
});

test.run();

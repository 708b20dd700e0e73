import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Survival, SURVIVALS } from "../../tools/simulator/disk-file.ts";
import type { Operation } from "../../tools/simulator/disk.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { Machine } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("the log after a crash");
const STEPS = 50;

interface CrashPoint {
  readonly seed: number;
  readonly operation: number;
  readonly phase: Operation["phase"];
  readonly survival: Survival | "kill";
}

/** Runs the workload until the crash point; how many operations there were, if it was never reached. */
async function crashAt(point: CrashPoint): Promise<number> {
  const machine = new Machine(point.seed);
  const workload = new Workload(new SeededRandom(point.seed));
  const { disk, scheduler } = machine;
  let crashed = false;
  disk.onOperation = ({ number, phase }) => {
    if (number !== point.operation || phase !== point.phase) return;
    crashed = true;
    if (point.survival === "kill") disk.kill();
    else disk.crash({ survival: point.survival });
    scheduler.stop();
  };
  await machine.run((async () => {
    const log = await machine.open();
    await workload.run(log, STEPS);
    await log.close();
  })());
  const operations = disk.operations;
  assert.is(machine.fatalReason, undefined);
  disk.onOperation = () => {};
  // Twice: what was recovered must be just as durable as what was written.
  for (const again of ["first", "second"]) {
    const found = await machine.run(reopen(machine)).catch((e) => {
      console.log(JSON.stringify(point));
      throw e;
    });
    const where = `${JSON.stringify(point)}, ${again} opening`;
    assert.ok(found !== undefined, `opening never ended: ${where} ${machine.fatalReason}`);
    assert.is(found.damage, "[]", where);
    const allowed = [...workload.allowed()];
    if (!allowed.includes(found.text)) {
      assert.unreachable(`${where}:\n${found.text}\nis none of\n${allowed[0]}\n…\n${allowed.at(-1)}`);
    }
    workload.settle(found.text);
    if (crashed && point.survival !== "kill") disk.crash({ survival: "none" });
    else disk.kill();
  }
  await machine.run((async () => {
    const log = await machine.open();
    await workload.run(log, 5);
    assert.is(await describeLog(log), [...workload.allowed()].at(-1), JSON.stringify(point));
    await log.close();
  })());
  assert.is(machine.fatalReason, undefined, JSON.stringify(point));
  return crashed ? 0 : operations;
}

async function reopen(machine: Machine): Promise<{ text: string; damage: string }> {
  const log = await machine.open();
  return { text: await describeLog(log), damage: JSON.stringify(log.report.damage) };
}

/** Every operation of one workload. */
async function everyOperation(seed: number, phase: Operation["phase"], survival: Survival | "kill"): Promise<void> {
  for (let operation = 1;; operation++) {
    const operations = await crashAt({ seed, operation, phase, survival });
    if (operations > 0) {
      assert.ok(operation > 50, `${operations} operations are too few`);
      return;
    }
  }
}

for (const [at, survival] of [...SURVIVALS, "kill" as const].entries()) {
  test(`holds what was durable and invents nothing, whatever operation is interrupted (${survival})`, async () => {
    await everyOperation(at + 1, "during", survival);
  });
}

test("holds it too when a crash comes right before or after an operation", async () => {
  await everyOperation(11, "before", "torn");
  await everyOperation(12, "after", "none");
});

test.run();

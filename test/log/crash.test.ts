import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Survival, SURVIVALS } from "../../tools/simulator/disk-file.ts";
import type { Operation } from "../../tools/simulator/disk.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { Machine } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("the log after a crash");
const STEPS = 36;

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
  // What was recovered must be just as durable as what was written: it is followed by a loss of all that is not.
  for (const steps of point.survival === "kill" ? [3, 0, 3] : [0, 3, 3]) {
    const where = `${JSON.stringify(point)}, then ${steps} steps`;
    const ended = await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, [], where);
      const found = await describeLog(log);
      const allowed = [...workload.allowed()];
      if (!allowed.includes(found)) {
        assert.unreachable(`${where}:\n${found}\nis none of\n${allowed[0]}\n…\n${allowed.at(-1)}`);
      }
      workload.settle(found);
      await workload.run(log, steps);
      return true;
    })());
    assert.ok(ended, `${where}: ${machine.fatalReason}`);
    disk.crash({ survival: "none" });
  }
  return crashed ? 0 : operations;
}

/** Every operation of one workload. */
async function everyOperation(seed: number, phase: Operation["phase"], survival: Survival | "kill"): Promise<void> {
  for (let operation = 1;; operation++) {
    const operations = await crashAt({ seed, operation, phase, survival });
    if (operations > 0) {
      assert.ok(operation > 40, `${operations} operations are too few`);
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

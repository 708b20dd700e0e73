import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { Machine } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("a log whose machine crashes again and again");
const CRASHES = 25;

/** One log's life: work, crash somewhere, recovery (which may crash too), and on. */
async function life(seed: number): Promise<void> {
  const machine = new Machine(seed);
  const { disk, scheduler } = machine;
  const random = new SeededRandom(seed + 1);
  const workload = new Workload(random.fork(), 6);
  for (let crash = 1; crash <= CRASHES; crash++) {
    const where = `seed ${seed}, before crash ${crash}`;
    const at = disk.operations + 1 + random.integer(120);
    disk.onOperation = ({ number, phase }) => {
      if (number !== at || phase !== "during") return;
      if (random.chance(0.2)) disk.kill();
      else disk.crash();
      scheduler.stop();
    };
    await machine.run((async () => {
      const log = await machine.open();
      assert.equal(log.report.damage, [], where);
      const found = await describeLog(log);
      const allowed = [...workload.allowed()];
      if (!allowed.includes(found)) {
        assert.unreachable(`${where}:\n${found}\nis none of\n${allowed[0]}\n${allowed.at(-1)}`);
      }
      workload.settle(found);
      await workload.run(log, 10 + random.integer(40));
      await log.close();
    })());
    assert.is(machine.fatalReason, undefined, where);
  }
}

test("never loses what was durable, and never invents", async () => {
  for (let seed = 1; seed <= 40; seed++) await life(seed);
});

test.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { Testbed } from "../../tools/simulator/testbed.ts";

const slow = suite("a node with a slow disk");

slow(
  "gives its leaders away, so that the others carry on at their own pace, and gets them back when it is quick again",
  async () => {
    const bed = new Testbed({ seed: 5, nodes: 3, faults: [] });
    const { cluster } = bed;
    const { runtime } = cluster.client(bed.random.fork());
    const led = (id: number) => [...cluster.nodeOf(id)!.partitions.all()].filter(({ leads }) => leads).length;
    const found: Record<string, number> = {};
    const story = async () => {
      await sleep(runtime, 3_000);
      const client = await connect([...cluster.bootstrap], { runtime });
      await client.admin.createTopic("t", { partitions: 6, replicas: 3 });
      const producer = client.producer();
      /** The slowest acknowledgement of so many seconds. */
      const publishFor = async (seconds: number) => {
        let worstMs = 0;
        for (let sent = 0; sent < seconds * 10; sent++) {
          const { monotonicMs } = runtime.clock;
          const startMs = monotonicMs();
          await producer.send("t", { key: `${sent}`, value: "x" });
          worstMs = Math.max(worstMs, monotonicMs() - startMs);
          await sleep(runtime, 100);
        }
        return worstMs;
      };
      await publishFor(5);
      found.before = led(1);
      cluster.diskOf(1).faults.slowness = 2_000;
      await publishFor(30);
      found.whileSlow = led(1);
      found.worstMs = await publishFor(10);
      cluster.diskOf(1).faults.slowness = 1;
      await publishFor(40);
      found.after = led(1);
      await client.close();
    };
    try {
      bed.startNodes();
      const running = new Promise<void>((resolve) => void bed.scheduler.after(0, () => resolve(story())));
      await bed.until("the story ends", 600_000, running);
      assert.is(bed.violation, undefined);
      assert.ok(found.before! > 0);
      assert.is(found.whileSlow, 0);
      assert.ok(found.worstMs! < 100, `the slowest took ${found.worstMs} ms`);
      assert.ok(found.after! > 0);
    } finally {
      bed.close();
    }
  },
);

slow.run();

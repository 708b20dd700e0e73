import { Buffer } from "node:buffer";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { Testbed } from "../../tools/simulator/testbed.ts";

const lagging = suite("a node that was away while records were deleted");

lagging(
  "is given the state at the log's start: its log begins where the others' do, its state is the same",
  async () => {
    const bed = new Testbed({ seed: 11, nodes: 3, faults: [] });
    const { cluster } = bed;
    const { runtime } = cluster.client(bed.random.fork());
    const replicas = () =>
      cluster.alive.map((id) => cluster.nodeOf(id)!).flatMap(({ partitions, log, nodeId }) =>
        [...partitions.all()].map(({ replica, startOffset }) => ({
          nodeId,
          firstIndex: log.group(replica.group)!.firstIndex,
          applied: replica.raft.applied,
          startOffset,
          state: Buffer.from(replica.machine.capture()).toString("hex"),
        }))
      );
    const story = async () => {
      await sleep(runtime, 3_000);
      const client = await connect([...cluster.bootstrap], { runtime });
      await client.admin.createTopic("t", { partitions: 1, replicas: 3 });
      const producer = client.producer({ batchBytesMax: 500 });
      const publish = async (count: number) => {
        for (let i = 0; i < count; i++) await producer.send("t", { value: `record ${i}` });
      };
      await publish(50);
      cluster.kill(3);
      await publish(300);
      await client.admin.deleteRecords("t", 0, 200);
      await publish(20);
      await sleep(runtime, 2_000);
      cluster.start(3);
      await sleep(runtime, 8_000);
      await client.close();
    };
    try {
      bed.startNodes();
      const running = new Promise<void>((resolve) => void bed.scheduler.after(0, () => resolve(story())));
      await bed.until("the story ends", 120_000, running);
      assert.is(bed.violation, undefined);
      const found = replicas();
      assert.equal(found.map(({ nodeId }) => nodeId), [1, 2, 3]);
      const [first] = found;
      assert.ok(first!.firstIndex > 150, `begins at ${first!.firstIndex}`);
      assert.is(first!.startOffset, 200);
      for (const replica of found) assert.equal(replica, { ...first, nodeId: replica.nodeId });
    } finally {
      bed.close();
    }
  },
);

lagging.run();

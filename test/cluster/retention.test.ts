import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { adminService } from "../../src/admin/app.ts";
import type { Cluster } from "../../src/node/cluster.ts";
import { startCluster } from "../../src/node/cluster.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";

const retention = suite("retention on a real cluster");

const WAIT_MS_MAX = 10_000;
let cluster: Cluster;
let client: Client;

retention.before(async () => {
  const folder = makeTemporaryFolder("raftline-retention-");
  cluster = await startCluster({
    runtime: createNodeRuntime({ logLevel: "error" }),
    folder,
    limits: { retentionLookMs: 50 },
    services: [adminService],
  }, () => removeFolder(folder));
  client = await connect(cluster.bootstrap);
});

retention.after(async () => {
  await client.close();
  await cluster.stop();
});

async function publish(topic: string, count: number, valueBytes = 10): Promise<void> {
  const producer = client.producer({ batchBytesMax: 10_000 });
  await producer.sendAll(topic, Array.from({ length: count }, (_, i) => ({ value: `${i} `.padEnd(valueBytes, ".") })));
  await producer.close();
}

async function offsets(topic: string, from: "earliest" | number = "earliest"): Promise<number[]> {
  const found: number[] = [];
  for await (const { offset } of client.consumer({ topics: [topic], from, until: "end" })) found.push(offset);
  return found;
}

/** Of a topic with one partition, on each node. */
function replicasOf(topic: string) {
  return cluster.nodes.flatMap(({ metadata, partitions, log }) => {
    const shard = metadata.topics.get(topic)?.partitions[0]?.shard ?? 0;
    const partition = partitions.get(shard);
    return partition ? [{ partition, group: log.group(shard)! }] : [];
  });
}

async function until(what: string, is: () => boolean): Promise<void> {
  for (let waitedMs = 0; !is(); waitedMs += 20) {
    if (waitedMs > WAIT_MS_MAX) throw new Error(`not within ${WAIT_MS_MAX} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

retention("records below an offset are deleted for every reader and on every replica", async () => {
  await client.admin.createTopic("cut", { partitions: 1 });
  await publish("cut", 5_000);
  assert.is(await client.admin.deleteRecords("cut", 0, 1_234), 1_234);
  const left = await offsets("cut");
  assert.equal([left[0], left.length], [1_234, 5_000 - 1_234]);
  const gaps: object[] = [];
  const consumer = client.consumer({ topics: ["cut"], from: 7, until: "end", onTrimmed: (gap) => gaps.push(gap) });
  const { value } = await consumer[Symbol.asyncIterator]().next();
  consumer.close();
  assert.is(value?.offset, 1_234, "a reader who was overtaken goes on at the start");
  assert.equal(gaps, [{ topic: "cut", partition: 0, fromOffset: 7, toOffset: 1_234 }]);
  await until("all replicas give the same back", () => {
    const starts = replicasOf("cut").map(({ partition, group }) => `${partition.startOffset} ${group.firstIndex}`);
    return starts.length === 3 && new Set(starts).size === 1 && replicasOf("cut")[0]!.group.firstIndex > 1;
  });
  assert.is(await client.admin.deleteRecords("cut", 0, 5), 1_234, "the start never goes back");
  assert.is(await client.admin.deleteRecords("cut", 0, 5_000), 5_000, "all of them");
  assert.equal(await offsets("cut"), []);
  await publish("cut", 3);
  assert.equal(await offsets("cut"), [5_000, 5_001, 5_002]);
});

retention("beyond the end, in an unknown partition and by nonsense nothing is deleted", async () => {
  await client.admin.createTopic("whole", { partitions: 1 });
  await publish("whole", 10);
  const codeOf = async (work: Promise<unknown>) => await work.then(() => "", ({ code }) => code);
  assert.is(await codeOf(client.admin.deleteRecords("whole", 0, 11)), "OFFSET_OUT_OF_RANGE");
  assert.is(await codeOf(client.admin.deleteRecords("whole", 1, 1)), "UNKNOWN_PARTITION");
  assert.is(await codeOf(client.admin.deleteRecords("nowhere", 0, 1)), "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.admin.deleteRecords("whole", 0, -1)), "INVALID_REQUEST");
  assert.is((await offsets("whole")).length, 10);
});

retention("over HTTP, from any node", async () => {
  await client.admin.createTopic("http", { partitions: 1 });
  await publish("http", 100);
  for (const [i, { port }] of cluster.adminAddresses.entries()) {
    const url = `http://127.0.0.1:${port}/v1/topics/http/partitions/0/records`;
    const response = await fetch(`${url}?before=${(i + 1) * 10}`, { method: "DELETE" });
    assert.equal(await response.json(), { topic: "http", partition: 0, startOffset: (i + 1) * 10 });
    const refused = await fetch(`${url}?before=many`, { method: "DELETE" });
    const { code } = await refused.json() as { code: string };
    assert.equal([refused.status, code], [400, "INVALID_REQUEST"]);
  }
  assert.is((await offsets("http"))[0], 30);
});

retention("by size, changed while it runs, and the newest batch stays", async () => {
  await client.admin.createTopic("size", { partitions: 1 });
  await publish("size", 2_000, 100);
  const sizes = () => replicasOf("size").map(({ partition }) => partition.sizeBytes);
  await until("all replicas have it", () => sizes().every((bytes) => bytes > 150_000));
  await client.admin.alterTopic("size", { retention: { bytes: 100_000 } });
  await until("all replicas are smaller", () => sizes().every((bytes) => bytes > 60_000 && bytes <= 105_000));
  await client.admin.alterTopic("size", { retention: { bytes: 1 } });
  const starts = () => replicasOf("size").map(({ partition }) => partition.startOffset);
  await until("only the newest batch is left", () => starts().every((offset) => offset > 1_850));
  const left = await offsets("size");
  assert.equal([left[0], left.at(-1)], [starts()[0], 1_999]);
});

retention("by time: what is older goes, what is newer stays", async () => {
  await client.admin.createTopic("time", { partitions: 1 });
  await publish("time", 1_000);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await publish("time", 10);
  await client.admin.alterTopic("time", { retention: { ms: 1_200 } });
  await until(
    "the old ones are gone",
    () => replicasOf("time").every(({ partition }) => partition.startOffset >= 1_000),
  );
  assert.is(replicasOf("time")[0]!.partition.startOffset, 1_000);
});

retention("a topic may keep only what some group has not acknowledged", async () => {
  await client.admin.createTopic("consumed", { partitions: 1, retention: { consumed: true } });
  await publish("consumed", 3_000);
  const start = () => replicasOf("consumed").map(({ partition }) => partition.startOffset);
  const acknowledge = async (group: string) => {
    const queue = client.queue("consumed", { group });
    let left = 3_000;
    for await (const messages of queue.batches()) {
      await queue.ackAll(messages);
      left -= messages.length;
      if (left === 0) break;
    }
  };
  // A group that is there holds all of it until the other one is there, too.
  await client.cursors("consumed", "log").commit([{ partition: 0, offset: 0 }]);
  await acknowledge("mail");
  await client.cursors("consumed", "log").commit([{ partition: 0, offset: 2_500 }]);
  await until("what both have consumed is gone", () => start().every((offset) => offset === 2_500));
  await client.cursors("consumed", "log").commit([{ partition: 0, offset: 2_000 }]);
  await client.cursors("consumed", "log").commit([{ partition: 0, offset: 3_000 }]);
  await until("all but the newest batch", () => start().every((offset) => offset > 2_500 && offset < 3_000));
});

retention.run();

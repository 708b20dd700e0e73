import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, startCluster } from "../../mod.ts";
import { startCluster as startNodes } from "../../src/node/cluster.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";

type Cluster = Awaited<ReturnType<typeof startCluster>>;
type Client = Awaited<ReturnType<typeof connect>>;

const moving = suite("moving a partition's replicas");

const MOVE_MS_MAX = 20_000;

async function moved(client: Client, topic: string, partition: number, replicas: number[]): Promise<void> {
  const deadlineMs = performance.now() + MOVE_MS_MAX;
  for (;;) {
    const { partitions } = await client.admin.describeTopic(topic);
    const now = partitions[partition]!;
    if (now.target.length === 0) return assert.equal(now.replicas, replicas);
    assert.ok(performance.now() < deadlineMs, `still on its way: ${JSON.stringify(now)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function readAll(client: Client, topic: string): Promise<string[]> {
  const seen: string[] = [];
  for await (const record of client.consumer({ topics: [topic], from: "earliest", until: "end" })) {
    seen.push(record.text());
  }
  return seen;
}

/** Sends numbers one after the other, until stopped; gives how many were acknowledged. */
function sendOn(client: Client, topic: string): { stop(): Promise<number> } {
  const producer = client.producer();
  let stopped = false;
  const running = (async () => {
    let sent = 0;
    for (; !stopped; sent++) await producer.send(topic, { value: String(sent) });
    await producer.close();
    return sent;
  })();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

/** Sooner or later: nodes follow the metadata each in its own time. */
async function eventually(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + MOVE_MS_MAX;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function shardOf({ nodes }: Cluster, topic: string): number {
  return nodes[0]!.metadata.topics.get(topic)!.partitions[0]!.shard;
}

function holders({ nodes }: Cluster, shard: number): number[] {
  return nodes.filter(({ partitions }) => partitions.get(shard)).map(({ nodeId }) => nodeId);
}

moving("to three other nodes and back, while records are sent: none is lost, doubled or out of order", async () => {
  await using cluster = await startCluster({ nodes: 6 });
  await using client = await connect(cluster.bootstrap);
  const { partitions } = await client.admin.createTopic("orders", { partitions: 1, replicas: 3 });
  const from = partitions[0]!.replicas;
  const to = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => !from.includes(id));
  const shard = shardOf(cluster, "orders");
  const load = sendOn(client, "orders");
  for (const target of [to, [...from].reverse()]) {
    await client.admin.moveReplicas("orders", 0, target);
    await moved(client, "orders", 0, target);
    await eventually("those who left forget it", () => holders(cluster, shard).join() === [...target].sort().join());
    for (const { nodeId, log } of cluster.nodes) {
      if (!target.includes(nodeId)) await eventually(`node ${nodeId} gives its bytes back`, () => !log.group(shard));
    }
  }
  const count = await load.stop();
  assert.ok(count > 10, `${count} records`);
  assert.equal(await readAll(client, "orders"), Array.from({ length: count }, (_, i) => String(i)));
  const preferred = from.at(-1)!;
  await eventually("the first one leads", () => cluster.nodes[preferred - 1]!.partitions.get(shard)!.leads);
});

moving("a dead node is replaced; then the partition bears the loss of another", async () => {
  const folder = makeTemporaryFolder("raftline-moving-");
  const runtime = createNodeRuntime({ logLevel: "error" });
  const limits = { awayMsMax: 1_000 };
  await using cluster = await startNodes({ runtime, folder, nodes: 5, limits }, () => removeFolder(folder));
  await using client = await connect(cluster.bootstrap);
  const { partitions } = await client.admin.createTopic("orders", { partitions: 1, replicas: 3 });
  const [first, dead, third] = partitions[0]!.replicas as [number, number, number];
  const fresh = cluster.nodes.map(({ nodeId }) => nodeId).find((id) => ![first, dead, third].includes(id))!;
  const producer = client.producer();
  for (let i = 0; i < 100; i++) await producer.send("orders", { value: String(i) });
  await cluster.nodes[dead - 1]!.stop({ handOver: false });
  const target = [first, fresh, third];
  await client.admin.moveReplicas("orders", 0, target);
  await moved(client, "orders", 0, target);
  const shard = shardOf(cluster, "orders");
  await eventually("the newcomer votes", () => cluster.nodes[fresh - 1]!.partitions.get(shard)!.replica.raft.vouched);
  await cluster.nodes[third - 1]!.stop({ handOver: false });
  for (let i = 100; i < 200; i++) await producer.send("orders", { value: String(i) });
  assert.equal(await readAll(client, "orders"), Array.from({ length: 200 }, (_, i) => String(i)));
});

moving("more replicas, fewer replicas, another order", async () => {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 1, replicas: 1 });
  const producer = client.producer();
  for (let i = 0; i < 10; i++) await producer.send("orders", { value: String(i) });
  const shard = shardOf(cluster, "orders");
  for (const target of [[1, 2, 3], [3, 1, 2], [2]]) {
    await client.admin.moveReplicas("orders", 0, target);
    await moved(client, "orders", 0, target);
    await eventually(
      "the first one leads",
      () => cluster.nodes[target[0]! - 1]!.partitions.get(shard)?.leads === true,
    );
  }
  assert.equal(await readAll(client, "orders"), Array.from({ length: 10 }, (_, i) => String(i)));
});

moving("what makes no sense is refused, and nothing moves", async () => {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 1, replicas: 3 });
  const refused: [string, number, number[], string][] = [
    ["nothing", 0, [1, 2], "UNKNOWN_TOPIC"],
    ["orders", 1, [1, 2], "UNKNOWN_PARTITION"],
    ["orders", 0, [1, 9], "UNKNOWN_NODE"],
    ["orders", 0, [1, 1], "INVALID_REQUEST"],
    ["orders", 0, [], "INVALID_REQUEST"],
    ["orders", 0, [0], "INVALID_REQUEST"],
  ];
  for (const [topic, partition, replicas, code] of refused) {
    const failure = await client.admin.moveReplicas(topic, partition, replicas).then(() => undefined, (error) => error);
    assert.is(failure?.code, code);
  }
  const [partition] = (await client.admin.describeTopic("orders")).partitions;
  assert.equal([partition!.replicas.length, partition!.target], [3, []]);
});

moving.run();

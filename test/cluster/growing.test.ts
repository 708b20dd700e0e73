import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, startCluster } from "../../mod.ts";
import { codeOf, until } from "./test-cluster.ts";

const growing = suite("a cluster that grows and shrinks");

type Cluster = Awaited<ReturnType<typeof startCluster>>;

/** Replicas by node, in the metadata of the first one. */
function held(cluster: Cluster, node: number): number {
  const partitions = [...cluster.nodes[0]!.metadata.topics.values()].flatMap((topic) => topic.partitions);
  return partitions.filter(({ replicas, target }) => [...replicas, ...target].includes(node)).length;
}

const isStill = (cluster: Cluster) => cluster.nodes[0]!.metadata.moving.size === 0;

growing("a node is added, given its share, drained and removed, while records are sent", async () => {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 8, replicas: 3 });
  const producer = client.producer();
  let sent = 0;
  let sending = true;
  const load = (async () => {
    for (; sending; sent++) await producer.send("orders", { key: `${sent}`, value: `${sent}` });
  })();
  load.catch(() => {});
  const fourth = await cluster.addNode();
  assert.is(fourth.nodeId, 4);
  const { nodes } = await client.admin.describeCluster();
  assert.equal(nodes.map(({ id, alive, added }) => [id, alive, added]), [
    [1, true, false],
    [2, true, false],
    [3, true, false],
    [4, true, true],
  ]);
  assert.is(held(cluster, 4), 0);
  assert.is(await client.admin.spreadReplicas(), 6);
  await until("it has its share", () => isStill(cluster));
  assert.equal([1, 2, 3, 4].map((node) => held(cluster, node)), [6, 6, 6, 6]);
  assert.is(await client.admin.spreadReplicas(), 0);
  await until("it leads two", () => [...fourth.partitions.all()].filter(({ leads }) => leads).length === 2);
  assert.is(await codeOf(client.admin.removeNode(4)), "NODE_IN_USE");
  assert.is(await codeOf(client.admin.removeNode(3)), "INVALID_REQUEST");
  assert.is(await codeOf(client.admin.addNode(3, { host: "127.0.0.1", port: 1 })), "ALREADY_EXISTS");
  const { partitions } = await client.admin.describeTopic("orders");
  const elsewhere = partitions.find(({ replicas }) => !replicas.includes(4))!;
  await client.admin.drainNode(4);
  assert.is(await codeOf(client.admin.moveReplicas("orders", elsewhere.partition, [4, 1, 2])), "INVALID_REQUEST");
  await client.admin.createTopic("others", { partitions: 4 });
  await until("it holds nothing", () => held(cluster, 4) === 0);
  await until("its bytes are given back", () => fourth.partitions.size === 0);
  await client.admin.removeNode(4);
  await until("it knows", () => !fourth.isReady);
  await until("nobody teaches it", () => {
    return cluster.nodes.slice(0, 3).every(({ host }) => host.replica(1)!.raft.configuration.learners.length === 0);
  });
  sending = false;
  await load;
  const seen: number[] = [];
  await using again = await connect(cluster.bootstrap);
  for await (const record of again.consumer({ topics: ["orders"], from: "earliest", until: "end" })) {
    seen.push(Number(record.text()));
  }
  assert.equal(seen.sort((a, b) => a - b), Array.from({ length: sent }, (_, i) => i));
});

growing("a node is not drained where its replicas could not go", async () => {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 2, replicas: 3 });
  assert.is(await codeOf(client.admin.drainNode(2)), "NOT_ENOUGH_NODES");
  assert.is(await codeOf(client.admin.drainNode(9)), "UNKNOWN_NODE");
  await cluster.addNode();
  await client.admin.drainNode(2);
  await until("it holds nothing", () => held(cluster, 2) === 0);
  await client.admin.drainNode(2, false);
  assert.ok(await client.admin.spreadReplicas() > 0);
  await until("it is used again", () => isStill(cluster) && held(cluster, 2) > 0);
});

growing.run();

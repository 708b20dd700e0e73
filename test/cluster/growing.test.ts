import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { HostLimits } from "../../shards/host/limits.ts";
import { connect } from "../../mod.ts";
import { type Cluster, startCluster as startNodes } from "../../src/node/cluster.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { codeOf, until } from "./test-cluster.ts";

const growing = suite("a cluster that grows and shrinks");

/** Whose leaders go where they should soon. */
function start(limits: Partial<HostLimits> = { balanceDelayMs: 200 }): Promise<Cluster> {
  const folder = makeTemporaryFolder("raftline-growing-");
  const runtime = createNodeRuntime({ logLevel: "error" });
  return startNodes({ runtime, folder, limits }, () => removeFolder(folder));
}

/** Replicas by node, in the metadata of the first one. */
function held(cluster: Cluster, node: number): number {
  const partitions = [...cluster.nodes[0]!.metadata.topics.values()].flatMap((topic) => topic.partitions);
  return partitions.filter(({ replicas, target }) => [...replicas, ...target].includes(node)).length;
}

const isStill = (cluster: Cluster) => cluster.nodes[0]!.metadata.moving.size === 0;

growing("a node is added, given its share, drained and removed, while records are sent", async () => {
  await using cluster = await start();
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
  await until("it has its share", () => held(cluster, 4) === 6 && isStill(cluster));
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
  await using cluster = await start();
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

growing("a node that dies while it is given replicas is drained and removed, and holds up no other", async () => {
  await using cluster = await start();
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("many", { partitions: 36, replicas: 2 });
  await client.admin.createTopic("few", { partitions: 6, replicas: 2 });
  const fourth = await cluster.addNode();
  await cluster.addNode();
  await fourth.stop({ handOver: false });
  const { partitions } = await client.admin.describeTopic("many");
  for (const { partition, replicas } of partitions) {
    await client.admin.moveReplicas("many", partition, [replicas[0]!, 4]);
  }
  await client.admin.drainNode(3);
  const few = () => cluster.nodes[0]!.metadata.topics.get("few")!.partitions;
  await until(
    "what is not on its way to the dead one leaves",
    () => few().every(({ replicas }) => !replicas.includes(3)),
  );
  await client.admin.drainNode(4);
  await until("what was goes elsewhere", () => held(cluster, 4) === 0 && held(cluster, 3) === 0 && isStill(cluster));
  await client.admin.removeNode(4);
});

growing(
  "a node that joins counts only when it was here, and all that the cluster was made with have let it in",
  async () => {
    await using cluster = await start();
    await using client = await connect(cluster.bootstrap);
    await client.admin.addNode(4, { host: "127.0.0.1", port: 1 });
    const { partitions } = await client.admin.createTopic("orders", { partitions: 8, replicas: 3 });
    assert.not.ok(partitions.some(({ replicas }) => replicas.includes(4)));
    assert.is(await client.admin.spreadReplicas(), 0);
    assert.is(await codeOf(client.admin.createTopic("wide", { replicas: 4 })), "NOT_ENOUGH_NODES");
  },
);

growing("commands are answered on a node that a snapshot brings up", async () => {
  await using cluster = await start({ checkpointEntries: 10 });
  const { nodes } = cluster;
  const followers = nodes.filter(({ nodeId, metadataService }) => metadataService.leader !== nodeId);
  for (let i = 0; i < 300; i++) {
    const asked = followers[i % followers.length]!.metadataService.execute({ type: "allocateProducerIds", count: 1 });
    let isDone = false;
    asked.then(() => isDone = true);
    await until(`command ${i} is answered`, () => isDone);
  }
});

growing.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { type Cluster, startCluster } from "../../src/node/cluster.ts";
import type { RaftlineNode } from "../../src/node/node.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { damageGroups, quietRuntime, ROTTING } from "./bit-rot.ts";
import { until } from "./test-cluster.ts";

const repair = suite("replicas that are repaired at the same time");

const KIB = 1024;

/** Three nodes and a topic with one partition, all of it on the disks of its replicas. */
async function filled(replicas: number) {
  const folder = makeTemporaryFolder("raftline-repair-");
  const cluster = await startCluster({ runtime: quietRuntime(), folder, ...ROTTING }, () => removeFolder(folder));
  const client = await connect(cluster.bootstrap);
  await client.admin.createTopic("rot", { partitions: 1, replicas });
  const producer = client.producer({ batchBytesMax: 10_000 });
  const { shard, replicas: ids } = cluster.nodes[0]!.metadata.topics.get("rot")!.partitions[0]!;
  // By the metadata: a node may not have begun its own yet.
  const holders = cluster.nodes.filter(({ nodeId }) => ids.includes(nodeId));
  // A node that lags is given what it lacks in large blocks: so each hundred is on all disks before the next.
  for (let i = 0; i < 3_000; i += 100) {
    await producer.sendAll("rot", Array.from({ length: 100 }, (_, j) => ({ value: `${i + j} `.padEnd(1_000, "x") })));
    await until("all have all", () => {
      const ends = holders.map(({ host, log }) =>
        log.pendingBytes === 0 ? host.replica(shard)?.raft.durable ?? -1 : -1
      );
      return ends.every((end) => end === ends[0] && end > 0);
    });
  }
  return { cluster, client, shard, holders };
}

/** One bit flips on each, and is found. */
async function damage(nodes: readonly RaftlineNode[], shard: number): Promise<void> {
  for (const node of nodes) assert.is(await damageGroups(node, [shard]), 1);
  await Promise.all(nodes.map((node) => readAll(node, shard)));
  await until("it was noticed", () => nodes.every(({ partitions }) => partitions.repairs.damaged > 0));
}

async function readAll({ log }: RaftlineNode, shard: number): Promise<void> {
  const { firstIndex, lastIndex } = log.group(shard)!;
  for (let next = firstIndex; next <= lastIndex;) {
    const entries = await log.read(shard, next, lastIndex, 100 * KIB).catch(() => []);
    if (entries.length === 0) return;
    next = entries.at(-1)!.index + 1;
  }
}

async function whole(holders: readonly RaftlineNode[], shard: number): Promise<void> {
  await until("all are whole again, and the partition has a leader", () =>
    holders.every(({ host, partitions }) => {
      const raft = host.replica(shard)?.raft;
      return partitions.repairs.underWay === 0 && raft?.vouched === true && raft.leader !== 0;
    }));
}

async function end(cluster: Cluster, client: Client): Promise<void> {
  await client.producer().send("rot", { value: "goes on" });
  await client.close();
  await cluster.stop();
}

repair("both followers of three: one after the other, for the leader has everything", async () => {
  const { cluster, client, shard, holders } = await filled(3);
  const followers = holders.filter(({ partitions }) => !partitions.get(shard)!.leads);
  assert.is(followers.length, 2);
  await damage(followers, shard);
  await whole(holders, shard);
  assert.equal(followers.map(({ partitions }) => partitions.repairs.begun), [1, 1]);
  await end(cluster, client);
});

repair("the follower of two, and then its leader", async () => {
  const { cluster, client, shard, holders } = await filled(2);
  for (const leads of [false, true]) {
    const victim = holders.find(({ partitions }) => partitions.get(shard)!.leads === leads)!;
    const { begun } = victim.partitions.repairs;
    await damage([victim], shard);
    await until("it begins anew", () => victim.partitions.repairs.begun > begun);
    await whole(holders, shard);
  }
  await end(cluster, client);
});

repair.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TopicDescription } from "../../../src/wire/admin-commands.ts";
import { healthOf } from "../../../tools/cli/cluster-health.ts";

const health = suite("the health of a cluster");

const node = (id: number, alive = true) => ({ id, host: "127.0.0.1", port: 7400 + id, alive });
const topic = (
  name: string,
  partitions: [leader: number, replicas: number[], target?: number[]][],
): TopicDescription => ({
  name,
  topicId: 1,
  replicas: 3,
  retention: {},
  recordBytesMax: 1_000,
  partitions: partitions.map(([leader, replicas, target = []], partition) => {
    return { partition, shard: 1_000 + partition, leader, leaderTerm: 1, replicas, target };
  }),
});

health("counts what each node leads and holds, and names what lacks a leader or a replica, or moves", () => {
  const cluster = {
    clusterId: "c",
    metadataLeader: 2,
    nodes: [node(1), { ...node(2), draining: true }, { ...node(3, false), added: true }],
    topics: 2,
    partitions: 4,
  };
  const topics = [topic("a", [[1, [1, 2, 3]], [0, [3]], [2, [1, 2]]]), topic("b", [[2, [2, 1], [1, 2]]])];
  assert.equal(healthOf(cluster, topics), {
    clusterId: "c",
    metadataLeader: 2,
    topics: 2,
    partitions: 4,
    nodes: [
      { id: 1, address: "127.0.0.1:7401", alive: true, added: false, draining: false, leads: 1, replicas: 3 },
      { id: 2, address: "127.0.0.1:7402", alive: true, added: false, draining: true, leads: 2, replicas: 3 },
      { id: 3, address: "127.0.0.1:7403", alive: false, added: true, draining: false, leads: 0, replicas: 2 },
    ],
    leaderless: ["a/1"],
    underReplicated: [{ partition: "a/0", away: [3] }, { partition: "a/1", away: [3] }],
    moving: [{ partition: "b/0", to: [1, 2] }],
  });
});

health.run();

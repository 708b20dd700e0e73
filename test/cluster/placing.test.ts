import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TestCluster, until } from "./test-cluster.ts";

const placing = suite("where a new topic goes");

placing("a node that is down holds nothing that others can hold, and leads nothing", async () => {
  await using started = await TestCluster.start();
  const { cluster, client } = started;
  await cluster.nodes[0]!.stop();
  await until("the others have missed it", async () => {
    const { nodes } = await client.admin.describeCluster();
    return nodes.some(({ id, alive }) => id === 1 && !alive);
  });
  const { partitions } = await client.admin.createTopic("single", { partitions: 6, replicas: 1 });
  for (const { replicas, leader } of partitions) assert.equal(replicas, [leader]);
  const paired = await client.admin.createTopic("paired", { partitions: 6, replicas: 2 });
  for (const { replicas } of paired.partitions) assert.equal([...replicas].sort(), [2, 3]);
  const threefold = await client.admin.createTopic("threefold", { partitions: 6, replicas: 3 });
  for (const { replicas, leader } of threefold.partitions) assert.ok(replicas.indexOf(1) === 2 && leader !== 0);
  await client.producer().sendAll("single", Array.from({ length: 60 }, (_, i) => ({ key: `${i}`, value: "a" })));
});

placing.run();

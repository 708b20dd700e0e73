import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Client } from "../../mod.ts";
import { TestCluster, until } from "./test-cluster.ts";

const letters = suite("dead letters on a real cluster");

const LARGE_BYTES = 50_000;

/** Sends the values, and lets a queue give all of them up. */
async function bury(client: Client, topic: string, deadLetter: string, values: readonly string[]): Promise<void> {
  await client.producer().sendAll(topic, values.map((value) => ({ value })));
  const queue = client.queue(topic, { group: "g", deliveriesMax: 1, deadLetter });
  let given = 0;
  for await (const message of queue) {
    await message.nack();
    given += 1;
    if (given === values.length) break;
  }
  await queue.close();
}

async function read(client: Client, topic: string): Promise<{ offset: number; text: string }[]> {
  const found = [];
  for await (const record of client.consumer({ topics: [topic], from: "earliest", until: "end" })) {
    found.push({ offset: Number(record.headers["raftline-dead-offset"]), text: record.text() });
  }
  return found;
}

letters("a record larger than its dead-letter topic takes goes there whole, and the others with it", async () => {
  await using test = await TestCluster.start();
  const { client } = test;
  await client.admin.createTopic("orders", { partitions: 1 });
  await client.admin.createTopic("orders.dead", { partitions: 1, recordBytesMax: 100 });
  const large = "x".repeat(LARGE_BYTES);
  await bury(client, "orders", "orders.dead", [large, "1", "2"]);
  await until("all are there", async () => (await read(client, "orders.dead")).length === 3);
  assert.equal((await read(client, "orders.dead")).map(({ text }) => text), [large, "1", "2"]);
});

letters(
  "while the topic is missing it is told why they wait: by the admin client, over HTTP, as a metric",
  async () => {
    await using test = await TestCluster.start();
    const { client, cluster } = test;
    await client.admin.createTopic("orders", { partitions: 1 });
    await bury(client, "orders", "orders.dead", ["a", "b"]);
    const place = async () => (await client.admin.describeGroup("orders", "g"))[0]!;
    await until("it has tried", async () => (await place()).deadCode !== "");
    assert.equal([(await place()).dead, (await place()).deadCode], [2, "UNKNOWN_TOPIC"]);
    const urls = cluster.adminAddresses.map(({ port }) => `http://127.0.0.1:${port}`);
    const answer = await fetch(`${urls[0]}/v1/groups?topic=orders`);
    const listed = await answer.json() as { dead: number; deadCode: string }[];
    assert.equal([listed[0]!.dead, listed[0]!.deadCode], [2, "UNKNOWN_TOPIC"]);
    const pages = await Promise.all(urls.map(async (url) => await (await fetch(`${url}/metrics`)).text()));
    const wanted = 'raftline_group_dead_records{topic="orders",group="g",code="UNKNOWN_TOPIC"} 2';
    assert.is(pages.filter((page) => page.includes(wanted)).length, 1, "by who leads");
    await client.admin.createTopic("orders.dead");
    await until("none waits", async () => (await place()).dead === 0);
    assert.is((await place()).deadCode, "");
    assert.equal((await read(client, "orders.dead")).map(({ text }) => text), ["a", "b"]);
  },
);

letters("each is there once, though the leaders of both topics go in the middle", async () => {
  await using test = await TestCluster.start();
  const { client, cluster } = test;
  await client.admin.createTopic("orders", { partitions: 1 });
  await client.admin.createTopic("orders.dead", { partitions: 1 });
  const leaderOf = async (topic: string) => (await client.admin.describeTopic(topic)).partitions[0]!.leader;
  const values = Array.from({ length: 400 }, (_, i) => `${i}`);
  const burying = bury(client, "orders", "orders.dead", values);
  await until("some are there", async () => (await read(client, "orders.dead")).length > 20);
  const handOver = async (topic: string) => {
    const leader = await leaderOf(topic);
    const node = cluster.nodes.find(({ nodeId }) => nodeId === leader);
    const { partitions } = await client.admin.describeTopic(topic);
    const replica = node?.host.replica(partitions[0]!.shard);
    const follower = replica?.raft.followers()[0];
    if (follower) replica!.raft.transfer(follower.peer, node!.host.nowMs());
  };
  await handOver("orders");
  await handOver("orders.dead");
  await handOver("orders");
  await cluster.nodes.find(({ nodeId }) => nodeId === 1)!.stop({ handOver: false });
  await burying;
  await until("all are there", async () => (await client.admin.describeGroup("orders", "g"))[0]!.dead === 0);
  const found = await read(client, "orders.dead");
  assert.equal(found.map(({ text }) => Number(text)).sort((a, b) => a - b), values.map(Number));
});

letters("in a topic that was deleted and made again each is there once", async () => {
  await using test = await TestCluster.start();
  const { client } = test;
  await client.admin.createTopic("orders", { partitions: 1 });
  await client.admin.createTopic("orders.dead", { partitions: 1 });
  const place = async () => (await client.admin.describeGroup("orders", "g"))[0]!;
  await bury(client, "orders", "orders.dead", ["0", "1", "2"]);
  await until("the first are there", async () => (await place()).dead === 0);
  await client.admin.deleteTopic("orders.dead");
  await bury(client, "orders", "orders.dead", ["3", "4", "5"]);
  await until("it has tried", async () => (await place()).deadCode === "UNKNOWN_TOPIC");
  await client.admin.createTopic("orders.dead", { partitions: 1 });
  await until("the others are there", async () => (await place()).dead === 0);
  assert.equal((await read(client, "orders.dead")).map(({ text }) => text), ["3", "4", "5"]);
});

letters.run();

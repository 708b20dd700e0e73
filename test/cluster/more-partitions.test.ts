import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { codeOf, TestCluster, until } from "./test-cluster.ts";

const more = suite("partitions that are added to a topic");

let test: TestCluster;
let client: Client;

more.before(async () => {
  test = await TestCluster.start(3);
  client = test.client;
});

more.after(() => test[Symbol.asyncDispose]());

more("take records, and are read, by those who were there before: alone, in a group, from a queue", async () => {
  await client.admin.createTopic("orders", { partitions: 2, replicas: 3 });
  const producer = client.producer();
  let sent = 0;
  const send = async (count: number) => {
    const numbers = Array.from({ length: count }, () => sent++);
    await producer.sendAll("orders", numbers.map((number) => ({ key: `${number}`, value: `${number}` })));
  };
  const alone = new Set<string>();
  const consumer = client.consumer({ topics: ["orders"], from: "latest" });
  const reading = (async () => {
    for await (const record of consumer) alone.add(`${record.partition} ${record.text()}`);
  })();
  const grouped = new Set<string>();
  await using other = await connect(test.cluster.bootstrap);
  const member = other.consumer({ topics: ["orders"], group: "mail", from: "latest" });
  const following = (async () => {
    for await (const record of member) grouped.add(`${record.partition} ${record.text()}`);
  })();
  const queued = new Set<string>();
  const queue = client.queue("orders", { group: "sms", from: "latest" });
  const working = (async () => {
    for await (const message of queue) {
      queued.add(`${message.partition} ${message.text()}`);
      await message.ack();
    }
  })();
  await until("all have begun", async () => {
    await send(10);
    return alone.size > 0 && grouped.size > 0 && queued.size > 0;
  });
  const before = sent;
  const { partitions } = await client.admin.alterTopic("orders", { partitions: 7 });
  assert.equal(
    partitions.map(({ partition, replicas }) => [partition, replicas.length]),
    [0, 1, 2, 3, 4, 5, 6].map((n) => [n, 3]),
  );
  await send(1_000);
  const placed = (seen: ReadonlySet<string>) => {
    const late = [...seen].map((one) => one.split(" ").map(Number)).filter(([, number]) => number! >= before);
    return [late.length, new Set(late.map(([partition]) => partition)).size];
  };
  for (const seen of [alone, grouped, queued]) await until("all of it is seen", () => placed(seen)[0] === 1_000);
  assert.equal([alone, grouped, queued].map(placed), [[1_000, 7], [1_000, 7], [1_000, 7]]);
  await Promise.all([consumer.close(), member.close(), queue.close()]);
  await Promise.all([reading, following, working]);
  await producer.close();
});

more("are never fewer, and of a topic that is", async () => {
  await client.admin.createTopic("small", { partitions: 3 });
  assert.is(await codeOf(client.admin.alterTopic("small", { partitions: 2 })), "INVALID_REQUEST");
  assert.is(await codeOf(client.admin.alterTopic("nowhere", { partitions: 2 })), "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.admin.alterTopic("small", { partitions: 100_000 })), "INVALID_REQUEST");
  await client.admin.createTopic("consumed", { partitions: 1, retention: { consumed: true } });
  assert.is(await codeOf(client.admin.alterTopic("consumed", { partitions: 2 })), "INVALID_REQUEST");
  const same = await client.admin.alterTopic("small", { partitions: 3, retention: { ms: 5_000 } });
  assert.equal([same.partitions.length, same.retention], [3, { ms: 5_000 }]);
});

more("a consumer of some partitions keeps to those; one of all there are to an end, too", async () => {
  await client.admin.createTopic("fixed", { partitions: 1 });
  const producer = client.producer();
  await producer.send("fixed", { value: "0" });
  const seen: string[] = [];
  const consumer = client.consumer({ topics: ["fixed"], partitions: [0], from: "earliest" });
  const iterator = consumer[Symbol.asyncIterator]();
  seen.push((await iterator.next()).value!.text());
  await client.admin.alterTopic("fixed", { partitions: 2 });
  await producer.send("fixed", { value: "1", partition: 1 });
  await producer.send("fixed", { value: "2", partition: 0 });
  seen.push((await iterator.next()).value!.text());
  assert.equal(seen, ["0", "2"]);
  await consumer.close();
  await producer.close();
});

more("a member of several topics reads what is added to one of them though another was deleted", async () => {
  for (const name of ["left", "gone"]) await client.admin.createTopic(name, { partitions: 1 });
  const seen: string[] = [];
  const member = client.consumer({ topics: ["left", "gone"], group: "both", from: "earliest" });
  const reading = (async () => {
    for await (const record of member) seen.push(`${record.partition} ${record.text()}`);
  })();
  reading.catch(() => {});
  const producer = client.producer();
  await producer.send("left", { value: "0" });
  await until("it reads", () => seen.length === 1);
  await client.admin.alterTopic("left", { partitions: 3 });
  for (const partition of [0, 1, 2]) await producer.send("left", { value: "1", partition });
  await until("all are read", () => seen.length === 4);
  await member.close();
  await producer.close();
});

more.run();

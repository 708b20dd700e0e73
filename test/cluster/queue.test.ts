import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Client, RaftlineError } from "../../mod.ts";
import { codeOf, rejects, TestCluster } from "./test-cluster.ts";

const queues = suite("queues on a real cluster");

let test: TestCluster;
let client: Client;

queues.before(async () => {
  test = await TestCluster.start();
  client = test.client;
});

queues.after(() => test[Symbol.asyncDispose]());

queues("every record is delivered to one of the consumers, once, when all are acknowledged", async () => {
  await test.topicWith("jobs", 600, 4);
  const seen: string[] = [];
  const work = async () => {
    await using queue = client.queue("jobs", { group: "workers", prefetchRecords: 50 });
    for await (const message of queue) {
      assert.is(message.deliveryCount, 1);
      seen.push(message.text());
      await message.ack();
      if (seen.length >= 600) break;
      if (seen.length > 580) return;
    }
  };
  await Promise.all([work(), work(), work()]);
  await using last = client.queue("jobs", { group: "workers" });
  const leftOver = new Set<string>();
  for (const at = Date.now(); seen.length + leftOver.size < 600 && Date.now() - at < 5_000;) {
    for await (const message of last) {
      leftOver.add(message.text());
      await message.ack();
      if (seen.length + leftOver.size >= 600) break;
    }
  }
  assert.is(new Set([...seen, ...leftOver]).size, 600);
});

queues(
  "what is nacked or given back by leaving comes again with a higher count; two groups do not see each other",
  async () => {
    await test.topicWith("again", 4);
    const first = client.queue("again", { group: "one" });
    const messages = [];
    for await (const message of first) {
      messages.push(message);
      if (messages.length < 4) continue;
      await message.ack();
      await messages[0]!.nack();
      await messages[1]!.nack({ delayMs: 100 });
      break;
    }
    await first.close();
    const second = client.queue("again", { group: "one" });
    const counts = new Map<string, number>();
    for await (const message of second) {
      counts.set(message.text(), message.deliveryCount);
      await message.ack();
      if (counts.size === 3) break;
    }
    assert.equal([...counts].sort(), [["0", 2], ["1", 2], ["2", 2]]);
    const other = client.queue("again", { group: "two" });
    for await (const messages of other.batches()) {
      assert.equal(messages.map((message) => message.deliveryCount), [1, 1, 1, 1]);
      await messages[1]!.ack();
      assert.is(await codeOf(other.ackAll(messages)), "INVALID_REQUEST");
      assert.equal(messages.map(({ settled }) => settled), [false, true, false, false], "all of them or none");
      await other.ackAll(messages.filter(({ settled }) => !settled));
      break;
    }
  },
);

queues("a lease that runs out gives its record to another, and the late ack is refused", async () => {
  await test.topicWith("late", 1);
  const slow = client.queue("late", { group: "g", leaseMs: 300 });
  const { value: taken } = await slow[Symbol.asyncIterator]().next();
  const quick = client.queue("late", { group: "g", leaseMs: 300 });
  const { value: again } = await quick[Symbol.asyncIterator]().next();
  assert.is(again!.deliveryCount, 2);
  assert.is(await codeOf(taken!.ack()), "LEASE_EXPIRED");
  assert.is(await codeOf(again!.ack()), "");
  for (const twice of [() => again!.ack(), () => again!.nack()]) assert.is(await codeOf(twice()), "INVALID_REQUEST");
  await Promise.all([slow.close(), quick.close()]);
});

queues("a consumer that settles nothing is given what it prefetches, and no more", async () => {
  await test.topicWith("hoarded", 100);
  const queue = client.queue("hoarded", { group: "g", prefetchRecords: 21 });
  const messages = [];
  for await (const message of queue) {
    if (messages.push(message) === 21) break;
    const [part] = await client.admin.describeGroup("hoarded", "g");
    assert.ok(part!.leased <= 21, `${part!.leased} leased`);
  }
  assert.equal(messages.map((message) => message.text()), [...Array(21).keys()].map(String));
});

queues("an extended lease lasts", async () => {
  await test.topicWith("long", 1);
  const queue = client.queue("long", { group: "g", leaseMs: 300 });
  const { value: message } = await queue[Symbol.asyncIterator]().next();
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 150));
    await message!.extend();
  }
  assert.is(await codeOf(message!.ack()), "");
  await queue.close();
});

queues("a delay or a time that is none is refused alone: what is settled beside it is settled", async () => {
  await test.topicWith("delays", 6);
  await using queue = client.queue("delays", { group: "g" });
  for await (const messages of queue.batches()) {
    const [first, second, third, ...rest] = messages;
    const bad = [NaN, -1, Infinity, 2 ** 54, "5", {}] as number[];
    const refused = bad.map((delayMs) => codeOf(first!.nack({ delayMs })));
    refused.push(...bad.map((delayMs) => codeOf(queue.nackAll([first!], { delayMs }))));
    refused.push(...[...bad, 0, null as unknown as number].map((leaseMs) => codeOf(first!.extend(leaseMs))));
    const settled = [first!.ack(), second!.nack({ delayMs: 150.15 }), queue.ackAll(rest), third!.extend(30_000.5)];
    assert.equal(new Set(await Promise.all(refused)), new Set(["INVALID_REQUEST"]));
    assert.equal(await Promise.all(settled.map(codeOf)), ["", "", "", ""]);
    await third!.ack();
    break;
  }
  const again = client.queue("delays", { group: "g" });
  for await (const message of again) {
    assert.equal([message.text(), message.deliveryCount], ["1", 2]);
    await message.ack();
    break;
  }
});

queues("a handler's failures come again after a while, and the others are not held up", async () => {
  await test.topicWith("handled", 50);
  const queue = client.queue("handled", { group: "g" });
  const attempts = new Map<string, number>();
  const done = new Set<string>();
  await queue.run(async (message) => {
    const text = message.text();
    attempts.set(text, (attempts.get(text) ?? 0) + 1);
    if (text === "7" && attempts.get(text)! < 3) throw new Error("not yet");
    done.add(text);
    if (done.size === 50) void queue.close();
  }, { concurrency: 4, backOffMsFirst: 20.25 });
  assert.is(attempts.get("7"), 3);
  assert.is([...attempts.values()].filter((count) => count === 1).length, 49);
});

queues("a run ends with what onError threw, also while its queue is closed", async () => {
  await test.topicWith("told", 5);
  for (const closes of [false, true]) {
    await using queue = client.queue("told", { group: `g${closes}` });
    const cause = new Error("mine");
    const run = queue.run(() => {
      if (closes) void queue.close();
      throw new Error("a handler's");
    }, {
      onError: () => {
        throw cause;
      },
    });
    await rejects(run, (error) => error.code === "INTERNAL" && error.cause === cause);
  }
});

queues(
  "a queue is closed, and awaited, within its handlers: their acks hold, and nobody waits for himself for ever",
  async () => {
    await test.topicWith("closed-within", 20);
    const queue = client.queue("closed-within", { group: "g" });
    let begun = 0;
    const startedMs = performance.now();
    await queue.run(async () => {
      begun += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
      await queue.close();
    }, { concurrency: 3 });
    await queue.close();
    assert.ok(performance.now() - startedMs < 4_000, `${performance.now() - startedMs} ms`);
    assert.is(begun, 3);
    const [part] = await client.admin.describeGroup("closed-within", "g");
    assert.equal([part!.floor, part!.waiting, part!.leased], [3, 17, 0]);
  },
);

queues(
  "what is given up goes to the dead-letter topic once, with where it came from; that it is not there yet loses nothing",
  async () => {
    await test.topicWith("orders", 20, 4);
    const options = { group: "g", deliveriesMax: 2, deadLetter: "orders.dead" };
    const queue = client.queue("orders", options);
    const bad = new Map<string, number>();
    let done = 0;
    await queue.run((message) => {
      if (Number(message.text()) % 2 === 0) {
        bad.set(message.text(), message.deliveryCount);
        if ([...bad.values()].filter((count) => count === 2).length === 10 && done === 10) void queue.close();
        throw new Error("bad");
      }
      done += 1;
    }, { backOffMsFirst: 10 });
    await client.admin.createTopic("orders.dead", { partitions: 2 });
    const dead = [];
    for await (const record of client.consumer({ topics: ["orders.dead"], from: "earliest" })) {
      dead.push(record);
      if (dead.length === 10) break;
    }
    assert.equal(dead.map((record) => record.text()).sort(), [...bad.keys()].sort());
    for (const { headers } of dead) {
      assert.is(headers["raftline-dead-topic"], "orders");
      assert.is(headers["raftline-dead-group"], "g");
      assert.is(headers["raftline-dead-deliveries"], "2");
      assert.is(headers["raftline-dead-reason"], "nacked");
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    let count = 0;
    for await (const _ of client.consumer({ topics: ["orders.dead"], from: "earliest", until: "end" })) count += 1;
    assert.is(count, 10);
  },
);

queues("key-ordered: one record of a key at a time, in order, though some fail and others work beside", async () => {
  await client.admin.createTopic("accounts", { partitions: 2 });
  const records = Array.from({ length: 200 }, (_, i) => ({ key: `k${i % 10}`, value: `${Math.floor(i / 10)}` }));
  await client.producer().sendAll("accounts", records);
  const next = new Map<string, number>();
  const busy = new Set<string>();
  const failed = new Set<string>();
  let done = 0;
  const consumers = Array.from({ length: 3 }, () => client.queue("accounts", { group: "g", keyOrdered: true }));
  await Promise.all(consumers.map((queue) =>
    queue.run(async (message) => {
      const key = message.keyText()!;
      assert.not.ok(busy.has(key), `two of ${key} at once`);
      busy.add(key);
      await new Promise((resolve) => setTimeout(resolve, 1));
      busy.delete(key);
      const place = `${key} ${message.text()}`;
      if (message.text() === "7" && !failed.has(place)) {
        failed.add(place);
        throw new Error("once");
      }
      assert.is(Number(message.text()), next.get(key) ?? 0, key);
      next.set(key, (next.get(key) ?? 0) + 1);
      done += 1;
      if (done === 200) { for (const one of consumers) void one.close(); }
    }, { backOffMsFirst: 20, onError: (error) => assert.is((error as Error).message, "once") })
  ));
  assert.is(failed.size, 10);
});

queues("scheduled records wait for their time, and those whose time is over are not given out", async () => {
  await client.admin.createTopic("timed", { partitions: 1 });
  await client.admin.createTopic("timed.dead", { partitions: 1 });
  const producer = client.producer();
  const options = { group: "g", deliveriesMax: 3, deadLetter: "timed.dead" };
  await producer.send("timed", { value: "short", ttlMs: 20 });
  const laterMs = Date.now() + 600;
  await producer.send("timed", { value: "later", deliverAt: laterMs });
  await producer.send("timed", { value: "soon", delayMs: 200, ttlMs: 60_000 });
  await producer.send("timed", { value: "now" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const read = [];
  for await (const record of client.consumer({ topics: ["timed"], from: "earliest", until: "end" })) read.push(record);
  assert.equal(read.map((record) => record.text()), ["later", "soon", "now"], "readers of the log see them at once");
  assert.is(read[0]!.deliverAt, laterMs);
  const queue = client.queue("timed", options);
  const given: string[] = [];
  for await (const message of queue) {
    given.push(message.text());
    assert.ok(message.deliverAt === null || message.deliverAt <= Date.now());
    assert.is(message.deliveryCount, 1);
    await message.ack();
    if (given.length === 3) break;
  }
  assert.equal(given, ["now", "soon", "later"]);
  for await (const record of client.consumer({ topics: ["timed.dead"], from: "earliest" })) {
    assert.equal([record.text(), record.headers["raftline-dead-reason"]], ["short", "expired"]);
    break;
  }
});

queues(
  "cursors: a later generation fences, nothing is committed beyond the end, and a group is of one kind",
  async () => {
    await test.topicWith("places", 10);
    const cursors = client.cursors("places", "log");
    assert.is((await cursors.read([0]))[0]?.offset, undefined);
    await cursors.commit([{ partition: 0, offset: 3 }]);
    assert.equal((await cursors.claim([0], 2, "second")).map(({ offset, generation }) => [offset, generation]), [[
      3,
      2,
    ]]);
    assert.is(await codeOf(cursors.commit([{ partition: 0, offset: 4 }], 1)), "STALE_GENERATION");
    assert.is(await codeOf(cursors.commit([{ partition: 0, offset: 4 }])), "STALE_GENERATION");
    assert.is(await codeOf(cursors.claim([0], 1, "first")), "STALE_GENERATION");
    assert.is(await codeOf(cursors.commit([{ partition: 0, offset: 11 }], 2)), "OFFSET_OUT_OF_RANGE");
    assert.is(await codeOf(cursors.commit([{ partition: 1, offset: 0 }], 2)), "UNKNOWN_PARTITION");
    await cursors.commit([{ partition: 0, offset: 10, metadata: "all" }], 2);
    const [cursor] = await cursors.read([0]);
    assert.equal([cursor?.offset, cursor?.metadata], [10, "all"]);
    const queue = client.queue("places", { group: "log" });
    assert.is(await codeOf(queue[Symbol.asyncIterator]().next()), "WRONG_GROUP_KIND");
  },
);

queues("a group is set back: not one that is unknown, nor one that works, unless it is forced", async () => {
  await test.topicWith("again-and-again", 10);
  const { admin } = client;
  assert.is(await codeOf(admin.resetGroup("again-and-again", "g", { to: "earliest" })), "UNKNOWN_GROUP");
  const queue = client.queue("again-and-again", { group: "g" });
  const iterator = queue[Symbol.asyncIterator]();
  const { value: message } = await iterator.next();
  assert.is(await codeOf(admin.resetGroup("again-and-again", "g", { to: "latest" })), "GROUP_ACTIVE");
  assert.is(await codeOf(admin.removeGroup("again-and-again", "g")), "GROUP_ACTIVE");
  assert.is(await codeOf(admin.resetGroup("again-and-again", "g", { to: 11, force: true })), "OFFSET_OUT_OF_RANGE");
  assert.equal(await admin.resetGroup("again-and-again", "g", { to: 8, force: true }), [{ partition: 0, offset: 8 }]);
  assert.is(await codeOf(message!.ack()), "LEASE_EXPIRED");
  await queue.close();
  const left = client.queue("again-and-again", { group: "g" });
  const seen = [];
  for await (const one of left) {
    seen.push(one.offset);
    await one.ack();
    if (seen.length === 2) break;
  }
  assert.equal(seen, [8, 9]);
});

queues("settings that make no sense are refused", async () => {
  await test.topicWith("refused", 0);
  const options = { group: "g" };
  for (
    const bad of [
      { ...options, deliveriesMax: 0, deadLetter: "x" },
      { ...options, deliveriesMax: 3 },
      { ...options, deadLetter: "refused" },
      { ...options, prefetchRecords: 0 },
      { group: "no name" },
      { ...options, leaseMs: NaN },
      { ...options, settleTimeoutMs: NaN },
      { ...options, maxWaitMs: 1e12 },
      { ...options, bytesMax: 0 },
      { ...options, partitions: [-1] },
      { ...options, deadLetter: "no name" },
      { ...options, keyOrdered: "no" as unknown as boolean },
      { ...options, from: new Date() as unknown as number },
      undefined as unknown as { group: string },
    ]
  ) {
    assert.throws(() => client.queue("refused", bad), (error: RaftlineError) => error.code.startsWith("INVALID_"));
  }
  for (const topic of ["", undefined as unknown as string, "no name"]) {
    assert.throws(() => client.queue(topic, options), (error: RaftlineError) => error.code === "INVALID_NAME");
  }
  const elsewhere = client.queue("refused", { ...options, partitions: [0, 1] });
  assert.is(await codeOf(elsewhere[Symbol.asyncIterator]().next()), "UNKNOWN_PARTITION");
  const queue = client.queue("refused", options);
  for (
    const bad of [{ concurrency: 0 }, { concurrency: 1.5 }, { backOffMsFirst: NaN }, { backOffMsMax: -1 }, {
      handlerMsMax: "1" as unknown as number,
    }, { onError: 5 as unknown as () => void }]
  ) {
    assert.is(await codeOf(queue.run(() => {}, bad)), "INVALID_REQUEST");
  }
  await queue.close();
  const tooShort = client.queue("refused", { group: "g", leaseMs: 1 });
  assert.is(await codeOf(tooShort[Symbol.asyncIterator]().next()), "INVALID_REQUEST");
  assert.is(await codeOf(client.queue("nowhere", options)[Symbol.asyncIterator]().next()), "UNKNOWN_TOPIC");
});

queues.run();

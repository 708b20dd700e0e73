import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import type { Client } from "../../src/client/client.ts";
import type { ProducerOptions } from "../../src/client/producer.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { FakeWorld } from "../wire/fake-world.ts";
import { FakeCluster } from "./fake-cluster.ts";

interface Fixture {
  readonly world: FakeWorld;
  readonly cluster: FakeCluster;
  readonly client: Client;
}

async function fixture(seed = 1): Promise<Fixture> {
  const world = new FakeWorld(seed);
  const cluster = await FakeCluster.start(world);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  return { world, cluster, client };
}

function numbered(count: number, from = 0): { value: string }[] {
  return Array.from({ length: count }, (_, i) => ({ value: String(from + i) }));
}

function expected(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

async function failure(promise: Promise<unknown>): Promise<RaftlineError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, RaftlineError);
    return error as RaftlineError;
  }
  throw new Error("it should have failed");
}

function delay(world: FakeWorld, ms: number): Promise<void> {
  return new Promise((resolve) => world.after(ms, resolve));
}

const sending = suite("producer: sending");

sending("answers each record with its own partition and offset", async () => {
  const { world, cluster, client } = await fixture();
  cluster.createTopic("t", 1);
  const producer = client.producer();
  const places = await world.run(Promise.all(numbered(5).map((record) => producer.send("t", record))));
  assert.equal(places, [0, 1, 2, 3, 4].map((offset) => ({ partition: 0, offset })));
  assert.equal(await world.run(producer.send("t", { value: "5" })), { partition: 0, offset: 5 });
});

sending(
  "goes to partitions that somebody else has added, and a consumer reads them, within half a minute",
  async () => {
    const { world, cluster, client } = await fixture();
    cluster.createTopic("t", 1);
    const producer = client.producer();
    const iterator = client.consumer({ topics: ["t"], from: "latest" })[Symbol.asyncIterator]();
    const first = iterator.next();
    await world.run(delay(world, 100));
    await world.run(producer.send("t", { value: "0" }));
    assert.is((await world.run(first)).value!.text(), "0");
    const [added] = cluster.addPartitions("t", 1);
    await world.run(producer.send("t", { key: "a", value: "1" }));
    assert.is((await world.run(iterator.next())).value!.text(), "1");
    assert.is((await failure(world.run(producer.send("t", { value: "x", partition: 1 })))).code, "UNKNOWN_PARTITION");
    await world.run(delay(world, 30_000));
    await world.run(producer.send("t", { value: "2", partition: 1 }));
    assert.equal(added!.values(), ["2"]);
    const next = (await world.run(iterator.next())).value!;
    assert.equal([next.partition, next.offset, next.text()], [1, 0, "2"]);
  },
);

sending("puts records of one turn into one batch and one request per leader", async () => {
  const { world, cluster, client } = await fixture();
  const shards = cluster.createTopic("t", 6);
  const producer = client.producer();
  await world.run(producer.sendAll("t", numbered(6).map((record, i) => ({ ...record, partition: i }))));
  assert.is(cluster.requests.filter(({ request }) => request.type === "produce").length, 3);
  assert.equal(shards.map((shard) => shard.values()), expected(6).map((value) => [value]));
});

sending("keeps keys together, by ranges of their hash", async () => {
  const { world, cluster, client } = await fixture();
  const shards = cluster.createTopic("t", 4);
  const producer = client.producer();
  const keyed = Array.from({ length: 200 }, (_, i) => ({ key: `k${i % 20}`, value: `k${i % 20}:${i}` }));
  await world.run(producer.sendAll("t", keyed));
  const seen = new Map<string, number>();
  shards.forEach((shard, partition) => {
    assert.ok(shard.entries.length > 0);
    for (const value of shard.values()) {
      const key = value.split(":")[0]!;
      assert.is(seen.get(key) ?? partition, partition);
      seen.set(key, partition);
    }
  });
  assert.is(seen.size, 20);
});

sending("spreads records without a key over all partitions", async () => {
  const { world, cluster, client } = await fixture();
  const shards = cluster.createTopic("t", 3);
  const producer = client.producer({ batchBytesMax: 1_000 });
  for (const record of numbered(9)) await world.run(producer.send("t", record));
  assert.equal(shards.map((shard) => shard.end), [3, 3, 3]);
  await world.run(producer.sendAll("t", numbered(3_000)));
  for (const shard of shards) assert.ok(shard.end > 600, `${shard.end} records`);
});

sending("lets requests overlap, and keeps the order", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  await world.run(producer.send("t", { value: "0" }));
  cluster.produceDelayMs = 100;
  const startedMs = world.nowMs;
  const first = producer.send("t", { value: "1" });
  await world.pass(20);
  await world.run(Promise.all([first, producer.send("t", { value: "2" })]));
  assert.ok(world.nowMs - startedMs < 150, `${world.nowMs - startedMs} ms`);
  assert.equal(shard!.values(), expected(3));
});

sending("fills batches with what piles up while requests are in flight", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  cluster.produceDelayMs = 100;
  const producer = client.producer();
  const all: Promise<unknown>[] = [];
  for (const record of numbered(200)) {
    all.push(producer.send("t", record));
    await world.pass(2);
  }
  await world.run(Promise.all(all));
  assert.equal(shard!.values(), expected(200));
  assert.ok(shard!.entries.length < 20, `${shard!.entries.length} batches`);
});

sending("compresses batches if asked to", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer({ compression: "deflate" });
  await world.run(producer.sendAll("t", numbered(1_000).map(({ value }) => ({ value: value.padEnd(100) }))));
  assert.equal(shard!.values().map((value) => value.trim()), expected(1_000));
  assert.ok(shard!.entries.reduce((sum, entry) => sum + entry.byteLength, 0) < 20_000);
  assert.is(producer.bufferedBytes, 0);
});

sending("tells each enqueued record's callback", async () => {
  const { world, cluster, client } = await fixture();
  cluster.createTopic("t", 1);
  const producer = client.producer();
  const told: number[] = [];
  for (const record of numbered(3)) {
    assert.ok(producer.enqueue("t", record, (error, _partition, offset) => {
      assert.is(error, undefined);
      told.push(offset);
    }));
  }
  await world.run(producer.flush());
  assert.equal(told, [0, 1, 2]);
});

sending("flushes on close, and takes nothing afterwards", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  for (const record of numbered(10)) producer.enqueue("t", record);
  await world.run(producer.close());
  assert.equal(shard!.values(), expected(10));
  assert.is((await failure(world.run(producer.send("t", { value: "x" })))).code, "CLOSED");
});

sending.run();

const refusing = suite("producer: refusing");

refusing("says that a topic does not exist", async () => {
  const { world, client } = await fixture();
  const producer = client.producer();
  assert.is((await failure(world.run(producer.send("nowhere", { value: "x" })))).code, "UNKNOWN_TOPIC");
  assert.is((await failure(world.run(producer.sendAll("nowhere", numbered(3))))).code, "UNKNOWN_TOPIC");
  await world.run(producer.close());
});

refusing("finds a topic that was created a moment ago", async () => {
  const { world, cluster, client } = await fixture();
  const producer = client.producer();
  const sent = producer.send("soon", { value: "x" });
  world.after(80, () => void cluster.createTopic("soon", 1));
  assert.equal(await world.run(sent), { partition: 0, offset: 0 });
});

refusing("refuses records that cannot be, and sends the others", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  await world.run(client.producer().send("t", { value: "first" }));
  const good = producer.send("t", { value: "0" });
  const codes = await world.run(Promise.all([
    failure(producer.send("t", { value: new Uint8Array(5 << 20) })),
    failure(producer.send("t", { value: "x", timestamp: -1 })),
    failure(producer.send("t", { value: 7 as unknown as string })),
    failure(producer.send("t", { value: null as unknown as string })),
    failure(producer.send("t", { value: "x", partition: 9 })),
  ]));
  assert.equal(codes.map(({ code }) => code), [
    "TOO_LARGE",
    "INVALID_RECORD",
    "INVALID_RECORD",
    "INVALID_RECORD",
    "UNKNOWN_PARTITION",
  ]);
  await world.run(good);
  assert.equal(shard!.values(), ["first", "0"]);
  assert.is(producer.bufferedBytes, 0);
});

refusing("fails what waits when its topic is deleted", async () => {
  const { world, cluster, client } = await fixture();
  cluster.createTopic("t", 1);
  const producer = client.producer();
  await world.run(producer.send("t", { value: "0" }));
  cluster.topics.delete("t");
  const startedMs = world.nowMs;
  assert.is((await failure(world.run(producer.send("t", { value: "1" })))).code, "UNKNOWN_TOPIC");
  assert.ok(world.nowMs - startedMs < 1_000);
  const [again] = cluster.createTopic("t", 1);
  await world.run(producer.send("t", { value: "2" }));
  assert.equal(again!.values(), ["2"]);
});

refusing.run();

const bounded = suite("producer: bounds");

bounded("holds no more than its buffer, and says when there is room", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer({ bufferBytesMax: 10_000, batchBytesMax: 2_000 });
  await world.run(producer.send("t", { value: "0" }));
  let highest = 0;
  for (let i = 1; i < 3_000; i++) {
    while (!producer.enqueue("t", { value: String(i) })) await world.run(producer.ready);
    highest = Math.max(highest, producer.bufferedBytes);
  }
  await world.run(producer.flush());
  assert.equal(shard!.values(), expected(3_000));
  assert.ok(highest > 5_000 && highest < 10_100, `${highest} bytes`);
});

bounded("keeps the order of sends that waited for room", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer({ bufferBytesMax: 1_000, batchBytesMax: 500 });
  const first = numbered(300).map((record) => producer.send("t", record));
  const rest = producer.sendAll("t", numbered(300, 300));
  await world.run(Promise.all([...first, rest]));
  assert.equal(shard!.values(), expected(600));
});

bounded("takes an array, any other iterable and an asynchronous one, as there is room", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer({ bufferBytesMax: 20_000, batchBytesMax: 5_000 });
  let highest = 0;
  cluster.interfere = () => void (highest = Math.max(highest, producer.bufferedBytes));
  const all = numbered(10_000);
  // More than one turn's worth each.
  await world.run(producer.sendAll("t", all.slice(0, 5_000)));
  await world.run(producer.sendAll("t", new Set(all.slice(5_000, 9_900))));
  async function* slowly() {
    for (const record of all.slice(9_900)) yield await Promise.resolve(record);
  }
  await world.run(producer.sendAll("t", slowly()));
  assert.equal(shard!.values(), expected(10_000));
  assert.ok(highest > 10_000 && highest < 20_100, `${highest} bytes`);
});

bounded("stops taking at the first record that is refused, and lets an iterable know", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  const records = [...numbered(3), { value: "nowhere", partition: 7 }, { value: "not taken" }];
  assert.is((await failure(world.run(producer.sendAll("t", records)))).code, "UNKNOWN_PARTITION");
  let ended = false;
  function* each() {
    try {
      yield* records;
    } finally {
      ended = true;
    }
  }
  assert.is((await failure(world.run(producer.sendAll("t", each())))).code, "UNKNOWN_PARTITION");
  assert.ok(ended);
  await world.run(producer.flush());
  assert.equal(shard!.values(), [...expected(3), ...expected(3)]);
});

bounded("is ready again when a topic is known for which too many records waited", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  const count = 12_000;
  let tries = 0;
  for (let i = 0; i < count && tries < 100;) {
    if (producer.enqueue("t", { value: String(i) })) i++;
    else {
      tries++;
      await world.run(producer.ready);
    }
  }
  assert.is(tries, 1, "whoever waits for it tries no more often than there is reason to");
  await world.run(producer.close());
  assert.equal(shard!.values(), expected(count));
});

bounded("takes what a callback sends after what waits already", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer();
  let later: Promise<unknown> | undefined;
  producer.enqueue("t", { value: "bad", partition: 5 }, () => later = producer.send("t", { value: "1" }));
  producer.enqueue("t", { value: "0" });
  await world.run(producer.flush());
  await world.run(later!);
  assert.equal(shard!.values(), ["0", "1"]);
});

bounded("gives up after the delivery timeout, and goes on in order afterwards", async () => {
  const { world, cluster, client } = await fixture();
  const [shard] = cluster.createTopic("t", 1);
  const producer = client.producer({ deliveryTimeoutMs: 2_000 });
  await world.run(producer.send("t", { value: "0" }));
  cluster.interfere = () => ({ code: "NO_LEADER" });
  const error = await failure(world.run(producer.send("t", { value: "lost" })));
  assert.is(error.code, "TIMED_OUT");
  assert.match(error.message, /NO_LEADER/);
  cluster.interfere = () => undefined;
  await world.run(producer.sendAll("t", numbered(5, 1)));
  assert.equal(shard!.values(), expected(6));
});

bounded.run();

const retrying = suite("producer: retrying");

const options: ProducerOptions = { batchBytesMax: 300 };

async function pour(f: Fixture, count: number): Promise<void> {
  const producer = f.client.producer(options);
  await f.world.run(producer.sendAll("t", numbered(count)));
}

retrying("stores a batch once when its answer is lost", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  let broken = 0;
  f.cluster.interfere = (_node, _shard, entry) =>
    broken < 3 && entry.baseSequence > 100 * broken && ++broken > 0 ? "store and break" : undefined;
  await pour(f, 1_000);
  assert.is(broken, 3);
  assert.equal(shard!.values(), expected(1_000));
});

retrying("sends the later batches again in order when one is refused", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  let refused = 0;
  f.cluster.interfere = (_node, _shard, entry) =>
    refused < 4 && entry.baseSequence > 200 && ++refused > 0 ? { code: "THROTTLED" } : undefined;
  await pour(f, 1_000);
  assert.is(refused, 4);
  assert.equal(shard!.values(), expected(1_000));
});

retrying("follows a hint to the new leader at once", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  const producer = f.client.producer();
  await f.world.run(producer.send("t", { value: "0" }));
  f.cluster.move(shard!, 2);
  f.cluster.staleLeaders.set(shard!.id, 1);
  await f.world.run(producer.send("t", { value: "connects" }));
  f.cluster.move(shard!, 1);
  const startedMs = f.world.nowMs;
  await f.world.run(producer.send("t", { value: "1" }));
  assert.ok(f.world.nowMs - startedMs < 20, `${f.world.nowMs - startedMs} ms`);
});

retrying("asks for the leader when there is no hint", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  f.cluster.hints = false;
  const producer = f.client.producer();
  await f.world.run(producer.send("t", { value: "0" }));
  f.cluster.move(shard!, 3);
  await f.world.run(producer.send("t", { value: "1" }));
  assert.equal(shard!.values(), ["0", "1"]);
});

retrying("survives the death of the leader in the middle", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  f.world.after(40, () => f.cluster.kill(1));
  f.world.after(300, () => f.cluster.move(shard!, 2));
  await pour(f, 20_000);
  assert.equal(shard!.values(), expected(20_000));
});

retrying("leaves a frozen node when the others say who leads", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  const producer = f.client.producer();
  await f.world.run(producer.send("t", { value: "0" }));
  f.world.freeze("n1");
  f.world.after(200, () => f.cluster.move(shard!, 2));
  const startedMs = f.world.nowMs;
  await f.world.run(producer.send("t", { value: "1" }));
  assert.ok(f.world.nowMs - startedMs < 2_000, `${f.world.nowMs - startedMs} ms`);
  assert.equal(shard!.values(), ["0", "1"]);
});

retrying("goes on under a new identity when the broker forgot the old one", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  const producer = f.client.producer(options);
  await f.world.run(producer.sendAll("t", numbered(100)));
  shard!.producers.clear();
  await f.world.run(producer.sendAll("t", numbered(400, 100)));
  assert.equal(shard!.values(), expected(500));
});

retrying("numbers anew what follows a batch that is refused for good", async () => {
  const f = await fixture();
  const [shard] = f.cluster.createTopic("t", 1);
  let refused: number[] = [];
  f.cluster.interfere = (_node, _shard, entry) => {
    if (entry.baseSequence < 200 || refused.length > 0) return undefined;
    refused = [entry.baseSequence, entry.recordCount];
    return { code: "TOO_LARGE" };
  };
  const producer = f.client.producer(options);
  assert.is((await failure(f.world.run(producer.sendAll("t", numbered(1_000))))).code, "TOO_LARGE");
  await f.world.run(producer.sendAll("t", numbered(10, 1_000)));
  const [from, count] = refused as [number, number];
  assert.equal(shard!.values(), expected(1_010).filter((_, i) => i < from || i >= from + count));
});

retrying("stores everything once and in order, whatever happens", async () => {
  for (let seed = 1; seed <= 15; seed++) {
    const f = await fixture(seed);
    const shards = f.cluster.createTopic("t", 3);
    f.cluster.interfere = () => {
      const chance = f.world.random();
      if (chance < 0.05) return { code: "THROTTLED" };
      if (chance < 0.1) return { code: "NOT_LEADER" };
      // For each batch: with a window full of them a connection seldom lasts longer.
      return chance < 0.11 ? "store and break" : undefined;
    };
    let moves = 0;
    const trouble = () => {
      for (const shard of shards) {
        if (f.world.random() < 0.3) f.cluster.move(shard, 1 + Math.floor(f.world.random() * 3));
      }
      if (++moves < 20) f.world.after(30, trouble);
    };
    trouble();
    const producer = f.client.producer(options);
    const records = Array.from({ length: 3_000 }, (_, i) => ({ value: String(i), partition: i % 3 }));
    await f.world.run(producer.sendAll("t", records));
    shards.forEach((shard, p) =>
      assert.equal(shard.values(), expected(3_000).filter((_, i) => i % 3 === p), `seed ${seed}`)
    );
  }
});

retrying.run();

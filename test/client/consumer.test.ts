import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../src/client/client.ts";
import type { Consumer } from "../../src/client/consumer.ts";
import { ConsumerBatch } from "../../src/client/consumer-records.ts";
import type { ConsumerOptions } from "../../src/client/consumer-options.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { FakeWorld } from "../wire/fake-world.ts";
import { FakeCluster, type FakeShard } from "./fake-cluster.ts";

interface Fixture {
  readonly world: FakeWorld;
  readonly cluster: FakeCluster;
  readonly client: Client;
  readonly shards: FakeShard[];
}

/** A topic "t" whose partitions hold the numbers that leave the partition's number when divided by their count. */
async function fixture(partitions: number, records: number, seed = 1): Promise<Fixture> {
  const world = new FakeWorld(seed);
  const cluster = await FakeCluster.start(world);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  const shards = cluster.createTopic("t", partitions);
  const f = { world, cluster, client, shards };
  if (records > 0) await publish(f, 0, records);
  return f;
}

async function publish({ world, client, shards }: Fixture, from: number, to: number): Promise<void> {
  const producer = client.producer({ batchBytesMax: 400 });
  const records = Array.from({ length: to - from }, (_, i) => ({
    value: String(from + i),
    partition: (from + i) % shards.length,
    timestamp: 1_000 + from + i,
  }));
  await world.run(producer.sendAll("t", records));
  await world.run(producer.close());
}

async function read(consumer: Consumer, count: number): Promise<string[]> {
  const iterator = consumer[Symbol.asyncIterator]();
  const values: string[] = [];
  while (values.length < count) {
    const { value, done } = await iterator.next();
    if (done) break;
    values.push(value.text());
  }
  return values;
}

async function readAll(f: Fixture, options: Partial<ConsumerOptions> = {}): Promise<string[]> {
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest", until: "end", ...options });
  return await f.world.run(read(consumer, Infinity));
}

function range(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => String(from + i));
}

function sorted(values: string[]): string[] {
  return values.sort((a, b) => Number(a) - Number(b));
}

async function failure(promise: Promise<unknown>): Promise<RaftlineError> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof RaftlineError)) throw error;
    return error as RaftlineError;
  }
  throw new Error("it should have failed");
}

const reading = suite("consumer: reading");

reading("gives every record with all that was sent", async () => {
  const f = await fixture(1, 0);
  const producer = f.client.producer();
  const bytes = Uint8Array.of(1, 2, 255);
  await f.world.run(
    producer.send("t", { key: "k", value: '{"a":1}', headers: { h: "text", b: bytes }, timestamp: 77 }),
  );
  await f.world.run(producer.send("t", { value: bytes, timestamp: 78 }));
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest" });
  const iterator = consumer[Symbol.asyncIterator]();
  const first = (await f.world.run(iterator.next())).value!;
  assert.equal([first.topic, first.partition, first.offset, first.timestamp], ["t", 0, 0, 77]);
  assert.equal([first.keyText(), first.text(), first.json()], ["k", '{"a":1}', { a: 1 }]);
  assert.is(first.headers.h, "text");
  assert.equal([...first.headers.b as Uint8Array], [1, 2, 255]);
  const second = (await f.world.run(iterator.next())).value!;
  assert.equal([second.offset, second.key, [...second.value], { ...second.headers }], [1, null, [1, 2, 255], {}]);
});

reading("stops at the end if asked to, every partition in order", async () => {
  const f = await fixture(3, 2_000);
  const values = await readAll(f);
  for (const p of [0, 1, 2]) {
    assert.equal(
      values.filter((value) => Number(value) % 3 === p),
      range(0, 2_000).filter((value) => Number(value) % 3 === p),
    );
  }
  assert.is(values.length, 2_000);
  assert.equal(await readAll(await fixture(2, 0)), []);
});

reading("waits for what is still to come", async () => {
  const f = await fixture(2, 10);
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest" });
  assert.equal(sorted(await f.world.run(read(consumer, 10))), range(0, 10));
  const next = read(consumer, 4);
  await f.world.pass(3_000);
  const startedMs = f.world.nowMs;
  await publish(f, 10, 14);
  assert.equal(sorted(await f.world.run(next)), range(10, 14));
  assert.ok(f.world.nowMs - startedMs < 100, `${f.world.nowMs - startedMs} ms`);
});

reading("begins where it is told: latest, an offset inside a batch, a time, each partition its own", async () => {
  const f = await fixture(1, 300);
  const latest = f.client.consumer({ topics: ["t"] });
  const next = read(latest, 1);
  await f.world.pass(50);
  await publish(f, 300, 301);
  assert.equal(await f.world.run(next), ["300"]);
  assert.equal(await readAll(f, { from: 123 }), range(123, 301));
  const fromTime = await readAll(f, { from: { timeMs: 1_200 } });
  assert.ok(Number(fromTime[0]) <= 200 && Number(fromTime[0]) > 100, fromTime[0]);
  const two = await fixture(2, 20);
  assert.equal(sorted(await readAll(two, { from: (_, p) => p === 0 ? 8 : "latest" })), ["16", "18"]);
  assert.equal(await readAll(two, { partitions: [1] }), range(0, 20).filter((value) => Number(value) % 2 === 1));
});

reading("gives whole batches to who wants many", async () => {
  const f = await fixture(1, 500);
  const consumer = f.client.consumer({ topics: ["t"], from: 7, until: "end" });
  const read = async () => {
    let records = 0;
    let bytes = 0;
    for await (const batch of consumer.batches()) {
      assert.is(batch.firstOffset, 7 + records);
      assert.is(batch.records().length, batch.recordCount);
      for (const reader = batch.cursor(); reader.next();) bytes += reader.valueEnd - reader.valueStart;
      records += batch.recordCount;
      assert.is(consumer.position("t", 0), batch.nextOffset);
    }
    return [records, bytes];
  };
  assert.equal(await f.world.run(read()), [493, range(7, 500).join("").length]);
});

reading("ends every iterator of a consumer that is closed", async () => {
  const f = await fixture(1, 0);
  const consumer = f.client.consumer({ topics: ["t"] });
  const waiting = [consumer[Symbol.asyncIterator]().next(), consumer.batches().next(), consumer.batches().next()];
  await f.world.pass(100);
  await f.world.run(consumer.close());
  assert.equal((await f.world.run(Promise.all(waiting))).map(({ done }) => done), [true, true, true]);
});

reading("knows its position, and seeks, dropping what it had fetched", async () => {
  const f = await fixture(1, 300);
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest" });
  assert.is(consumer.position("t", 0), undefined);
  assert.equal(await f.world.run(read(consumer, 5)), range(0, 5));
  assert.is(consumer.position("t", 0), 5);
  assert.is(consumer.highWatermark("t", 0), 300);
  await f.world.run(consumer.seek("t", 0, 250));
  assert.equal(await f.world.run(read(consumer, 5)), range(250, 255));
  await f.world.run(consumer.seek("t", 0, "earliest"));
  assert.equal(await f.world.run(read(consumer, 5)), range(0, 5));
  await f.world.run(consumer.seek("t", 0, "latest"));
  const next = read(consumer, 1);
  await publish(f, 300, 301);
  assert.equal(await f.world.run(next), ["300"]);
  assert.is((await failure(f.world.run(consumer.seek("t", 4, 0)))).code, "UNKNOWN_PARTITION");
});

reading("answers calls of next that do not wait for each other in order", async () => {
  const f = await fixture(1, 10);
  const iterator = f.client.consumer({ topics: ["t"], from: "earliest", until: "end" })[Symbol.asyncIterator]();
  const results = await f.world.run(Promise.all(Array.from({ length: 11 }, () => iterator.next())));
  assert.equal(results.map(({ value }) => value?.text()), [...range(0, 10), undefined]);
});

reading("ends on close, wherever it waits, and when the loop is left", async () => {
  const f = await fixture(1, 3);
  const waiting = f.client.consumer({ topics: ["t"] });
  const next = waiting[Symbol.asyncIterator]().next();
  await f.world.pass(100);
  waiting.close();
  assert.is((await f.world.run(next)).done, true);
  const left = f.client.consumer({ topics: ["t"], from: "earliest" });
  await f.world.run((async () => {
    for await (const record of left) if (record.offset === 1) break;
  })());
  assert.equal(await f.world.run(read(left, 1)), []);
});

reading("reads and writes more partitions than fit into one request", async () => {
  const f = await fixture(31_000, 31_000);
  assert.equal(sorted(await readAll(f)), range(0, 31_000));
});

reading("is not confused by an answer to what it asked before a seek", async () => {
  const f = await fixture(1, 300);
  const consumer = f.client.consumer({ topics: ["t"], from: 300, maxWaitMs: 60_000 });
  const next = read(consumer, 1);
  await f.world.pass(100);
  await publish(f, 300, 301);
  assert.equal(await f.world.run(next), ["300"]);
  await f.world.pass(100);
  await f.world.run(consumer.seek("t", 0, 0));
  f.world.after(0, () => void f.shards[0]!.append(f.shards[0]!.entries.at(-1)!));
  assert.equal(await f.world.run(read(consumer, 300)), range(0, 300));
});

reading("skips what a node sends from before the asked offset", async () => {
  const f = await fixture(1, 300);
  f.cluster.earlierEntries = 2;
  assert.equal(await readAll(f, { from: 150, prefetchBytesMax: 500 }), range(150, 300));
});

reading("fetches ahead no more than its bound, and a little", async () => {
  const f = await fixture(20, 20_000);
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest", prefetchBytesMax: 10_000 });
  assert.is((await f.world.run(read(consumer, 1))).length, 1);
  await f.world.pass(5_000);
  const { bytesFetched } = f.cluster;
  const total = f.shards.flatMap((shard) => shard.entries).reduce((sum, entry) => sum + entry.byteLength, 0);
  assert.ok(bytesFetched < total / 2, `${bytesFetched} of ${total} bytes`);
  await f.world.pass(5_000);
  assert.is(f.cluster.bytesFetched, bytesFetched);
  assert.is((await f.world.run(read(consumer, 19_999))).length, 19_999);
  assert.ok(f.cluster.bytesFetched >= total);
});

reading.run();

const troubled = suite("consumer: trouble");

troubled("follows leaders, loses nothing and doubles nothing", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const f = await fixture(3, 3_000, seed);
    let moves = 0;
    const trouble = () => {
      for (const shard of f.shards) {
        if (f.world.random() < 0.4) f.cluster.move(shard, 1 + Math.floor(f.world.random() * 3));
      }
      if (++moves < 40) f.world.after(5, trouble);
    };
    trouble();
    f.cluster.hints = seed % 2 === 0;
    f.world.chunkBytesMax = 1_000;
    assert.equal(sorted(await readAll(f, { prefetchBytesMax: 4_000 })), range(0, 3_000), `seed ${seed}`);
  }
});

troubled("goes on elsewhere when its node dies or freezes", async () => {
  for (const ending of ["kill", "freeze"] as const) {
    const f = await fixture(1, 10);
    const consumer = f.client.consumer({ topics: ["t"], from: "earliest" });
    await f.world.run(read(consumer, 10));
    await f.world.pass(100);
    if (ending === "kill") f.cluster.kill(1);
    else f.world.freeze("n1");
    await f.world.pass(100);
    f.cluster.move(f.shards[0]!, 2);
    await publish(f, 10, 15);
    assert.equal(await f.world.run(read(consumer, 5)), range(10, 15));
  }
});

troubled("goes on at the start when retention has removed its place", async () => {
  const f = await fixture(1, 300);
  f.shards[0]!.startOffset = f.shards[0]!.entries[2]!.baseOffset;
  const values = await readAll(f, { from: 0 });
  assert.equal(values, range(f.shards[0]!.startOffset, 300));
});

troubled("says at once that it was to begin beyond the end, until it is told to begin elsewhere", async () => {
  const f = await fixture(2, 20);
  const consumer = f.client.consumer({ topics: ["t"], from: (_, partition) => partition === 0 ? 11 : 0 });
  const seen: string[] = [];
  const reading = async () => {
    for await (const record of consumer) seen.push(record.text());
  };
  const startedMs = f.world.nowMs;
  for (let i = 0; i < 2; i++) {
    const error = await failure(f.world.run(reading()));
    assert.is(error.code, "OFFSET_OUT_OF_RANGE");
    assert.match(error.message, "offset 11 is beyond the end of t/0, which is 10");
  }
  assert.ok(f.world.nowMs - startedMs < 500, `${f.world.nowMs - startedMs} ms`);
  await f.world.run(consumer.seek("t", 0, 8));
  void reading();
  await f.world.pass(1_000);
  const odd = range(0, 20).filter((value) => Number(value) % 2 === 1);
  assert.equal(sorted(seen), sorted([...odd, "16", "18"]));
  await f.world.run(consumer.close());
});

troubled("waits for a leader that is behind what the others confirm", async () => {
  const f = await fixture(1, 20);
  f.cluster.lagRecords = 5;
  const next = read(f.client.consumer({ topics: ["t"], from: 19 }), 1);
  await f.world.pass(500);
  f.cluster.lagRecords = 0;
  assert.equal(await f.world.run(next), ["19"]);
});

troubled("a batch that cannot be read says so with its code, however it is read", async () => {
  const f = await fixture(1, 10);
  const [entry] = f.shards[0]!.entries;
  entry!.bytes[64] = 0xff;
  const batch = new ConsumerBatch("t", 0, entry!, 0, 10);
  for (const read of [() => batch.records(), () => batch.cursor().next()]) {
    assert.throws(read, (error: Error) => (error as RaftlineError).code === "CORRUPT");
  }
  assert.throws(() => batch.records(), (error: Error) => error instanceof RaftlineError);
});

troubled("fails with what onTrimmed threw", async () => {
  const f = await fixture(1, 300);
  f.shards[0]!.startOffset = f.shards[0]!.entries[2]!.baseOffset;
  const cause = new Error("mine");
  const onTrimmed = () => {
    throw cause;
  };
  const error = await failure(f.world.run(read(f.client.consumer({ topics: ["t"], from: 0, onTrimmed }), Infinity)));
  assert.equal([error.code, error.cause], ["INTERNAL", cause]);
});

troubled("says that its topic does not exist, was deleted, or has no such offset", async () => {
  const f = await fixture(1, 10);
  const nowhere = f.client.consumer({ topics: ["nowhere"] });
  assert.is((await failure(f.world.run(read(nowhere, 1)))).code, "UNKNOWN_TOPIC");
  const consumer = f.client.consumer({ topics: ["t"] });
  const next = read(consumer, 1);
  await f.world.pass(100);
  f.cluster.topics.delete("t");
  f.cluster.move(f.shards[0]!, 9);
  assert.is((await failure(f.world.run(next))).code, "UNKNOWN_TOPIC");
});

troubled("does not give out a damaged batch", async () => {
  const f = await fixture(1, 300);
  f.shards[0]!.entries[3]!.bytes[100]! ^= 1;
  const consumer = f.client.consumer({ topics: ["t"], from: "earliest" });
  const before = f.shards[0]!.entries[3]!.baseOffset;
  assert.equal(await f.world.run(read(consumer, before)), range(0, before));
  assert.is((await failure(f.world.run(read(consumer, 1)))).code, "CORRUPT");
});

troubled("refuses settings that make no sense, where they are given", async () => {
  const f = await fixture(2, 0);
  const refused = (bad: unknown, code: string) => {
    const make = () => f.client.consumer(bad as ConsumerOptions);
    assert.throws(make, (error: RaftlineError) => error.code === code && error.message.length > 10);
  };
  for (const topics of [[""], [undefined], ["a b"]]) refused({ topics }, "INVALID_NAME");
  for (const bad of [undefined, null, "t", {}, { topics: "t" }, { topics: [] }]) refused(bad, "INVALID_REQUEST");
  for (
    const [option, values] of Object.entries({
      prefetchBytesMax: [0, NaN, -1, "1"],
      maxWaitMs: [NaN, -1, "x", 1e12],
      until: ["now"],
      partitions: [[], [-1], 0, ["0"]],
      from: [-1, 0.5, "begin", null, new Date(), { timeMs: NaN }, { timeMs: "1" }],
      reuseMemory: ["no"],
      onTrimmed: [1],
    })
  ) for (const value of values) refused({ topics: ["t"], [option]: value }, "INVALID_REQUEST");
  for (const partitions of [[0, 2], [2]]) {
    const consumer = f.client.consumer({ topics: ["t"], partitions });
    assert.is((await failure(f.world.run(read(consumer, 1)))).code, "UNKNOWN_PARTITION");
  }
  const consumer = f.client.consumer({ topics: ["t"], from: () => "begin" as "earliest" });
  assert.is((await failure(f.world.run(read(consumer, 1)))).code, "INVALID_REQUEST");
  const sought = f.client.consumer({ topics: ["t"] });
  const nowhere = sought.seek("t", 0, new Date() as unknown as number);
  assert.is((await failure(f.world.run(nowhere))).code, "INVALID_REQUEST");
});

troubled.run();

/** What users do wrong with a producer costs them what they did wrong, and nothing else. */
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../src/client/client.ts";
import type { ProducerOptions, ProducerRecord } from "../../src/client/producer.ts";
import { hasCodec } from "../../src/records/codecs.ts";
import { Codec } from "../../src/records/entry.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { FakeWorld } from "../wire/fake-world.ts";
import { FakeCluster, type FakeShard } from "./fake-cluster.ts";

const mistakes = suite("producer: mistakes of its users");

interface Fixture {
  readonly world: FakeWorld;
  readonly cluster: FakeCluster;
  readonly client: Client;
  readonly shards: FakeShard[];
}

async function fixture(partitions = 1): Promise<Fixture> {
  const world = new FakeWorld(1);
  const cluster = await FakeCluster.start(world);
  const shards = cluster.createTopic("t", partitions);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  return { world, cluster, client, shards };
}

async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
    return "";
  } catch (error) {
    assert.instance(error, RaftlineError, String(error));
    return (error as RaftlineError).code;
  }
}

/** What is thrown while `work` goes on and nobody catches. */
async function uncaught(work: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = [];
  const listener = (error: unknown) => void seen.push(error);
  process.on("unhandledRejection", listener);
  try {
    await work();
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    process.off("unhandledRejection", listener);
  }
  return seen;
}

mistakes("an option that makes no sense is refused, by its name", async () => {
  const { client } = await fixture();
  const wrong: [string, unknown][] = [
    ["bufferBytesMax", 0],
    ["bufferBytesMax", NaN],
    ["bufferBytesMax", "x"],
    ["batchBytesMax", 1.5],
    ["batchBytesMax", 5 * 2 ** 20],
    ["deliveryTimeoutMs", -5],
    ["deliveryTimeoutMs", NaN],
    ["deliveryTimeoutMs", "5s"],
    ["compression", "gzip"],
    ["compression", "toString"],
    ...(hasCodec(Codec.zstd) ? [] : [["compression", "zstd"] as [string, unknown]]),
  ];
  for (const [name, value] of wrong) {
    const make = () => client.producer({ [name]: value } as ProducerOptions);
    assert.throws(make, (error: RaftlineError) => error.code === "INVALID_REQUEST" && error.message.includes(name));
  }
});

mistakes("what is no record is refused alone, before its topic is known and after", async () => {
  const { world, client, shards } = await fixture();
  const wrong: unknown[] = [
    undefined,
    null,
    42,
    { value: 42 },
    { value: "v", headers: "no" },
    { value: "v", headers: new Map([["a", "b"]]) },
    { value: "v", deliverAt: 5, delayMs: 5 },
    { value: "v", delayMs: Number.MAX_SAFE_INTEGER },
    { value: "v", ttlMs: Number.MAX_SAFE_INTEGER },
    { value: "v", timestamp: NaN },
  ];
  const producer = client.producer();
  for (const isKnown of [false, true]) {
    const sent = wrong.flatMap((
      one,
    ) => [producer.send("t", { value: "A" }), producer.send("t", one as ProducerRecord)]);
    const codes = await world.run(Promise.all(sent.map(codeOf)));
    assert.equal(codes, wrong.flatMap(() => ["", "INVALID_RECORD"]), `known: ${isKnown}`);
  }
  assert.is(shards[0]!.values().length, 2 * wrong.length, "each of the others once");
  const now = { value: "A", timestamp: null, key: null, headers: null } as unknown as ProducerRecord;
  assert.is(await world.run(codeOf(producer.send("t", now))), "", "null is none");
  assert.is(
    await world.run(codeOf(producer.sendAll("t", [{ value: "B" }, undefined as unknown as ProducerRecord]))),
    "INVALID_RECORD",
  );
  for (const none of [null, undefined, "abc", {}, 5]) {
    assert.is(await world.run(codeOf(producer.sendAll("t", none as never))), "INVALID_REQUEST");
  }
  assert.is(await world.run(codeOf(producer.close())), "");
});

mistakes("a topic's name that is none is refused as such", async () => {
  const { world, client } = await fixture();
  const producer = client.producer();
  for (const name of ["", undefined, 42, "a b", "x".repeat(300)]) {
    assert.is(await world.run(codeOf(producer.send(name as string, { value: "v" }))), "INVALID_NAME", String(name));
  }
});

mistakes("a callback that throws harms nobody else, and is heard of", async () => {
  const { world, cluster, client, shards } = await fixture(4);
  const producer = client.producer();
  const thrown = new Error("the callback's own");
  let told = 0;
  const seen = await uncaught(async () => {
    const throwing = () => {
      throw thrown;
    };
    // Before the topic is known, refused at once; then stored, beside others of the same batch and request.
    producer.enqueue("t", { value: 42 as unknown as string }, throwing);
    producer.enqueue("t", { value: "0", partition: 0 }, throwing);
    const sent = [0, 1, 2, 3].map((partition) => producer.send("t", { value: "1", partition }));
    producer.enqueue("t", { value: "2", partition: 0 }, () => void (told += 1));
    await world.run(Promise.all(sent));
    await world.run(producer.flush());
  });
  assert.equal(seen, [thrown, thrown]);
  assert.is(told, 1);
  cluster.interfere = () => ({ code: "TOO_LARGE" });
  const refused = await uncaught(async () => {
    producer.enqueue("t", { value: "3", partition: 0 }, () => {
      throw thrown;
    });
    assert.is(await world.run(codeOf(producer.send("t", { value: "4", partition: 0 }))), "TOO_LARGE");
  });
  assert.equal(refused, [thrown]);
  assert.equal(shards[0]!.values(), ["0", "1", "2"]);
  assert.is(producer.bufferedBytes, 0);
  await world.run(client.close());
});

mistakes("flush tells of records that nobody asked about, once", async () => {
  const { world, cluster, client } = await fixture();
  const producer = client.producer();
  producer.enqueue("nope", { value: "v" });
  assert.is(await world.run(codeOf(producer.flush())), "UNKNOWN_TOPIC");
  assert.is(await world.run(codeOf(producer.flush())), "");
  await world.run(producer.send("t", { value: "v" }));
  producer.enqueue("t", { value: "v", partition: 7 });
  assert.is(await world.run(codeOf(producer.flush())), "UNKNOWN_PARTITION");
  cluster.interfere = () => ({ code: "TOO_LARGE" });
  producer.enqueue("t", { value: "v" });
  await world.pass(500);
  assert.is(await world.run(codeOf(producer.flush())), "TOO_LARGE", "it failed before");
  let told = "";
  producer.enqueue("t", { value: "v" }, (error) => told = error!.code);
  await world.pass(500);
  assert.is(told, "TOO_LARGE");
  assert.is(await world.run(codeOf(producer.flush())), "", "its callback was told");
});

mistakes("a client that is closed says what could not be published", async () => {
  const { world, cluster, client } = await fixture();
  const producer = client.producer({ deliveryTimeoutMs: 500 });
  await world.run(producer.send("t", { value: "v" }));
  cluster.interfere = () => ({ code: "NO_LEADER" });
  producer.enqueue("t", { value: "lost" });
  assert.is(await world.run(codeOf(client.close())), "TIMED_OUT");
});

mistakes.run();

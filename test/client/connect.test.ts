import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import { type Bootstrap, parseBootstrap } from "../../src/client/options.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { FakeWorld } from "../wire/fake-world.ts";
import { FakeCluster } from "./fake-cluster.ts";

async function failure(promise: Promise<unknown>): Promise<RaftlineError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, RaftlineError);
    return error as RaftlineError;
  }
  throw new Error("it should have failed");
}

const connecting = suite("connect");

connecting("works through any one node, and skips the dead", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  const [shard] = cluster.createTopic("t", 1);
  cluster.kill(2);
  world.freeze("n3");
  const client = await world.run(connect(["n3:7401", "n2:7401", "n1:7401"], { runtime: world.runtime("c") }));
  await world.run(client.producer().send("t", { value: "0" }));
  assert.equal(shard!.values(), ["0"]);
});

connecting("does not wait for a frozen node when another answers", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new FakeWorld(seed);
    const cluster = await FakeCluster.start(world);
    world.freeze("n3");
    const startedMs = world.nowMs;
    await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
    assert.ok(world.nowMs - startedMs < 500, `${world.nowMs - startedMs} ms`);
  }
});

connecting("has nothing to do with a node of another cluster", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world, 2);
  cluster.createTopic("t", 1)[0]!.leader = 2;
  cluster.foreigner = 2;
  const client = await world.run(connect("n1:7401", { runtime: world.runtime("c") }));
  const error = await failure(world.run(client.producer({ deliveryTimeoutMs: 2_000 }).send("t", { value: "0" })));
  assert.is(error.code, "TIMED_OUT");
  assert.ok(cluster.requests.every(({ node }) => node === 1));
});

connecting("works on when the node it began with stays dead", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  const shards = cluster.createTopic("t", 3);
  const client = await world.run(connect("n1:7401", { runtime: world.runtime("c") }));
  cluster.kill(1);
  cluster.move(shards[0]!, 2);
  const producer = client.producer();
  for (const partition of [0, 1, 2]) await world.run(producer.send("t", { value: "x", partition }));
  cluster.createTopic("later", 1)[0]!.leader = 3;
  await world.run(producer.send("later", { value: "y" }));
  assert.equal(await world.run(client.admin.listTopics()), []);
});

connecting("gives up a question about the cluster when all nodes stay silent", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  for (const node of ["n1", "n2", "n3"]) world.freeze(node);
  const startedMs = world.nowMs;
  const { code } = await failure(world.run(client.admin.listTopics()));
  assert.ok(["TIMED_OUT", "UNAVAILABLE"].includes(code), code);
  assert.ok(world.nowMs - startedMs < 31_000, `${world.nowMs - startedMs} ms`);
});

connecting("asks another node when the one it began with knows no leader", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  const [shard] = cluster.createTopic("t", 1);
  shard!.leader = 2;
  cluster.clueless = 1;
  const client = await world.run(connect("n1:7401", { runtime: world.runtime("c") }));
  await world.run(client.producer({ deliveryTimeoutMs: 2_000 }).send("t", { value: "0" }));
  assert.equal(shard!.values(), ["0"]);
});

connecting("waits for a node to come up, and gives up in the end", async () => {
  const world = new FakeWorld();
  const connected = connect("n1:7401", { runtime: world.runtime("c"), connectTimeoutMs: 3_000 });
  await world.pass(1_000);
  await FakeCluster.start(world, 1);
  await (await world.run(connected)).close();
  const error = await failure(
    world.run(connect("nobody:1", { runtime: world.runtime("c"), connectTimeoutMs: 3_000 })),
  );
  assert.is(error.code, "UNAVAILABLE");
});

connecting("shows its credentials, and says so when they are wrong", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  cluster.secret = "s3cret";
  const runtime = world.runtime("c");
  const startedMs = world.nowMs;
  assert.is((await failure(world.run(connect(cluster.bootstrap, { runtime })))).code, "NOT_AUTHORIZED");
  assert.ok(world.nowMs - startedMs < 1_000);
  const credentials = { name: "me", secret: "s3cret" };
  await (await world.run(connect(cluster.bootstrap, { runtime, credentials }))).close();
});

connecting("does not trust a node that sends garbage", async () => {
  const world = new FakeWorld(7);
  const cluster = await FakeCluster.start(world, 2);
  cluster.createTopic("t", 1)[0]!.leader = 2;
  cluster.kill(1);
  await world.runtime("n1").network.listen({ host: "n1", port: 7401 }, (connection) => {
    connection.onData = () =>
      connection.write([Uint8Array.from({ length: 100 }, () => Math.floor(world.random() * 256))]);
  });
  const client = await world.run(connect(["n1:7401", "n2:7401"], { runtime: world.runtime("c") }));
  await world.run(client.producer().send("t", { value: "0" }));
  await world.run(client.close());
  await world.pass(100);
  assert.is(world.connectionCount(), 0);
});

connecting("closes everything: producers flush, consumers end, connections are gone", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  const [shard] = cluster.createTopic("t", 1);
  cluster.createTopic("u", 1);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  const sent = client.producer().send("t", { value: "0" });
  const next = client.consumer({ topics: ["u"] })[Symbol.asyncIterator]().next();
  await world.pass(20);
  await world.run(client.close());
  await world.run(sent);
  assert.is((await world.run(next)).done, true);
  assert.equal(shard!.values(), ["0"]);
  await world.pass(100);
  assert.is(world.connectionCount(), 0);
  assert.is((await failure(world.run(client.producer().send("t", { value: "1" })))).code, "CLOSED");
  assert.is((await failure(world.run(client.admin.listTopics()))).code, "CLOSED");
});

connecting("refuses what is asked of a closed client, or of a consumer that was closed", async () => {
  const world = new FakeWorld();
  const cluster = await FakeCluster.start(world);
  cluster.createTopic("t", 1);
  const client = await world.run(connect(cluster.bootstrap, { runtime: world.runtime("c") }));
  const closed = client.consumer({ topics: ["t"], from: "earliest" });
  const next = closed[Symbol.asyncIterator]().next();
  await world.pass(100);
  await world.run(closed.close());
  await world.run(next);
  const refusals = [() => closed.seek("t", 0, 0), async () => closed.pause("t", 0), async () => closed.resume("t", 0)];
  for (const refused of refusals) assert.is((await failure(world.run(refused()))).code, "CLOSED");
  const cursors = client.cursors("t", "g");
  await world.run(client.close());
  const consumers = [{ topics: ["t"], from: 0 }, { topics: ["t"], group: "g" }].map((one) => client.consumer(one));
  for (
    const refused of [
      ...consumers.map((consumer) => () => consumer[Symbol.asyncIterator]().next()),
      ...consumers.map((consumer) => () => consumer.seek("t", 0, 0)),
      () => consumers[1]!.commit(),
      () => client.queue("t", { group: "g" })[Symbol.asyncIterator]().next(),
      () => client.queue("t", { group: "g" }).run(() => {}),
      () => cursors.commit([{ partition: 0, offset: 0 }]),
      () => client.admin.describeGroup("t", "g"),
      () => client.admin.deleteRecords("t", 0, 0),
    ] as (() => Promise<unknown>)[]
  ) assert.is((await failure(world.run(refused()))).code, "CLOSED", String(refused));
});

connecting("understands addresses", () => {
  assert.equal(parseBootstrap(["a.b:1", "[::1]:7401", { host: "h", port: 2 }]), [
    { host: "a.b", port: 1 },
    { host: "::1", port: 7401 },
    { host: "h", port: 2 },
  ]);
  const odd = [undefined, null, 42, {}, { port: 1 }, { host: "", port: 1 }, { host: "h", port: 99_999 }] as Bootstrap[];
  for (
    const wrong of [...odd, "a", ":1", "a:b", "a:0", "a:99999", "::1:7401", "", ["a:1", null as unknown as string]]
  ) {
    assert.throws(() => parseBootstrap(wrong), /address/);
  }
  assert.throws(() => parseBootstrap([]), /at least one/);
});

connecting("refuses what it cannot connect to, and times that are none, before it begins", async () => {
  for (const wrong of [{ port: 1 }, undefined, { host: "h", port: 99_999 }] as Bootstrap[]) {
    assert.is((await failure(connect(wrong))).code, "INVALID_REQUEST");
  }
  for (const wrong of [NaN, -1, "5s"] as number[]) {
    for (const options of [{ connectTimeoutMs: wrong }, { requestTimeoutMs: wrong }]) {
      const error = await failure(connect("127.0.0.1:1", options));
      assert.is(error.code, "INVALID_REQUEST");
      assert.match(error.message, Object.keys(options)[0]!);
    }
  }
});

connecting.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, RaftlineError } from "../../mod.ts";
import type { Consumer } from "../../src/client/consumer.ts";
import type { ConsumerOptions } from "../../src/client/consumer-options.ts";
import { Cluster } from "../../src/client/cluster.ts";
import { claim } from "../../src/client/group-cursors.ts";
import { parseBootstrap, settingsOf } from "../../src/client/options.ts";
import { PartitionCursor } from "../../src/client/partition-cursor.ts";
import { type Connection, type Network, NetworkError } from "../../src/runtime/network.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { codeOf, rejects, TestCluster, until } from "./test-cluster.ts";

const groups = suite("consumer groups on a real cluster");

let test: TestCluster;
let client: Client;

groups.before(async () => {
  test = await TestCluster.start();
  client = test.client;
});

groups.after(() => test[Symbol.asyncDispose]());

/** Reads until it is closed. */
class Reader {
  readonly seen: string[] = [];
  readonly revoked: [number, boolean][] = [];
  readonly consumer: Consumer;
  readonly ended: Promise<string>;

  constructor(from: Client, options: ConsumerOptions, handle: (text: string) => Promise<void> = () => delay(1)) {
    this.consumer = from.consumer({
      onRevoked: (partitions, lost) => {
        for (const { partition } of partitions) this.revoked.push([partition, lost]);
      },
      ...options,
    });
    this.ended = this.#read(handle);
  }

  get partitions(): number[] {
    return this.consumer.assignment().map(({ partition }) => partition).sort((a, b) => a - b);
  }

  async #read(handle: (text: string) => Promise<void>): Promise<string> {
    try {
      for await (const record of this.consumer) {
        const text = record.text();
        await handle(text);
        this.seen.push(text);
      }
      return "";
    } catch (error) {
      assert.instance(error, RaftlineError);
      return (error as RaftlineError).code;
    }
  }
}

/** A world whose connections can be cut, as if the process or its machine was gone. */
function cuttable(): { runtime: Runtime; cut: (off: boolean) => void } {
  const real = createNodeRuntime();
  const open = new Set<Connection>();
  let isOff = false;
  const network: Network = {
    ...real.network,
    connect: async (address, timeoutMs) => {
      if (isOff) throw new NetworkError("UNREACHABLE", "cut");
      const connection = await real.network.connect(address, timeoutMs);
      open.add(connection);
      return connection;
    },
  };
  const cut = (off: boolean) => {
    isOff = off;
    if (off) { for (const connection of open) connection.destroy(); }
  };
  return { runtime: { ...real, network }, cut };
}

groups(
  "members share the partitions, a third gets its part, and every record is read once through all of it",
  async () => {
    await test.topicWith("shared", 1_000, 6);
    const options = { topics: ["shared"], group: "readers" };
    const first = new Reader(client, options);
    await until("one member has all", () => first.partitions.length === 6);
    const second = new Reader(client, options);
    await until("two have three each", () => second.partitions.length === 3 && first.partitions.length === 3);
    const kept = first.partitions;
    const third = new Reader(client, options);
    const all = [first, second, third];
    await until("three have two each", () => all.every(({ partitions }) => partitions.length === 2));
    for (const partition of first.partitions) assert.ok(kept.includes(partition));
    await until("everything is read", () => all.reduce((sum, { seen }) => sum + seen.length, 0) >= 1_000);
    await delay(50);
    assert.is(new Set(all.flatMap(({ seen }) => seen)).size, 1_000);
    assert.is(all.flatMap(({ seen }) => seen).length, 1_000);
    await Promise.all(all.map(({ consumer }) => consumer.close()));
    assert.equal(await Promise.all(all.map(({ ended }) => ended)), ["", "", ""]);
  },
);

groups("who leaves hands over at once, and the group goes on where it was", async () => {
  await test.topicWith("handed", 600, 4);
  const options = { topics: ["handed"], group: "g", sessionTimeoutMs: 30_000 };
  const first = new Reader(client, options);
  const second = new Reader(client, options);
  await until("both have two", () => first.partitions.length === 2 && second.partitions.length === 2);
  await until("the first reads", () => first.seen.length > 50);
  await first.consumer.close();
  const leftMs = Date.now();
  await until("the second has all", () => second.partitions.length === 4);
  assert.ok(Date.now() - leftMs < 2_000);
  await until("the rest is read", () => first.seen.length + second.seen.length >= 599);
  await second.consumer.close();
  const third = new Reader(client, options);
  await until("the next one has all", () => third.partitions.length === 4);
  await delay(200);
  await third.consumer.close();
  const seen = [...first.seen, ...second.seen, ...third.seen];
  assert.is(new Set(seen).size, 600);
  // Leaving in the middle of a record: that one comes again.
  assert.ok(seen.length <= 602, `${seen.length} were delivered`);
});

groups("a member that dies is followed within its session, and is refused should it come back", async () => {
  await test.topicWith("died", 200, 2);
  const options = { topics: ["died"], group: "g", sessionTimeoutMs: 600 };
  const { runtime, cut } = cuttable();
  const dying = await connect(test.cluster.bootstrap, { runtime });
  const dead = new Reader(dying, { ...options, commit: "manual" });
  await until("the first has all", () => dead.partitions.length === 2);
  const heir = new Reader(client, options);
  await until("both read", () => heir.partitions.length === 1 && dead.seen.length > 20);
  cut(true);
  const cutMs = Date.now();
  await until("the second has all", () => heir.partitions.length === 2);
  assert.ok(Date.now() - cutMs >= 300, "its session was cut short");
  await until("what was not committed is read by the heir", () => new Set(heir.seen).size === 200);
  await until("the first has noticed", () => dead.partitions.length === 0);
  assert.ok(dead.revoked.some(([, lost]) => lost));
  cut(false);
  await until("it is back, and has its part", () => dead.partitions.length === 1 && heir.partitions.length === 1);
  await Promise.all([heir.consumer.close(), dying.close()]);
});

groups("a static member that restarts has its partitions again, and nobody else notices", async () => {
  await test.topicWith("static", 100, 4);
  const options = { topics: ["static"], group: "g", sessionTimeoutMs: 5_000 };
  const before = new Reader(client, { ...options, instanceId: "one" });
  // Which of two joins comes first is open, and the first one would have to let partitions go.
  await until("the first has all", () => before.partitions.length === 4);
  const other = new Reader(client, options);
  await until("both have two", () => before.partitions.length === 2 && other.partitions.length === 2);
  const had = before.partitions;
  const others = other.partitions;
  await before.consumer.close();
  await delay(100);
  assert.equal(other.partitions, others);
  const after = new Reader(client, { ...options, instanceId: "one" });
  await until("it is back", () => after.partitions.length === 2);
  assert.equal(after.partitions, had);
  assert.equal(other.partitions, others);
  assert.equal(other.revoked, []);
  const impostor = new Reader(client, { ...options, instanceId: "one" });
  await until("the newest instance has them", () => impostor.partitions.length === 2);
  assert.is(await after.ended, "INSTANCE_FENCED");
  await Promise.all([impostor.consumer.close(), other.consumer.close()]);
});

groups("the record in hand is finished before its partition is let go", async () => {
  await test.topicWith("inhand", 40, 2);
  const options = { topics: ["inhand"], group: "g" };
  let release = () => {};
  const blocked = new Promise<void>((resolve) => release = resolve);
  const slow = new Reader(client, options, () => blocked);
  await until("one has all", () => slow.partitions.length === 2);
  const quick = new Reader(client, options);
  await delay(300);
  assert.ok(quick.partitions.length <= 1);
  release();
  await until("both have one", () => slow.partitions.length === 1 && quick.partitions.length === 1);
  await until("everything is read", () => slow.seen.length + quick.seen.length >= 40);
  assert.is(new Set([...slow.seen, ...quick.seen]).size, slow.seen.length + quick.seen.length);
  await Promise.all([slow.consumer.close(), quick.consumer.close()]);
  assert.is(await codeOf(slow.consumer.commit()), "CLOSED");
});

groups("a member that does not let go in time is put out, and its late commit is refused", async () => {
  await test.topicWith("zombie", 0, 2);
  // All in the partition that is to move.
  await client.producer().sendAll("zombie", Array.from({ length: 40 }, (_, i) => ({ value: `${i}`, partition: 1 })));
  const options = { topics: ["zombie"], group: "g", commit: "manual", rebalanceTimeoutMs: 300 } as const;
  let release = () => {};
  const blocked = new Promise<void>((resolve) => release = resolve);
  let commitCode: Promise<string> | undefined;
  const zombie = new Reader(client, { ...options, onRevoked: () => {} }, async () => {
    await blocked;
    commitCode ??= codeOf(zombie.consumer.commit());
    await commitCode;
  });
  await until("one has all", () => zombie.partitions.length === 2);
  const heir = new Reader(client, options);
  await until("the other reads all", () => heir.seen.length === 40);
  await heir.consumer.commit();
  release();
  await until("the late commit", () => commitCode !== undefined);
  assert.is(await commitCode, "STALE_GENERATION");
  await Promise.all([zombie.consumer.close(), heir.consumer.close()]);
});

groups(
  "a partition that knows a later generation than its group refuses its owner until that has a later one",
  async () => {
    await test.topicWith("ahead", 20, 2);
    const runtime = createNodeRuntime();
    const stranger = await Cluster.open(runtime, parseBootstrap(test.cluster.bootstrap), settingsOf({}));
    const [route] = (await stranger.loadTopic("ahead")).routes;
    const zombie = { cursor: new PartitionCursor(route!), generation: 10_000, committed: -1 };
    const claimAhead = () => claim(stranger, "ahead", "stranger", [zombie]);
    assert.equal(await claimAhead(), [0]);
    const reader = new Reader(client, { topics: ["ahead"], group: "ahead" });
    await until("both partitions are read, also the one that refused the first claim", () => reader.seen.length === 20);
    zombie.generation = 20_000;
    assert.equal(await claimAhead(), [0]);
    await client.producer().sendAll(
      "ahead",
      Array.from({ length: 20 }, (_, i) => ({ key: `${i}`, value: `again ${i}` })),
    );
    await until("everything is read", () => new Set(reader.seen).size === 40);
    await until("the group is ahead of the stranger", async () => (await claimAhead())[0]! > 20_000);
    await reader.consumer.close();
    stranger.close();
  },
);

groups(
  "a consumer, or its client, is closed within a hook: that ends, and what was done with is committed",
  async () => {
    await test.topicWith("hooked", 20, 1);
    const options = { topics: ["hooked"], group: "g", sessionTimeoutMs: 30_000 };
    for (const closes of ["consumer", "client"] as const) {
      for (const hook of ["onAssigned", "onRevoked"] as const) {
        const own = await connect(test.cluster.bootstrap);
        let hookEnded = false;
        const consumer: Consumer = own.consumer({
          ...options,
          group: `${closes}-${hook}`,
          [hook]: async () => {
            await delay(10);
            await (closes === "consumer" ? consumer : own).close();
            hookEnded = true;
          },
        });
        const iterator = consumer[Symbol.asyncIterator]();
        if (hook === "onRevoked") {
          for (let i = 0; i < 6; i++) await iterator.next();
          await consumer.close();
        } else assert.is((await iterator.next()).done, true);
        await until(`${hook} ends`, () => hookEnded);
        await own.close();
        const [place] = await client.admin.describeGroup("hooked", `${closes}-${hook}`);
        assert.equal([place!.floor, place!.member], [hook === "onRevoked" ? 5 : 0, ""], `${closes} in ${hook}`);
      }
    }
  },
);

groups("a consumer that is closed while its hook asks something of it ends in silence", async () => {
  await test.topicWith("closed-under-a-hook", 5, 1);
  let refused = "";
  const consumer: Consumer = client.consumer({
    topics: ["closed-under-a-hook"],
    group: "g",
    onAssigned: async ([{ topic, partition } = { topic: "", partition: 0 }]) => {
      setTimeout(() => void consumer.close(), 10);
      await delay(50);
      refused = await consumer.seek(topic, partition, 0).then(() => "", ({ code }) => code);
      await consumer.seek(topic, partition, 0);
    },
  });
  const iterator = consumer[Symbol.asyncIterator]();
  assert.is((await iterator.next()).done, true);
  await until("the hook has asked", () => refused !== "");
  await delay(50);
  assert.is(refused, "CLOSED");
  assert.is((await iterator.next()).done, true);
});

groups("onAssigned sets where its partitions are read from, before the first record of them is given out", async () => {
  await test.topicWith("sought", 0, 2);
  for (const partition of [0, 1]) {
    const records = Array.from({ length: 20 }, (_, i) => ({ value: `${partition}/${i}`, partition }));
    await client.producer().sendAll("sought", records);
  }
  let during: unknown[] = [];
  const reader = new Reader(client, {
    topics: ["sought"],
    group: "g",
    onAssigned: async (partitions) => {
      for (const { topic, partition } of partitions) {
        if (partition === 1) reader.consumer.pause(topic, partition);
        else await reader.consumer.seek(topic, partition, 15);
      }
      await delay(100);
      during = [reader.partitions, reader.seen.length, reader.consumer.position("sought", 0)];
    },
  });
  await until("the rest of one is read", () => reader.seen.length === 5);
  assert.equal(during, [[0, 1], 0, 15]);
  assert.equal(reader.seen, [15, 16, 17, 18, 19].map((offset) => `0/${offset}`));
  reader.consumer.resume("sought", 1);
  await until("the other is read", () => reader.seen.length === 25);
  await reader.consumer.close();
  const places = await client.admin.describeGroup("sought", "g");
  assert.equal(places.map(({ floor }) => floor), [20, 20]);
});

groups("a hook that throws fails its consumer, with what it threw as the cause", async () => {
  await test.topicWith("throwing", 10, 2);
  const cause = new Error("mine");
  const thrower = () => {
    throw cause;
  };
  const isMine = (error: RaftlineError) => error.code === "INTERNAL" && error.cause === cause;
  const options = { topics: ["throwing"], group: "g" };
  const closed = client.consumer({ ...options, onRevoked: thrower });
  const iterator = closed[Symbol.asyncIterator]();
  await iterator.next();
  await rejects(closed.close(), isMine);
  await rejects(closed.commit(), isMine);
  await rejects(iterator.next(), isMine);
  await rejects(client.consumer({ ...options, onAssigned: thrower })[Symbol.asyncIterator]().next(), isMine);
  const revoked = new Reader(client, { ...options, onRevoked: thrower });
  await until("it has all", () => revoked.partitions.length === 2);
  const heir = new Reader(client, options);
  assert.is(await revoked.ended, "INTERNAL");
  await until("the other has all", () => heir.partitions.length === 2);
  await heir.consumer.close();
});

groups("pause, resume, lag, and a group that begins at the end", async () => {
  await test.topicWith("paused", 20, 1);
  const reader = new Reader(client, { topics: ["paused"], group: "late", from: "latest" });
  await until("it has the partition", () => reader.partitions.length === 1);
  reader.consumer.pause("paused", 0);
  await client.producer().sendAll("paused", [{ value: "new" }]);
  await delay(200);
  assert.equal(reader.seen, []);
  reader.consumer.resume("paused", 0);
  await until("the new one is read", () => reader.seen.length === 1);
  assert.equal(reader.seen, ["new"]);
  assert.is(reader.consumer.lag(), 0);
  assert.throws(() => reader.consumer.pause("paused", 1), (error: RaftlineError) => error.code === "UNKNOWN_PARTITION");
  await reader.consumer.close();
});

groups("who reads what is seen; a group is not set back under its members' feet", async () => {
  await test.topicWith("seen", 100, 4);
  const options = { topics: ["seen"], group: "watched" };
  const named = new Reader(client, { ...options, instanceId: "desk-1", sessionTimeoutMs: 1_000 });
  const other = new Reader(client, options);
  await until("both have two", () => named.partitions.length === 2 && other.partitions.length === 2);
  await until("everything is read", () => named.seen.length + other.seen.length === 100);
  const places = await client.admin.describeGroup("seen", "watched");
  assert.equal(
    places.filter(({ member }) => member === "desk-1").map(({ partition }) => partition),
    named.partitions,
  );
  assert.ok(places.every(({ member }) => member !== ""));
  assert.is((await client.admin.groupMembers()).get("watched"), 2);
  assert.is(await codeOf(client.admin.resetGroup("seen", "watched", { to: "earliest" })), "GROUP_ACTIVE");
  assert.is(await codeOf(client.admin.removeGroup("seen", "watched", { force: true })), "GROUP_ACTIVE");
  await Promise.all([named.consumer.close(), other.consumer.close()]);
  assert.is((await client.admin.groupMembers()).get("watched"), 1);
  await until("its session is over", async () => !(await client.admin.groupMembers()).has("watched"));
  await client.admin.resetGroup("seen", "watched", { to: "earliest" });
  const again = new Reader(client, options);
  await until("it is read again", () => again.seen.length === 100);
  await again.consumer.close();
});

groups("settings that make no sense are refused", async () => {
  await test.topicWith("refused", 0, 1);
  const options = { topics: ["refused"], group: "g" };
  for (
    const bad of [
      { ...options, group: "no name" },
      { ...options, instanceId: "no name" },
      { ...options, partitions: [0] },
      { ...options, until: "end" } as const,
      { ...options, sessionTimeoutMs: NaN },
      { ...options, rebalanceTimeoutMs: 0 },
      { ...options, commit: "sometimes" as "auto" },
      { ...options, onAssigned: true as unknown as () => void },
    ]
  ) {
    assert.throws(() => client.consumer(bad), (error: RaftlineError) => error.code.startsWith("INVALID_"));
  }
  assert.is(await new Reader(client, { ...options, sessionTimeoutMs: 1 }).ended, "INVALID_REQUEST");
  assert.is(await new Reader(client, { ...options, topics: ["nowhere"] }).ended, "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.consumer({ topics: ["refused"] }).commit()), "INVALID_REQUEST");
  for (const bad of [undefined, {}, { to: new Date() }, { to: 0, partitions: [] }, { to: 0, force: 1 }]) {
    const reset = client.admin.resetGroup("refused", "g", bad as { to: 0 });
    assert.is(await codeOf(reset), "INVALID_REQUEST");
  }
  assert.is(await codeOf(client.admin.listGroups("")), "INVALID_NAME");
  const asQueue = client.queue("refused", { group: "q" });
  void asQueue[Symbol.asyncIterator]().next();
  await delay(100);
  assert.is(await new Reader(client, { ...options, group: "q" }).ended, "WRONG_GROUP_KIND");
  await asQueue.close();
});

groups("records that were deleted before their group came to them count as done with", async () => {
  await test.topicWith("deleted", 5, 1);
  const placeIs = (offset: number) =>
    until(`the place is ${offset}`, async () => {
      const [place] = await client.admin.describeGroup("deleted", "late").catch(() => []);
      return place?.floor === offset && place.waiting === 0;
    });
  const first = new Reader(client, { topics: ["deleted"], group: "late", from: "earliest" });
  await placeIs(5);
  await first.consumer.close();
  await client.producer().sendAll("deleted", Array.from({ length: 15 }, (_, i) => ({ value: `${i}` })));
  await client.admin.deleteRecords("deleted", 0, 20);
  const second = new Reader(client, { topics: ["deleted"], group: "late" });
  await placeIs(20);
  await second.consumer.close();
});

groups.run();

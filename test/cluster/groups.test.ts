import { suite } from "uvu";
import * as assert from "uvu/assert";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, RaftlineError, startCluster } from "../../mod.ts";
import type { Consumer, ConsumerOptions } from "../../src/client/consumer.ts";
import { Cluster } from "../../src/client/cluster.ts";
import { claim } from "../../src/client/group-cursors.ts";
import { parseBootstrap, settingsOf } from "../../src/client/options.ts";
import { PartitionCursor } from "../../src/client/partition-cursor.ts";
import { type Connection, type Network, NetworkError } from "../../src/runtime/network.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

const groups = suite("consumer groups on a real cluster");

const PATIENCE_MS = 10_000;

let cluster: Awaited<ReturnType<typeof startCluster>>;
let client: Client;

groups.before(async () => {
  cluster = await startCluster({ nodes: 3 });
  client = await connect(cluster.bootstrap);
});

groups.after(async () => {
  await client.close();
  await cluster.stop();
});

async function topicWith(name: string, records: number, partitions: number): Promise<void> {
  await client.admin.createTopic(name, { partitions });
  await client.producer().sendAll(name, Array.from({ length: records }, (_, i) => ({ key: `${i}`, value: `${i}` })));
}

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

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const startMs = Date.now(); !await condition();) {
    if (Date.now() - startMs > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await delay(5);
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    assert.instance(error, RaftlineError);
    return (error as RaftlineError).code;
  }
}

groups(
  "members share the partitions, a third gets its part, and every record is read once through all of it",
  async () => {
    await topicWith("shared", 1_000, 6);
    const options = { topics: ["shared"], group: "readers" };
    const first = new Reader(client, options);
    await until(() => first.partitions.length === 6, "one member has all");
    const second = new Reader(client, options);
    await until(() => second.partitions.length === 3 && first.partitions.length === 3, "two have three each");
    const kept = first.partitions;
    const third = new Reader(client, options);
    const all = [first, second, third];
    await until(() => all.every(({ partitions }) => partitions.length === 2), "three have two each");
    for (const partition of first.partitions) assert.ok(kept.includes(partition));
    await until(() => all.reduce((sum, { seen }) => sum + seen.length, 0) >= 1_000, "everything is read");
    await delay(50);
    assert.is(new Set(all.flatMap(({ seen }) => seen)).size, 1_000);
    assert.is(all.flatMap(({ seen }) => seen).length, 1_000);
    await Promise.all(all.map(({ consumer }) => consumer.close()));
    assert.equal(await Promise.all(all.map(({ ended }) => ended)), ["", "", ""]);
  },
);

groups("who leaves hands over at once, and the group goes on where it was", async () => {
  await topicWith("handed", 600, 4);
  const options = { topics: ["handed"], group: "g", sessionTimeoutMs: 30_000 };
  const first = new Reader(client, options);
  const second = new Reader(client, options);
  await until(() => first.partitions.length === 2 && second.partitions.length === 2, "both have two");
  await until(() => first.seen.length > 50, "the first reads");
  await first.consumer.close();
  const leftMs = Date.now();
  await until(() => second.partitions.length === 4, "the second has all");
  assert.ok(Date.now() - leftMs < 2_000);
  await until(() => first.seen.length + second.seen.length >= 599, "the rest is read");
  await second.consumer.close();
  const third = new Reader(client, options);
  await until(() => third.partitions.length === 4, "the next one has all");
  await delay(200);
  await third.consumer.close();
  const seen = [...first.seen, ...second.seen, ...third.seen];
  assert.is(new Set(seen).size, 600);
  // Leaving in the middle of a record: that one comes again.
  assert.ok(seen.length <= 602, `${seen.length} were delivered`);
});

groups("a member that dies is followed within its session, and is refused should it come back", async () => {
  await topicWith("died", 200, 2);
  const options = { topics: ["died"], group: "g", sessionTimeoutMs: 600 };
  const { runtime, cut } = cuttable();
  const dying = await connect(cluster.bootstrap, { runtime });
  const dead = new Reader(dying, { ...options, commit: "manual" });
  await until(() => dead.partitions.length === 2, "the first has all");
  const heir = new Reader(client, options);
  await until(() => heir.partitions.length === 1 && dead.seen.length > 20, "both read");
  cut(true);
  const cutMs = Date.now();
  await until(() => heir.partitions.length === 2, "the second has all");
  assert.ok(Date.now() - cutMs >= 300, "its session was cut short");
  await until(() => new Set(heir.seen).size === 200, "what was not committed is read by the heir");
  await until(() => dead.partitions.length === 0, "the first has noticed");
  assert.ok(dead.revoked.some(([, lost]) => lost));
  cut(false);
  await until(() => dead.partitions.length === 1 && heir.partitions.length === 1, "it is back, and has its part");
  await Promise.all([heir.consumer.close(), dying.close()]);
});

groups("a static member that restarts has its partitions again, and nobody else notices", async () => {
  await topicWith("static", 100, 4);
  const options = { topics: ["static"], group: "g", sessionTimeoutMs: 5_000 };
  const before = new Reader(client, { ...options, instanceId: "one" });
  const other = new Reader(client, options);
  await until(() => before.partitions.length === 2 && other.partitions.length === 2, "both have two");
  const had = before.partitions;
  const others = other.partitions;
  await before.consumer.close();
  await delay(100);
  assert.equal(other.partitions, others);
  const after = new Reader(client, { ...options, instanceId: "one" });
  await until(() => after.partitions.length === 2, "it is back");
  assert.equal(after.partitions, had);
  assert.equal(other.partitions, others);
  assert.equal(other.revoked, []);
  const impostor = new Reader(client, { ...options, instanceId: "one" });
  await until(() => impostor.partitions.length === 2, "the newest instance has them");
  assert.is(await after.ended, "INSTANCE_FENCED");
  await Promise.all([impostor.consumer.close(), other.consumer.close()]);
});

groups("the record in hand is finished before its partition is let go", async () => {
  await topicWith("inhand", 40, 2);
  const options = { topics: ["inhand"], group: "g" };
  let release = () => {};
  const blocked = new Promise<void>((resolve) => release = resolve);
  const slow = new Reader(client, options, () => blocked);
  await until(() => slow.partitions.length === 2, "one has all");
  const quick = new Reader(client, options);
  await delay(300);
  assert.ok(quick.partitions.length <= 1);
  release();
  await until(() => slow.partitions.length === 1 && quick.partitions.length === 1, "both have one");
  await until(() => slow.seen.length + quick.seen.length >= 40, "everything is read");
  assert.is(new Set([...slow.seen, ...quick.seen]).size, slow.seen.length + quick.seen.length);
  await Promise.all([slow.consumer.close(), quick.consumer.close()]);
});

groups("a member that does not let go in time is put out, and its late commit is refused", async () => {
  await topicWith("zombie", 0, 2);
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
  await until(() => zombie.partitions.length === 2, "one has all");
  const heir = new Reader(client, options);
  await until(() => heir.seen.length === 40, "the other reads all");
  await heir.consumer.commit();
  release();
  await until(() => commitCode !== undefined, "the late commit");
  assert.is(await commitCode, "STALE_GENERATION");
  await Promise.all([zombie.consumer.close(), heir.consumer.close()]);
});

groups(
  "a partition that knows a later generation than its group refuses its owner until that has a later one",
  async () => {
    await topicWith("ahead", 20, 2);
    const runtime = createNodeRuntime();
    const stranger = await Cluster.open(runtime, parseBootstrap(cluster.bootstrap), settingsOf({}));
    const [route] = (await stranger.loadTopic("ahead")).routes;
    const zombie = { cursor: new PartitionCursor(route!), generation: 10_000, committed: -1 };
    const claimAhead = () => claim(stranger, "ahead", "stranger", [zombie]);
    assert.equal(await claimAhead(), [0]);
    const reader = new Reader(client, { topics: ["ahead"], group: "ahead" });
    await until(() => reader.seen.length === 20, "both partitions are read, also the one that refused the first claim");
    zombie.generation = 20_000;
    assert.equal(await claimAhead(), [0]);
    await client.producer().sendAll(
      "ahead",
      Array.from({ length: 20 }, (_, i) => ({ key: `${i}`, value: `again ${i}` })),
    );
    await until(() => new Set(reader.seen).size === 40, "everything is read");
    await until(async () => (await claimAhead())[0]! > 20_000, "the group is ahead of the stranger");
    await reader.consumer.close();
    stranger.close();
  },
);

groups("pause, resume, lag, and a group that begins at the end", async () => {
  await topicWith("paused", 20, 1);
  const reader = new Reader(client, { topics: ["paused"], group: "late", from: "latest" });
  await until(() => reader.partitions.length === 1, "it has the partition");
  reader.consumer.pause("paused", 0);
  await client.producer().sendAll("paused", [{ value: "new" }]);
  await delay(200);
  assert.equal(reader.seen, []);
  reader.consumer.resume("paused", 0);
  await until(() => reader.seen.length === 1, "the new one is read");
  assert.equal(reader.seen, ["new"]);
  assert.is(reader.consumer.lag(), 0);
  assert.throws(() => reader.consumer.pause("paused", 1), (error: RaftlineError) => error.code === "UNKNOWN_PARTITION");
  await reader.consumer.close();
});

groups("who reads what is seen; a group is not set back under its members' feet", async () => {
  await topicWith("seen", 100, 4);
  const options = { topics: ["seen"], group: "watched" };
  const named = new Reader(client, { ...options, instanceId: "desk-1", sessionTimeoutMs: 1_000 });
  const other = new Reader(client, options);
  await until(() => named.partitions.length === 2 && other.partitions.length === 2, "both have two");
  await until(() => named.seen.length + other.seen.length === 100, "everything is read");
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
  await until(async () => !(await client.admin.groupMembers()).has("watched"), "its session is over");
  await client.admin.resetGroup("seen", "watched", { to: "earliest" });
  const again = new Reader(client, options);
  await until(() => again.seen.length === 100, "it is read again");
  await again.consumer.close();
});

groups("settings that make no sense are refused", async () => {
  await topicWith("refused", 0, 1);
  const options = { topics: ["refused"], group: "g" };
  for (
    const bad of [
      { ...options, group: "no name" },
      { ...options, instanceId: "no name" },
      { ...options, partitions: [0] },
      { ...options, until: "end" } as const,
    ]
  ) {
    assert.throws(() => client.consumer(bad), (error: RaftlineError) => error.code.startsWith("INVALID_"));
  }
  assert.is(await new Reader(client, { ...options, sessionTimeoutMs: 1 }).ended, "INVALID_REQUEST");
  assert.is(await new Reader(client, { ...options, topics: ["nowhere"] }).ended, "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.consumer({ topics: ["refused"] }).commit()), "INVALID_REQUEST");
  const asQueue = client.queue("refused", { group: "q" });
  void asQueue[Symbol.asyncIterator]().next();
  await delay(100);
  assert.is(await new Reader(client, { ...options, group: "q" }).ended, "WRONG_GROUP_KIND");
  await asQueue.close();
});

groups("records that were deleted before their group came to them count as done with", async () => {
  await topicWith("deleted", 5, 1);
  const placeIs = async (offset: number) => {
    for (let waited = 0;; waited += 50) {
      const [place] = await client.admin.describeGroup("deleted", "late").catch(() => []);
      if (place?.floor === offset && place.waiting === 0) return;
      assert.ok(waited < PATIENCE_MS, JSON.stringify(place));
      await delay(50);
    }
  };
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

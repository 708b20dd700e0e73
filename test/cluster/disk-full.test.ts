import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { type Cluster, startCluster } from "../../src/node/cluster.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { SmallDisk } from "./small-disk.ts";
import { codeOf, until } from "./test-cluster.ts";

const full = suite("a cluster whose disk is full");

const MIB = 2 ** 20;
const LOG_LIMITS = { fileBytes: 2 * MIB, reserveBytes: 2 * MIB, compactFreesBytesMin: MIB / 4, fullRetryMs: 50 };
/** Of 10 KB: ten times what the disk has room for, should it take no notice of its bound. */
const RECORDS_MAX = 15_000;
const TIMED_OUT_MAX = 3;

let disk: SmallDisk;
let cluster: Cluster;
let client: Client;
let acknowledged = 0;

full.before(async () => {
  const folder = makeTemporaryFolder("raftline-disk-full-");
  // The nodes log that their disk is full, as an error: that is what is wanted here.
  disk = new SmallDisk({ ...createNodeRuntime(), log: { write: () => {} } }, 48 * MIB);
  const { runtime } = disk;
  const options = { runtime, folder, logLimits: LOG_LIMITS, limits: { retentionLookMs: 100 } };
  cluster = await startCluster(options, () => removeFolder(folder));
  client = await connect(cluster.bootstrap);
  await client.admin.createTopic("stock", { partitions: 2, replicas: 3 });
  await client.admin.createTopic("other", { partitions: 1, replicas: 3 });
});

full.after(async () => {
  await client.close();
  await cluster.stop();
});

/** Sends records of 10 KB until the cluster refuses one; the code it refuses with. */
async function fill(): Promise<string> {
  const producer = client.producer({ deliveryTimeoutMs: 1_000 });
  let timedOut = 0;
  while (acknowledged < RECORDS_MAX) {
    const value = (i: number) => `${acknowledged + i} ${"x".repeat(10_000)}`;
    const records = Array.from({ length: 50 }, (_, i) => ({ key: `${i}`, value: value(i) }));
    const code = await codeOf(producer.sendAll("stock", records));
    // What is on its way when the disk gets full may get no answer; what is sent then is refused.
    if (code === "TIMED_OUT" && ++timedOut <= TIMED_OUT_MAX) continue;
    if (code !== "") return code;
    acknowledged += records.length;
  }
  return "";
}

/** Of all records that are there. */
async function numbersRead(): Promise<Set<number>> {
  const seen = new Set<number>();
  for await (const record of client.consumer({ topics: ["stock"], from: "earliest", until: "end" })) {
    seen.add(Number(record.text().split(" ")[0]));
  }
  return seen;
}

const isFull = () => cluster.nodes.some((node) => node.log.full);

full("refuses producers, and says why", async () => {
  assert.is(await fill(), "DISK_FULL");
  assert.ok(acknowledged > 100, `${acknowledged} records had room`);
  assert.ok(isFull());
});

full("goes on being read, and its metadata goes on being written", async () => {
  const seen = await numbersRead();
  for (let number = 0; number < acknowledged; number++) assert.ok(seen.has(number), `${number} was acknowledged`);
  await client.admin.createTopic("while-full", { partitions: 1, replicas: 3 });
  assert.ok((await client.admin.listTopics()).some(({ name }) => name === "while-full"));
});

full("takes records again, without a restart, when there is space", async () => {
  disk.capacityBytes += 16 * MIB;
  await until("the nodes have their reserves again", () => !isFull());
  await client.producer().sendAll("stock", [{ value: `${acknowledged++}` }]);
  assert.ok((await numbersRead()).has(acknowledged - 1));
});

full("makes its own space by retention", async () => {
  assert.is(await fill(), "DISK_FULL");
  await client.admin.alterTopic("stock", { retention: { bytes: MIB } });
  await until("retention has given the disk back", () => !isFull());
  await client.producer().sendAll("other", [{ value: "again" }]);
  await until("most of the disk is free", () => disk.usedBytes < disk.capacityBytes / 2);
});

full.run();

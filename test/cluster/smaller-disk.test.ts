import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { createMetrics } from "../../src/admin/metrics.ts";
import { type Cluster, startCluster } from "../../src/node/cluster.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { SmallDisk } from "./small-disk.ts";
import { until } from "./test-cluster.ts";

const smaller = suite("a cluster with one disk that is smaller than the others");

const MIB = 2 ** 20;
const LOG_LIMITS = { fileBytes: 2 * MIB, reserveBytes: 4 * MIB, compactFreesBytesMin: MIB / 4, fullRetryMs: 50 };
const SMALL_NODE = 3;

let disk: SmallDisk;
let cluster: Cluster;
let client: Client;

smaller.before(async () => {
  const folder = makeTemporaryFolder("raftline-smaller-disk-");
  const runtime = { ...createNodeRuntime(), log: { write: () => {} } };
  disk = new SmallDisk(runtime, 16 * MIB, `${folder}/node-${SMALL_NODE}`);
  const options = { runtime: disk.runtime, folder, logLimits: LOG_LIMITS, limits: { retentionLookMs: 100 } };
  cluster = await startCluster(options, () => removeFolder(folder));
  client = await connect(cluster.bootstrap);
  await client.admin.createTopic("stock", { partitions: 3, replicas: 3 });
});

smaller.after(async () => {
  await client.close();
  await cluster.stop();
});

const smallLog = () => cluster.nodes[SMALL_NODE - 1]!.log;

/** Sends 10 MB, a tenth of the reserve's size at a time: what is under way when the disk is full goes there. */
async function send(): Promise<void> {
  const records = Array.from({ length: 40 }, (_, at) => ({ key: `${at}`, value: "x".repeat(10_000) }));
  for (let sent = 0; sent < 25; sent++) await client.producer().sendAll("stock", records);
}

const replicasOf = (id: number) => [...cluster.nodes[id - 1]!.host.replicas()].length;

/** Whether all replicas have applied the same. */
function haveTheSame(): boolean {
  const applied = new Map<number, Set<number>>();
  for (const { host } of cluster.nodes) {
    for (const { group, raft } of host.replicas()) {
      applied.set(group, (applied.get(group) ?? new Set()).add(raft.applied));
    }
  }
  return [...applied.values()].every(({ size }) => size === 1);
}

smaller("goes on without it", async () => {
  for (let sent = 0; sent < 4; sent++) await send();
  assert.ok(smallLog().full);
  assert.ok(disk.usedBytes <= disk.capacityBytes);
  const full = await Promise.all(cluster.nodes.map(async (node) => (await createMetrics(node).metrics())));
  assert.equal(full.map((text) => /^raftline_disk_full (\d)$/m.exec(text)?.[1]), ["0", "0", "1"]);
});

// 330 MB/s before leaders took notice: what it left out was read and sent again at once.
smaller("costs the others next to nothing while it lacks room", async () => {
  let sentBytes = 0;
  for (const { peers } of cluster.nodes) {
    const queue = peers.queue.bind(peers);
    peers.queue = (group, message, state) => {
      if (message.type === "append") { for (const { byteLength } of message.entries) sentBytes += byteLength; }
      queue(group, message, state);
    };
  }
  await delay(1_000);
  assert.ok(sentBytes < MIB, `${sentBytes} bytes`);
});

smaller("goes on writing what is small to it", async () => {
  await client.admin.createTopic("while-full", { partitions: 1, replicas: 3 });
  await until("its replica is there", () => replicasOf(SMALL_NODE) === replicasOf(1));
});

smaller("has it back when what it lacks is not kept any more", async () => {
  await client.admin.alterTopic("stock", { retention: { bytes: MIB } });
  await until("it has space again", () => !smallLog().full);
  await until("it has what the others have", haveTheSame);
  await send();
  await until("it has what came since", haveTheSame);
});

smaller("is stopped, even if nothing at all can be written any more", async () => {
  disk.capacityBytes = 0;
  await send();
  await until("its log stands", () => smallLog().pendingBytes > 0);
  let stopped = false;
  void cluster.nodes[SMALL_NODE - 1]!.stop().then(() => stopped = true);
  await until("it is stopped", () => stopped);
});

smaller.run();

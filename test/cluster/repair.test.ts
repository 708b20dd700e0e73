import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { examineLog } from "../../src/log/examine.ts";
import { startCluster } from "../../src/node/cluster.ts";
import type { RaftlineNode } from "../../src/node/node.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { damage, quietRuntime, ROTTING } from "./bit-rot.ts";
import { until } from "./test-cluster.ts";

const repair = suite("bit rot under a running cluster");

const RECORDS = 3_000;
const KIB = 1024;

/** Three nodes, a topic whose records are on their disks and not in memory, and one node whose disk has lost some. */
async function rottenCluster(): Promise<AsyncDisposable & { readonly client: Client; readonly victim: RaftlineNode }> {
  const folder = makeTemporaryFolder("raftline-repair-");
  const cluster = await startCluster({ runtime: quietRuntime(), folder, ...ROTTING }, () => removeFolder(folder));
  const client = await connect(cluster.bootstrap);
  await client.admin.createTopic("rot", { partitions: 3 });
  const producer = client.producer({ batchBytesMax: 10_000 });
  await sendInSmallBlocks(cluster.nodes, producer, valueOf);
  const victim = cluster.nodes[0]!;
  assert.ok([...victim.partitions.all()].some(({ leads }) => leads), "it leads something");
  assert.ok(damage(`${folder}/node-1/log`, 20_000) > 50);
  return {
    client,
    victim,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await cluster.stop();
    },
  };
}

/**
 * All of them. A flip in the header of a block that fills its file would hide all others. A node that lags is given what
 * it lacks in large blocks: so each hundred is on all disks before the next.
 */
async function sendInSmallBlocks(
  nodes: readonly RaftlineNode[],
  producer: ReturnType<Client["producer"]>,
  valueAt: (i: number) => string,
): Promise<void> {
  const records = Array.from({ length: RECORDS }, (_, i) => ({ key: `${i}`, value: valueAt(i) }));
  while (records.length > 0) {
    await producer.sendAll("rot", records.splice(0, 100));
    await until("it is on all disks", () => nodes.every((node) => hasAll(node, nodes)));
  }
}

function hasAll({ host, log }: RaftlineNode, nodes: readonly RaftlineNode[]): boolean {
  const hasAllOf = (other: RaftlineNode) =>
    other.host.replicas().every(({ group, raft }) => host.replica(group)!.raft.lastIndex >= raft.lastIndex);
  return log.pendingBytes === 0 && nodes.every(hasAllOf);
}

function valueOf(i: number): string {
  return `${i} `.padEnd(1_000, "x");
}

async function repaired({ partitions: { repairs }, host }: RaftlineNode): Promise<void> {
  await until("a repair has begun", () => repairs.begun > 0);
  await until(
    "every damaged replica is whole",
    () => repairs.underWay === 0 && host.replicas().every(({ raft }) => raft.vouched),
  );
}

repair("readers are given what was written, by a replica that has it, and the damaged one is repaired", async () => {
  await using rotten = await rottenCluster();
  const { client, victim } = rotten;
  const seen = new Set<string>();
  for await (const record of client.consumer({ topics: ["rot"], from: "earliest", until: "end" })) {
    assert.is(record.text(), valueOf(Number(record.text().split(" ")[0])));
    seen.add(record.text());
  }
  assert.is(seen.size, RECORDS);
  await repaired(victim);
  await client.producer().send("rot", { value: "goes on" });
});

repair(
  "a queue gives all that was written, each record once, though the disk of who leads it has lost some",
  async () => {
    const folder = makeTemporaryFolder("raftline-repair-");
    await using cluster = await startCluster(
      { runtime: quietRuntime(), folder, ...ROTTING },
      () => removeFolder(folder),
    );
    await using client = await connect(cluster.bootstrap);
    await client.admin.createTopic("rot", { partitions: 3 });
    const producer = client.producer({ batchBytesMax: 10_000 });
    const valueOf = (i: number) => `${i} `.padEnd(1_000, "x");
    await sendInSmallBlocks(cluster.nodes, producer, valueOf);
    const victim = cluster.nodes[0]!;
    assert.ok([...victim.partitions.all()].some(({ leads }) => leads), "it leads something");
    assert.ok(damage(`${folder}/node-1/log`, 20_000) > 50);
    const seen = new Set<string>();
    await using queue = client.queue("rot", { group: "g", from: { timeMs: 1 } });
    for await (const messages of queue.batches()) {
      for (const message of messages) {
        assert.is(message.text(), valueOf(Number(message.text().split(" ")[0])));
        assert.not.ok(seen.has(message.text()), "given again after its ack");
        seen.add(message.text());
      }
      await queue.ackAll(messages);
      if (seen.size === RECORDS) break;
    }
    const { repairs } = victim.partitions;
    await until("a repair has begun", () => repairs.begun > 0);
    await until(
      "every damaged replica is whole",
      () => repairs.underWay === 0 && victim.host.replicas().every(({ raft }) => raft.vouched),
    );
  },
);

repair("a node that starts on a damaged disk comes back whole, and so does its log", async () => {
  const folder = makeTemporaryFolder("raftline-repair-");
  const options = {
    runtime: quietRuntime(),
    folder,
    logLimits: { fileBytes: 512 * KIB, reserveBytes: 0, compactFreesBytesMin: 1, compactFilesMin: 1 },
  };
  try {
    const first = await startCluster(options);
    const client = await connect(first.bootstrap);
    await client.admin.createTopic("rot", { partitions: 3 });
    const producer = client.producer({ batchBytesMax: 10_000 });
    await sendInSmallBlocks(first.nodes, producer, (i) => `${i}`.padEnd(1_000, "y"));
    await client.close();
    await first.stop();
    const flips = damage(`${folder}/node-2/log`, 20_000);
    const { findings } = await examineLog(options.runtime.disk, `${folder}/node-2/log`);
    assert.ok(findings.length >= flips / 2, `${findings.length} found of ${flips}`);
    const second = await startCluster(options);
    const victim = second.nodes[1]!;
    await until(
      "every damaged replica is whole",
      () =>
        victim.partitions.repairs.begun > 0 && victim.partitions.repairs.underWay === 0 &&
        victim.partitions.size === 3 &&
        victim.host.replicas().every(({ raft }) => raft.vouched),
    );
    await using reader = await connect(second.bootstrap);
    let count = 0;
    for await (const _ of reader.consumer({ topics: ["rot"], from: "earliest", until: "end" })) count += 1;
    assert.is(count, RECORDS);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await reader.close();
    await second.stop();
    assert.equal((await examineLog(options.runtime.disk, `${folder}/node-2/log`)).findings, []);
  } finally {
    await removeFolder(folder);
  }
});

repair.run();

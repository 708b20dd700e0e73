import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../mod.ts";
import { LogError } from "../../src/log/types.ts";
import { startCluster } from "../../src/node/cluster.ts";
import type { RaftlineNode } from "../../src/node/node.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { coordinatorsOn } from "../../shards/coordinator/placement.ts";
import { METADATA_SHARD } from "../../shards/metadata/state.ts";
import { damageGroups, quietRuntime } from "./bit-rot.ts";
import { until } from "./test-cluster.ts";

const test = suite("bit rot in the metadata and the coordinators of a running node");

const KIB = 1024;
const TOPICS = 8;
const NEVER_MS = 3_600_000;

class Rotting {
  readonly folder = makeTemporaryFolder("raftline-repair-");
  /** What the nodes told. */
  readonly told: string[] = [];
  cluster!: Awaited<ReturnType<typeof startCluster>>;

  /** Nodes whose metadata lies in sealed files by now. */
  static async start(nodes: number, scrubEveryMs: number): Promise<Rotting> {
    const rotting = new Rotting();
    await rotting.begin(nodes, scrubEveryMs);
    await using client = await connect(rotting.cluster.bootstrap);
    for (let i = 0; i < TOPICS; i++) await client.admin.createTopic(`t${i}`, { partitions: 2 });
    const values = Array.from({ length: 1_500 }, (_, i) => ({ value: `${i}`.padEnd(1_000, "x") }));
    await client.producer({ batchBytesMax: 10_000 }).sendAll("t0", values);
    return rotting;
  }

  async begin(nodes: number, scrubEveryMs = NEVER_MS): Promise<void> {
    this.cluster = await startCluster({
      runtime: { ...quietRuntime(), log: { write: (_level, message) => void this.told.push(message) } },
      nodes,
      folder: this.folder,
      logLimits: { fileBytes: 256 * KIB, reserveBytes: 0, scrubEveryMs },
    });
  }

  get nodes(): readonly RaftlineNode[] {
    return this.cluster.nodes;
  }

  node(id: number): RaftlineNode {
    return this.nodes[id - 1]!;
  }

  get leader(): RaftlineNode {
    return this.node(this.node(1).metadataService.leader);
  }

  /** All topics are known everywhere, and one more can be made. */
  async serves(extra: string): Promise<void> {
    await using client = await connect(this.cluster.bootstrap);
    await client.admin.createTopic(extra, { partitions: 1 });
    await client.producer().send(extra, { value: "goes on" });
    const wanted = [...Array.from({ length: TOPICS }, (_, i) => `t${i}`), extra];
    await until(
      `all nodes know ${extra}`,
      () => this.nodes.every(({ metadata }) => wanted.every((name) => metadata.topics.has(name))),
    );
    let count = 0;
    for await (const _ of client.consumer({ topics: ["t0"], from: "earliest", until: "end" })) count += 1;
    assert.is(count, 1_500);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
    await removeFolder(this.folder);
  }
}

async function whole({ stateRepairs, host }: RaftlineNode, repaired: number): Promise<void> {
  await until("what was damaged is repaired", () =>
    stateRepairs.repaired >= repaired && stateRepairs.underWay === 0 &&
    host.replicas().every(({ raft, closed }) => raft.vouched && !closed && raft.leader !== 0));
}

test("a pass over the disk finds it, and it is repaired while the replicas go on; the next start finds nothing", async () => {
  await using rotting = await Rotting.start(3, 100);
  const { leader, told } = rotting;
  const { nodeId, log, host } = leader;
  const shards = [METADATA_SHARD, ...coordinatorsOn(nodeId, [1, 2, 3])];
  const replicas = shards.map((shard) => host.replica(shard));
  const rotten = await damageGroups(leader, shards);
  assert.ok(rotten > 1, `${rotten} groups have entries in sealed files`);
  await whole(leader, rotten);
  assert.is(leader.stateRepairs.damaged, leader.stateRepairs.repaired);
  assert.ok(told.some((message) => message.includes("state's log is damaged")), "it is reported");
  assert.ok(shards.every((shard, at) => host.replica(shard) === replicas[at]), "none of them began anew");
  for (const shard of shards) {
    const { firstIndex, checkpoint } = log.group(shard)!;
    assert.is(firstIndex, checkpoint!.index + 1, `what was damaged of ${shard} is not needed any more`);
  }
  await rotting.serves("after");
  const revision = leader.metadata.revision;
  await rotting.cluster.stop();
  told.length = 0;
  await rotting.begin(3);
  assert.ok(rotting.node(nodeId).metadata.revision >= revision);
  const lost = told.filter((message) => /here is damaged|state's log is damaged/.test(message));
  assert.equal(lost, [], "what is still damaged in the files is not needed");
  await rotting.serves("again");
});

test("a read that meets it is enough, and a node that is alone repairs itself", async () => {
  for (const nodes of [1, 3]) {
    await using rotting = await Rotting.start(nodes, NEVER_MS);
    const victim = rotting.nodes.at(-1)!;
    const { log } = victim;
    const { firstIndex, lastIndex } = log.group(METADATA_SHARD)!;
    assert.is(await damageGroups(victim, [METADATA_SHARD]), 1);
    const failure = await log.read(METADATA_SHARD, firstIndex, lastIndex, 1).catch((error: unknown) => error);
    assert.is((failure as LogError).code, "CORRUPT");
    await whole(victim, 1);
    await rotting.serves("after");
  }
});

test("a replica that cannot go on gives its leadership up, keeps what it has applied, and is given the rest", async () => {
  await using rotting = await Rotting.start(3, NEVER_MS);
  const { nodeId, host, stateRepairs } = rotting.leader;
  const shards = [METADATA_SHARD, ...coordinatorsOn(nodeId, [1, 2, 3])];
  const applied = shards.map((shard) => host.replica(shard)!.raft.applied);
  for (const shard of shards) host.damaged(host.replica(shard)!, new Error("it cannot be read"));
  await whole(rotting.node(nodeId), shards.length);
  assert.is(stateRepairs.damaged, shards.length);
  for (const [at, shard] of shards.entries()) {
    const { firstIndex } = rotting.node(nodeId).log.group(shard)!;
    assert.is(firstIndex, applied[at]! + 1, `group ${shard} goes on behind what it had applied`);
  }
  await rotting.serves("after");
  await until("every one is vouched for", () => host.replicas().every(({ raft }) => raft.vouched));
});

test.run();

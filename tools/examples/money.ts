/** Add 10, times 1.1: the order matters, and it is the same on every replica, whoever leads. */
import { setTimeout as delay } from "node:timers/promises";
import { type Cluster, connect, startCluster } from "../../mod.ts";
import { readBatch } from "../../src/records/batch-reader.ts";
import { EntryKind } from "../../src/records/entry.ts";
import { type Example, mustHold, type Print } from "./example.ts";

const ROUNDS = 30;
const LEADER_CHANGES = 5;
const READ_BYTES_MAX = 1024 * 1024;
const POLL_MS = 10;
const CATCH_UP_MS_MAX = 10_000;

export interface MoneyResult {
  readonly operations: number;
  readonly leaders: readonly number[];
  readonly expected: number;
  /** By node, worked out from that node's own copy of the log. */
  readonly balances: readonly number[];
}

export const money: Example = {
  about: "add 10, times 1.1: the same balance on every replica through leader changes",
  run: runMoney,
};

export async function runMoney(print: Print): Promise<MoneyResult> {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  const { partitions: [account] } = await client.admin.createTopic("account", { replicas: 3 });
  const { shard } = account!;
  const producer = client.producer();
  const leaders: number[] = [];
  let expected = 0;
  for (let round = 0; round < ROUNDS; round++) {
    if (round % (ROUNDS / (LEADER_CHANGES + 1)) === 0) leaders.push(await changeLeader(cluster, shard, round > 0));
    // Both are on their way while the leader changes; a retry neither doubles nor reorders them.
    await Promise.all([
      producer.send("account", { key: "account", value: "add 10" }),
      producer.send("account", { key: "account", value: "times 1.1" }),
    ]);
    expected = (expected + 10) * 1.1;
  }
  print(`${2 * ROUNDS} operations, led by nodes ${leaders.join(", ")} in turn`);
  const balances = await Promise.all(cluster.nodes.map((_, i) => balanceOn(cluster, i, shard)));
  balances.forEach((balance, i) => print(`node ${i + 1}: ${balance}`));
  print(`expected: ${expected}`);
  mustHold(balances.every((balance) => balance === expected), "to the last bit, on every replica");
  return { operations: 2 * ROUNDS, leaders, expected, balances };
}

/** Hands the partition to the next node; resolves with who leads it then. */
async function changeLeader({ nodes }: Cluster, shard: number, hand: boolean): Promise<number> {
  const leaderOf = () => nodes.find(({ partitions }) => partitions.get(shard)?.leads);
  while (leaderOf() === undefined) await delay(POLL_MS);
  const before = leaderOf()!;
  if (!hand) return before.nodeId;
  const next = nodes[before.nodeId % nodes.length]!;
  const { replica } = before.partitions.get(shard)!;
  replica.raft.transfer(next.nodeId, before.runtime.clock.monotonicMs());
  before.host.wake(replica);
  while (leaderOf() === undefined || leaderOf() === before) await delay(POLL_MS);
  return leaderOf()!.nodeId;
}

/** From this node's own copy: every replica would come to it by itself. */
async function balanceOn({ nodes }: Cluster, position: number, shard: number): Promise<number> {
  const partition = nodes[position]!.partitions.get(shard)!;
  const giveUpMs = performance.now() + CATCH_UP_MS_MAX;
  while (partition.highWatermark < 2 * ROUNDS && performance.now() < giveUpMs) await delay(POLL_MS);
  let balance = 0;
  for (let offset = 0; offset < partition.highWatermark;) {
    for (const entry of await partition.read(offset, READ_BYTES_MAX)) {
      offset = entry.nextOffset;
      if (entry.kind !== EntryKind.batch) continue;
      for (const record of readBatch(entry)) balance = apply(balance, record.text());
    }
  }
  return balance;
}

function apply(balance: number, operation: string): number {
  return operation === "add 10" ? balance + 10 : balance * 1.1;
}

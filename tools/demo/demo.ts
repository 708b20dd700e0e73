/** The tour: a million real lines through a cluster that loses its busiest node on the way, and everything checked. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/client.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { NodeProcesses } from "../processes/node-processes.ts";
import { Ledger } from "./ledger.ts";
import { publishCorpus } from "./publish.ts";
import { compareReplicas } from "./replicas.ts";

const TOPIC = "lines";
const PARTITIONS = 16;
const KILL_AT = 0.35;
const RESTART_AT = 0.65;
const SETTLE_MS = 1_000;

export interface DemoOptions {
  readonly records: number;
  /** A stage and how much of it is done, 0 to 1. */
  readonly onProgress: (stage: string, part: number) => void;
}

export interface DemoResult {
  readonly records: number;
  readonly bytes: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  readonly changedKeys: number;
  readonly replicasIdentical: boolean;
  readonly replicaDifferences: readonly string[];
  readonly entriesPerReplica: number;
  readonly recordsPerSecond: number;
  readonly publishSeconds: number;
  readonly ackGapMsMax: number;
  readonly killedNode: number;
  readonly consumedRecords: number;
  readonly consumedRecordsPerSecond: number;
}

export async function runDemo({ records: wanted, onProgress }: DemoOptions): Promise<DemoResult> {
  const folder = temporaryFolder("raftline-demo-");
  onProgress("starting three nodes", 0);
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  let client: Client | undefined;
  try {
    client = await connect(processes.bootstrap());
    await client.admin.createTopic(TOPIC, { partitions: PARTITIONS, replicas: 3 });
    const ledger = new Ledger();
    const chaos = new Interruption(processes, client);
    const published = await publishCorpus(client, TOPIC, wanted, ledger, async (acknowledged) => {
      onProgress(chaos.stage, acknowledged / wanted);
      await chaos.at(acknowledged / wanted);
    });
    await chaos.finish();
    const consumed = await consumeAll(client, ledger, published.records, onProgress);
    await client.close();
    client = undefined;
    await delay(SETTLE_MS);
    // Not a clean stop: what is compared is what a power loss would have left.
    await Promise.all(processes.ids.map((id) => processes.kill(id)));
    const folders = processes.ids.map((id) => processes.dataFolder(id));
    const compared = await compareReplicas(folders, (done, total) => onProgress("comparing replicas", done / total));
    return {
      ...ledger.compare(),
      records: published.records,
      bytes: published.bytes,
      replicasIdentical: compared.differences.length === 0,
      replicaDifferences: compared.differences,
      entriesPerReplica: compared.entries,
      recordsPerSecond: Math.round(published.records / published.seconds),
      publishSeconds: published.seconds,
      ackGapMsMax: Math.round(published.ackGapMsMax),
      killedNode: chaos.killedNode,
      consumedRecords: consumed.records,
      consumedRecordsPerSecond: Math.round(consumed.records / consumed.seconds),
    };
  } finally {
    await client?.close();
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Kills the node that leads most partitions part of the way, and starts it again later. */
class Interruption {
  killedNode = 0;
  stage = "publishing";
  readonly #processes: NodeProcesses;
  readonly #client: Client;
  #restarting: Promise<void> | undefined;

  constructor(processes: NodeProcesses, client: Client) {
    this.#processes = processes;
    this.#client = client;
  }

  async at(part: number): Promise<void> {
    if (this.killedNode === 0 && part >= KILL_AT) {
      this.killedNode = await this.#busiestNode();
      this.stage = `publishing, node ${this.killedNode} killed`;
      await this.#processes.kill(this.killedNode);
    } else if (this.killedNode !== 0 && !this.#restarting && part >= RESTART_AT) {
      this.stage = `publishing, node ${this.killedNode} back`;
      this.#restarting = this.#processes.restart(this.killedNode);
    }
  }

  async finish(): Promise<void> {
    if (this.killedNode === 0) throw new Error("everything was published before a node could be killed");
    this.#restarting ??= this.#processes.restart(this.killedNode);
    await this.#restarting;
  }

  async #busiestNode(): Promise<number> {
    const { partitions } = await this.#client.admin.describeTopic(TOPIC);
    const led = new Map<number, number>();
    for (const { leader } of partitions) led.set(leader, (led.get(leader) ?? 0) + 1);
    return [...led].sort(([, a], [, b]) => b - a)[0]![0];
  }
}

async function consumeAll(
  client: Client,
  ledger: Ledger,
  expected: number,
  onProgress: DemoOptions["onProgress"],
): Promise<{ records: number; seconds: number }> {
  const decoder = new TextDecoder();
  const startedMs = performance.now();
  let records = 0;
  for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
    ledger.read(decoder.decode(record.key ?? undefined), Number(record.headers.n), record.text());
    records += 1;
    if (records % 20_000 === 0) onProgress("reading everything back", records / expected);
  }
  return { records, seconds: (performance.now() - startedMs) / 1000 };
}

/** `bench failover`: kill -9 of the busiest leader under steady load, again and again; how long is nothing acknowledged? */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect } from "../../src/client/client.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { NodeProcesses } from "../processes/node-processes.ts";
import { pace } from "./pace.ts";
import { median } from "./statistics.ts";

const TOPIC = "bench";
const PARTITIONS = 16;
const SETTLE_MS = 1_500;
const WATCH_MS = 4_000;

export interface FailoverOptions {
  readonly kills: number;
  readonly rate: number;
  readonly onProgress: (stage: string) => void;
}

export interface FailoverResult {
  readonly kills: number;
  readonly ackGapMsMedian: number;
  readonly ackGapMsMax: number;
  readonly ackGapsMs: readonly number[];
  readonly acknowledged: number;
  readonly failed: number;
  /** Acknowledged, and not there when everything is read back. */
  readonly lost: number;
  readonly duplicated: number;
}

/**
 * Each kill: the client starts from a survivor, sends at the rate, the node that leads most partitions is killed, the
 * longest time between two acknowledgements of the whole topic's records *of the partitions it led* is the gap.
 */
export async function runFailover({ kills, rate, onProgress }: FailoverOptions): Promise<FailoverResult> {
  const folder = temporaryFolder("raftline-bench-");
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  const books = new Books();
  const gapsMs: number[] = [];
  try {
    const admin = await connect(processes.bootstrap());
    await admin.admin.createTopic(TOPIC, { partitions: PARTITIONS, replicas: 3 });
    await admin.close();
    for (let kill = 1; kill <= kills; kill++) {
      const gapMs = await killOnce(processes, books, rate);
      gapsMs.push(Math.round(gapMs));
      onProgress(`kill ${kill} of ${kills}: ${Math.round(gapMs)} ms without an acknowledgement`);
    }
    const client = await connect(processes.bootstrap());
    for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
      books.read(record.text());
    }
    await client.close();
  } finally {
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return {
    kills,
    ackGapMsMedian: median(gapsMs),
    ackGapMsMax: Math.max(...gapsMs),
    ackGapsMs: gapsMs,
    acknowledged: books.acknowledged.size,
    failed: books.failed,
    ...books.compare(),
  };
}

class Books {
  readonly acknowledged = new Set<string>();
  readonly #reads = new Map<string, number>();
  failed = 0;
  sequence = 0;

  read(value: string): void {
    this.#reads.set(value, (this.#reads.get(value) ?? 0) + 1);
  }

  compare(): { lost: number; duplicated: number } {
    let lost = 0;
    let duplicated = 0;
    for (const value of this.acknowledged) if (!this.#reads.has(value)) lost += 1;
    for (const count of this.#reads.values()) duplicated += count - 1;
    return { lost, duplicated };
  }
}

async function killOnce(processes: NodeProcesses, books: Books, rate: number): Promise<number> {
  const probe = await connect(processes.bootstrap());
  const { victim, partitions } = await busiest(probe);
  await probe.close();
  const survivors = processes.ids.filter((id) => id !== victim);
  const client = await connect(processes.bootstrap(survivors));
  const producer = client.producer();
  /** By partition: when its last acknowledgement came, and the longest time between two. */
  const lastAckMs = new Map<number, number>();
  let gapMs = 0;
  const pacer = pace(rate, () => {
    const value = `${books.sequence}`;
    const partition = books.sequence++ % PARTITIONS;
    producer.enqueue(TOPIC, { value, partition }, (error) => {
      if (error) {
        books.failed += 1;
        return;
      }
      books.acknowledged.add(value);
      if (!partitions.includes(partition)) return;
      const nowMs = performance.now();
      gapMs = Math.max(gapMs, nowMs - (lastAckMs.get(partition) ?? nowMs));
      lastAckMs.set(partition, nowMs);
    });
  });
  await delay(SETTLE_MS);
  await processes.kill(victim);
  await delay(WATCH_MS);
  clearInterval(pacer);
  await producer.close();
  await client.close();
  await processes.restart(victim);
  await delay(SETTLE_MS);
  return gapMs;
}

async function busiest(client: Client): Promise<{ victim: number; partitions: number[] }> {
  const { partitions } = await client.admin.describeTopic(TOPIC);
  const led = new Map<number, number[]>();
  for (const { leader, partition } of partitions) led.set(leader, [...(led.get(leader) ?? []), partition]);
  const [victim, theirs] = [...led].sort(([, a], [, b]) => b.length - a.length)[0]!;
  return { victim, partitions: theirs };
}

/** `bench drain`: how fast one consumer process reads a backlog, batch by batch and record by record. */
import type { Client } from "../../src/client/client.ts";
import { fill } from "./fill.ts";
import { median } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

const ROUNDS = 3;
const TOPIC = "bench";

export interface DrainOptions {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly records: number;
  readonly onProgress: (stage: string) => void;
}

export interface DrainResult {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly records: number;
  /** Batches handed over whole; median of three drains. */
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Every record an object of its own. */
  readonly iteratedRecordsPerSecond: number;
}

export function runDrain({ partitions, recordBytes, records, onProgress }: DrainOptions): Promise<DrainResult> {
  onProgress("starting three nodes");
  return withNodes(async ({ client }) => {
    await client.admin.createTopic(TOPIC, { partitions, replicas: 3 });
    await fill(client, { topic: TOPIC, records, recordBytes, onProgress });
    const whole: number[] = [];
    const single: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      onProgress(`drain ${round} of ${ROUNDS}`);
      whole.push(await rateOf(records, () => drainBatches(client)));
      single.push(await rateOf(records, () => drainRecords(client, recordBytes)));
    }
    return {
      partitions,
      recordBytes,
      records,
      recordsPerSecond: Math.round(median(whole)),
      bytesPerSecond: Math.round(median(whole) * recordBytes),
      iteratedRecordsPerSecond: Math.round(median(single)),
    };
  });
}

async function drainBatches(client: Client): Promise<number> {
  let count = 0;
  const consumer = client.consumer({ topics: [TOPIC], from: "earliest", until: "end" });
  for await (const batch of consumer.batches()) count += batch.recordCount;
  return count;
}

async function drainRecords(client: Client, recordBytes: number): Promise<number> {
  let count = 0;
  for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
    if (record.value.length === recordBytes) count += 1;
  }
  return count;
}

/** Records a second; whoever reads fewer or more than there are has found a bug. */
async function rateOf(records: number, drain: () => Promise<number>): Promise<number> {
  const startedMs = performance.now();
  const count = await drain();
  if (count !== records) throw new Error(`${count} records were read; ${records} were published`);
  return records / ((performance.now() - startedMs) / 1000);
}

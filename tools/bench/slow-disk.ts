/**
 * `bench slow-disk`: a client that offers ten times what the nodes' disks take. It is slowed down; what each of them holds in
 * memory is bounded; everything acknowledged is read back, in order. With one slowed node the others carry on.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../src/client/client.ts";
import type { Producer } from "../../src/client/producer.ts";
import { rssBytes } from "../processes/usage.ts";
import { round } from "./statistics.ts";
import { type BenchCluster, withNodes } from "./with-nodes.ts";

const TOPIC = "bench";
const LOOK_MS = 20;
const TELL_MS = 1_000;
/** Where a record's number in its partition stands in its value. */
const NUMBER_BYTES = 8;

export interface SlowDiskOptions {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly seconds: number;
  /** What the disk of each slowed node takes. */
  readonly diskBytesPerSecond: number;
  /** How many of the three. */
  readonly slowed: number;
  /** So many times that is offered. */
  readonly times: number;
  readonly onProgress: (stage: string) => void;
}

export interface SlowDiskResult {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly slowedNodes: number;
  readonly diskBytesPerSecond: number;
  readonly offeredBytesPerSecond: number;
  readonly acknowledgedBytesPerSecond: number;
  readonly acknowledgedRecordsPerSecond: number;
  /** Of what the disks take. */
  readonly ratioToDisk: number;
  /** Of the time, the client waited for room. */
  readonly waitedShare: number;
  readonly bufferedBytesMax: number;
  readonly clientRssBytesMax: number;
  readonly nodeRssBytesMax: number;
  readonly failed: number;
  /** Acknowledged and not read back; read more than once; read after a later one of their partition. */
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
}

export async function runSlowDisk(options: SlowDiskOptions): Promise<SlowDiskResult> {
  const { partitions, seconds, diskBytesPerSecond, slowed, times, onProgress } = options;
  const recordBytes = Math.max(NUMBER_BYTES, options.recordBytes);
  const args = (config: string, id: number) => [config, String(id <= slowed ? diskBytesPerSecond : Infinity)];
  onProgress(`starting three nodes; the disks of ${slowed} take ${diskBytesPerSecond / 1e6} MB/s`);
  return await withNodes(async (cluster) => {
    const { client } = cluster;
    await client.admin.createTopic(TOPIC, { partitions, replicas: 3 });
    const offering = new Offering(client, partitions, recordBytes, onProgress);
    const peaks = new Peaks(cluster, offering.producer);
    const offered = times * diskBytesPerSecond;
    await offering.begin();
    onProgress(`offering ${offered / 1e6} MB/s`);
    await offering.offerFor(seconds * 1000, offered / recordBytes);
    const { acknowledged, waitedMs } = offering;
    onProgress("waiting for what is on its way");
    await offering.producer.close();
    peaks.stop();
    onProgress("reading all of it");
    const found = await readBack(client, offering);
    const acknowledgedRecordsPerSecond = acknowledged / seconds;
    return {
      partitions,
      recordBytes,
      slowedNodes: slowed,
      diskBytesPerSecond,
      offeredBytesPerSecond: offered,
      acknowledgedBytesPerSecond: Math.round(acknowledgedRecordsPerSecond * recordBytes),
      acknowledgedRecordsPerSecond: Math.round(acknowledgedRecordsPerSecond),
      ratioToDisk: round(acknowledgedRecordsPerSecond * recordBytes / diskBytesPerSecond),
      waitedShare: round(waitedMs / (seconds * 1000)),
      ...peaks.seen,
      failed: offering.failed,
      ...found,
    };
  }, { name: "bench/slowed-node", args });
}

/** Offers records at a rate, numbered in each partition; a producer without room is waited for. */
class Offering {
  readonly producer: Producer;
  /** Of each partition, the number of its next record, and those that were acknowledged. */
  readonly next: number[];
  readonly acknowledgedOf: Flags[];
  acknowledged = 0;
  failed = 0;
  waitedMs = 0;
  readonly #value: Buffer;
  readonly #onProgress: (stage: string) => void;
  #partition = 0;

  constructor(client: Client, partitions: number, recordBytes: number, onProgress: (stage: string) => void) {
    this.producer = client.producer();
    this.next = new Array<number>(partitions).fill(0);
    this.acknowledgedOf = this.next.map(() => new Flags());
    this.#value = Buffer.alloc(recordBytes, 120);
    this.#onProgress = onProgress;
  }

  /** The producer knows its topic from here on: what it is handed is copied at once. */
  async begin(): Promise<void> {
    this.#value.writeDoubleLE(0);
    await this.producer.send(TOPIC, { value: this.#value, partition: 0 });
    this.#settled(0, 0, undefined);
    this.next[0] = 1;
  }

  async offerFor(ms: number, recordsPerSecond: number): Promise<void> {
    const startMs = performance.now();
    let toldMs = startMs;
    for (let offered = 0; performance.now() - startMs < ms;) {
      const due = Math.floor((performance.now() - startMs) * recordsPerSecond / 1000);
      while (offered < due && this.#offer()) offered++;
      if (offered < due) await this.#room(startMs + ms);
      else await delay(1);
      if (performance.now() - toldMs < TELL_MS) continue;
      toldMs = performance.now();
      const seconds = (toldMs - startMs) / 1000;
      const rate = this.acknowledged * this.#value.length / seconds / 1e6;
      this.#onProgress(
        `${rate.toFixed(1)} MB/s acknowledged, ${(this.producer.bufferedBytes / 1e6).toFixed(1)} MB wait`,
      );
    }
  }

  async #room(untilMs: number): Promise<void> {
    const fromMs = performance.now();
    await Promise.race([this.producer.ready, delay(Math.max(0, untilMs - fromMs))]);
    this.waitedMs += performance.now() - fromMs;
  }

  #offer(): boolean {
    const partition = this.#partition;
    const number = this.next[partition]!;
    this.#value.writeDoubleLE(number);
    const isTaken = this.producer.enqueue(TOPIC, { value: this.#value, partition }, (error) => {
      this.#settled(partition, number, error);
    });
    if (!isTaken) return false;
    this.next[partition] = number + 1;
    this.#partition = (partition + 1) % this.next.length;
    return true;
  }

  #settled(partition: number, number: number, error: unknown): void {
    if (error !== undefined) {
      this.failed += 1;
      return;
    }
    this.acknowledged += 1;
    this.acknowledgedOf[partition]!.add(number);
  }
}

/** Numbers, a byte each: there are millions, and the client's memory is measured. */
class Flags {
  end = 0;
  #bytes = new Uint8Array(1_024);

  add(number: number): void {
    if (number >= this.#bytes.length) {
      const larger = new Uint8Array(Math.max(number + 1, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[number] = 1;
    this.end = Math.max(this.end, number + 1);
  }

  has(number: number): boolean {
    return this.#bytes[number] === 1;
  }
}

/** The most memory that anyone was seen to use. */
class Peaks {
  readonly seen = { bufferedBytesMax: 0, clientRssBytesMax: 0, nodeRssBytesMax: 0 };
  readonly #looking: NodeJS.Timeout;

  constructor({ processes }: BenchCluster, producer: Producer) {
    const pids = processes.ids.map((id) => processes.pidOf(id)!);
    this.#looking = setInterval(() => {
      const { seen } = this;
      seen.bufferedBytesMax = Math.max(seen.bufferedBytesMax, producer.bufferedBytes);
      seen.clientRssBytesMax = Math.max(seen.clientRssBytesMax, rssBytes(process.pid) ?? 0);
      seen.nodeRssBytesMax = Math.max(seen.nodeRssBytesMax, ...pids.map((pid) => rssBytes(pid) ?? 0));
    }, LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#looking);
  }
}

async function readBack(
  client: Client,
  { acknowledgedOf }: Offering,
): Promise<{ lost: number; duplicated: number; outOfOrder: number }> {
  const last = acknowledgedOf.map(() => -1);
  const seen = acknowledgedOf.map(() => new Flags());
  let duplicated = 0;
  let outOfOrder = 0;
  for await (const { partition, value } of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
    const number = new DataView(value.buffer, value.byteOffset).getFloat64(0, true);
    if (seen[partition]!.has(number)) duplicated += 1;
    else if (number < last[partition]!) outOfOrder += 1;
    seen[partition]!.add(number);
    last[partition] = number;
  }
  let lost = 0;
  for (const [partition, numbers] of acknowledgedOf.entries()) {
    for (let number = 0; number < numbers.end; number++) {
      if (numbers.has(number) && !seen[partition]!.has(number)) lost += 1;
    }
  }
  return { lost, duplicated, outOfOrder };
}

/** `bench queue`: how fast one consumer is given records and acknowledges them, and what a scattered backlog costs. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect } from "../../src/client/client.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { NodeProcesses } from "../processes/node-processes.ts";
import { rssBytes } from "../processes/usage.ts";
import { round, Samples } from "./statistics.ts";

const PREFETCH_RECORDS = 20_000;
const CHUNK_RECORDS = 20_000;
const PARTITIONS_MANY = 16;
/** The last batches of each measurement are more than it counts to. */
const WARM_UP_RECORDS = 200_000;
const LATENCY_RECORDS = 1_000;
/** The other half of the backlog is put off until it was all seen once. */
const PUT_OFF_MS = 40_000;

export interface QueueOptions {
  readonly recordBytes: number;
  /** For each of the three rates. */
  readonly records: number;
  /** Waiting records of which every second one is acknowledged first. */
  readonly backlog: number;
  readonly onProgress: (stage: string) => void;
}

export interface QueueResult {
  readonly bulkAckRecordsPerSecond: number;
  readonly singleAckRecordsPerSecond: number;
  readonly manyPartitionsBulkAckRecordsPerSecond: number;
  readonly manyPartitionsSingleAckRecordsPerSecond: number;
  readonly ackToNextMsP50: number;
  readonly ackToNextMsP99: number;
  readonly backlogRecords: number;
  readonly scatteredAckRecordsPerSecond: number;
  readonly scatteredRatio: number;
  /** Of each record acked or put off while half of the backlog was acknowledged. */
  readonly backlogRecordsPerSecond: number;
  readonly nodeRssBytesMax: number;
  /** From when the acknowledging of the backlog began. */
  readonly backlogRssBytesMax: number;
}

export async function runQueue(options: QueueOptions): Promise<QueueResult> {
  const { records, backlog, onProgress } = options;
  const folder = temporaryFolder("raftline-bench-");
  onProgress("starting three nodes");
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  let nodeRssBytesMax = 0;
  let backlogRssBytesMax = 0;
  const watching = setInterval(() => {
    const rss = Math.max(...processes.ids.map((id) => rssBytes(processes.pidOf(id)!) ?? 0));
    nodeRssBytesMax = Math.max(nodeRssBytesMax, rss);
    backlogRssBytesMax = Math.max(backlogRssBytesMax, rss);
  }, 500);
  try {
    const client = await connect(processes.bootstrap());
    const value = new Uint8Array(options.recordBytes).fill(120);
    const fill = async (topic: string, partitions: number, count: number) => {
      onProgress(`${topic}: ${count} records`);
      await client.admin.createTopic(topic, { partitions, replicas: 3 });
      const producer = client.producer();
      const chunk = Array.from({ length: CHUNK_RECORDS }, () => ({ value }));
      for (let sent = 0; sent < count; sent += CHUNK_RECORDS) await producer.sendAll(topic, chunk);
      await producer.close();
    };
    await fill("one", 1, records * 2 + WARM_UP_RECORDS);
    await bulk(client, "one", WARM_UP_RECORDS / 2);
    onProgress("one partition, bulk acks");
    const bulkRate = await bulk(client, "one", records);
    onProgress("one partition, single acks");
    const singleRate = await single(client, "one", records);
    await fill("many", PARTITIONS_MANY, records * 3 + WARM_UP_RECORDS);
    await bulk(client, "many", WARM_UP_RECORDS / 2);
    onProgress(`${PARTITIONS_MANY} partitions, bulk acks`);
    const manyRate = await bulk(client, "many", records * 2);
    onProgress(`${PARTITIONS_MANY} partitions, single acks`);
    const manySingleRate = await single(client, "many", records);
    onProgress("one record at a time");
    await fill("turn", 1, CHUNK_RECORDS);
    const latency = await oneByOne(client, "turn");
    await fill("backlog", 1, backlog);
    onProgress("every second one acknowledged");
    backlogRssBytesMax = 0;
    const halved = await ackEverySecond(client, "backlog", backlog);
    onProgress("until the other half is due");
    await nothingPutOff(client, "backlog");
    onProgress("the other half");
    const scattered = await bulk(client, "backlog", backlog / 2);
    await client.close();
    return {
      bulkAckRecordsPerSecond: Math.round(bulkRate),
      singleAckRecordsPerSecond: Math.round(singleRate),
      manyPartitionsBulkAckRecordsPerSecond: Math.round(manyRate),
      manyPartitionsSingleAckRecordsPerSecond: Math.round(manySingleRate),
      ackToNextMsP50: round(latency.percentile(50)),
      ackToNextMsP99: round(latency.percentile(99)),
      backlogRecords: backlog,
      scatteredAckRecordsPerSecond: Math.round(scattered),
      scatteredRatio: round(scattered / bulkRate),
      backlogRecordsPerSecond: Math.round(halved),
      nodeRssBytesMax,
      backlogRssBytesMax,
    };
  } finally {
    clearInterval(watching);
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Records a second from the first one on, until `count` of them are acknowledged, many at a time. */
async function bulk(client: Client, topic: string, count: number): Promise<number> {
  const queue = client.queue(topic, { group: "bench", prefetchRecords: PREFETCH_RECORDS });
  const acks: Promise<void>[] = [];
  let startedMs = 0;
  let seen = 0;
  for await (const messages of queue.batches()) {
    if (seen === 0) startedMs = performance.now();
    acks.push(queue.ackAll(messages));
    seen += messages.length;
    if (seen >= count) break;
  }
  await Promise.all(acks);
  return (seen / (performance.now() - startedMs)) * 1000;
}

/** The same, each by itself. */
async function single(client: Client, topic: string, count: number): Promise<number> {
  const queue = client.queue(topic, { group: "bench", prefetchRecords: PREFETCH_RECORDS });
  const startedMs = performance.now();
  let seen = 0;
  let last: Promise<void> | undefined;
  for await (const message of queue) {
    last = message.ack();
    seen += 1;
    if (seen >= count) break;
  }
  await last;
  return (seen / (performance.now() - startedMs)) * 1000;
}

/** From a delivery over its durable ack to the next delivery, nothing fetched ahead. */
async function oneByOne(client: Client, topic: string): Promise<Samples> {
  const queue = client.queue(topic, { group: "bench", prefetchRecords: 1 });
  const samples = new Samples();
  let deliveredMs = 0;
  let seen = 0;
  for await (const message of queue) {
    const nowMs = performance.now();
    if (seen > LATENCY_RECORDS / 2) samples.add(nowMs - deliveredMs);
    deliveredMs = nowMs;
    await message.ack();
    seen += 1;
    if (seen > LATENCY_RECORDS * 1.5) break;
  }
  return samples;
}

async function nothingPutOff(client: Client, topic: string): Promise<void> {
  for (;;) {
    const parts = await client.admin.describeGroup(topic, "bench");
    if (parts.every(({ delayed }) => delayed === 0)) return;
    await delay(100);
  }
}

async function ackEverySecond(client: Client, topic: string, count: number): Promise<number> {
  const queue = client.queue(topic, { group: "bench", prefetchRecords: PREFETCH_RECORDS });
  const startedMs = performance.now();
  let seen = 0;
  for await (const messages of queue.batches()) {
    const fresh = messages.filter(({ deliveryCount }) => deliveryCount === 1);
    const even = fresh.filter(({ offset }) => offset % 2 === 0);
    const others = messages.filter(({ deliveryCount, offset }) => deliveryCount > 1 || offset % 2 === 1);
    await Promise.all([queue.ackAll(even), queue.nackAll(others, { delayMs: PUT_OFF_MS })]);
    seen += fresh.length;
    if (seen >= count) break;
  }
  return (seen / (performance.now() - startedMs)) * 1000;
}

/**
 * `bench publish`: how fast one client process publishes to three node processes, beside the bare pipeline; and how long an
 * acknowledgement takes at half of that.
 */
import type { Client } from "../../src/client/client.ts";
import type { NodeProcesses } from "../processes/node-processes.ts";
import { cpuSeconds, rssBytes } from "../processes/usage.ts";
import { runLimit } from "./limit.ts";
import { pace } from "./pace.ts";
import { setTimeout as delay } from "node:timers/promises";
import { round, Samples } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

const CHUNK_RECORDS = 1_000;
const CHUNKS_IN_FLIGHT = 64;
/** At half of the maximum: what a caller hands over at a time. */
const PACED_CHUNK_RECORDS = 100;
const WARM_UP_MS = 2_000;
/** The runtime compiles for so long what half load goes through: until then it takes processor time from it. */
const HALF_LOAD_WARM_UP_MS = 20_000;
const FRAME_BYTES_AT_LEAST = 4_096;

export interface PublishOptions {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly seconds: number;
  readonly onProgress: (stage: string) => void;
}

export interface PublishResult {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  /** At half of `recordsPerSecond`. */
  readonly halfLoadAckMsP50: number;
  readonly halfLoadAckMsP99: number;
  readonly ratioToLimit: number;
  readonly limitRecordsPerSecond: number;
  readonly limitFrameBytes: number;
  readonly nodeRssBytesMax: number;
  readonly clientCpuPercent: number;
  readonly nodesCpuPercent: number;
}

export async function runPublish(options: PublishOptions): Promise<PublishResult> {
  const { partitions, recordBytes, seconds, onProgress } = options;
  onProgress("starting three nodes");
  const measured = await withNodes(async ({ processes, client }) => {
    await client.admin.createTopic("bench", { partitions, replicas: 3 });
    onProgress("publishing");
    const full = await publishFor(client, processes, recordBytes, seconds);
    onProgress("publishing at half of that");
    return { ...full, half: await publishAt(client, full.recordsPerSecond / 2, recordBytes, seconds) };
  });
  onProgress("the bare pipeline");
  const frameBytes = Math.max(FRAME_BYTES_AT_LEAST, Math.round(measured.batchBytes));
  const limit = await runLimit({ frameBytes, recordBytes, seconds, framesInFlight: 64 });
  return {
    partitions,
    recordBytes,
    recordsPerSecond: Math.round(measured.recordsPerSecond),
    bytesPerSecond: Math.round(measured.recordsPerSecond * recordBytes),
    ackMsP50: round(measured.samples.percentile(50)),
    ackMsP99: round(measured.samples.percentile(99)),
    halfLoadAckMsP50: round(measured.half.percentile(50)),
    halfLoadAckMsP99: round(measured.half.percentile(99)),
    ratioToLimit: round(measured.recordsPerSecond / limit.recordsPerSecond),
    limitRecordsPerSecond: limit.recordsPerSecond,
    limitFrameBytes: frameBytes,
    nodeRssBytesMax: measured.nodeRssBytesMax,
    clientCpuPercent: measured.clientCpuPercent,
    nodesCpuPercent: measured.nodesCpuPercent,
  };
}

interface Measured {
  readonly recordsPerSecond: number;
  readonly samples: Samples;
  readonly batchBytes: number;
  readonly nodeRssBytesMax: number;
  readonly clientCpuPercent: number;
  readonly nodesCpuPercent: number;
}

async function publishFor(
  client: Client,
  processes: NodeProcesses,
  recordBytes: number,
  seconds: number,
): Promise<Measured> {
  const producer = client.producer();
  const value = new Uint8Array(recordBytes).fill(120);
  const chunk = Array.from({ length: CHUNK_RECORDS }, () => ({ value }));
  const samples = new Samples();
  const startedMs = performance.now();
  const measureFromMs = startedMs + WARM_UP_MS;
  const endMs = measureFromMs + seconds * 1000;
  let acknowledged = 0;
  const pids = processes.ids.map((id) => processes.pidOf(id)!);
  let rssMax = 0;
  const watching = setInterval(() => {
    rssMax = Math.max(rssMax, ...pids.map((pid) => rssBytes(pid) ?? 0));
  }, 500);
  const worker = async () => {
    while (performance.now() < endMs) {
      const sentMs = performance.now();
      await producer.sendAll("bench", chunk);
      const nowMs = performance.now();
      if (sentMs >= measureFromMs && nowMs <= endMs) samples.add(nowMs - sentMs);
      if (nowMs >= measureFromMs && nowMs <= endMs) acknowledged += CHUNK_RECORDS;
    }
  };
  const usage = usageAfter(pids, WARM_UP_MS);
  await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, worker));
  clearInterval(watching);
  const used = (await usage)();
  const { batches, bytes } = producer.statistics;
  await producer.close();
  return {
    recordsPerSecond: acknowledged / seconds,
    samples,
    batchBytes: batches === 0 ? 0 : bytes / batches,
    nodeRssBytesMax: rssMax,
    ...used,
  };
}

/** From handing a chunk over until all of it is acknowledged. */
async function publishAt(client: Client, rate: number, recordBytes: number, seconds: number): Promise<Samples> {
  const producer = client.producer();
  const value = new Uint8Array(recordBytes).fill(120);
  const chunk = Array.from({ length: PACED_CHUNK_RECORDS }, () => ({ value }));
  const samples = new Samples();
  const measureFromMs = performance.now() + HALF_LOAD_WARM_UP_MS;
  const pacer = pace(rate / PACED_CHUNK_RECORDS, () => {
    const sentMs = performance.now();
    void producer.sendAll("bench", chunk).then(() => {
      if (sentMs >= measureFromMs) samples.add(performance.now() - sentMs);
    });
  });
  await delay(HALF_LOAD_WARM_UP_MS + seconds * 1000);
  clearInterval(pacer);
  await producer.close();
  return samples;
}

/** CPU from `delayMs` on until the returned function is called, in percent of one core. */
async function usageAfter(
  pids: readonly number[],
  delayMs: number,
): Promise<() => { clientCpuPercent: number; nodesCpuPercent: number }> {
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  const startedMs = performance.now();
  const own = cpuSeconds(process.pid) ?? 0;
  const nodes = pids.reduce((total, pid) => total + (cpuSeconds(pid) ?? 0), 0);
  return () => {
    const seconds = (performance.now() - startedMs) / 1000;
    const nodesNow = pids.reduce((total, pid) => total + (cpuSeconds(pid) ?? 0), 0);
    return {
      clientCpuPercent: Math.round((((cpuSeconds(process.pid) ?? 0) - own) / seconds) * 100),
      nodesCpuPercent: Math.round(((nodesNow - nodes) / seconds) * 100),
    };
  };
}

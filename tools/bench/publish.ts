/**
 * `bench publish`: how fast one client process publishes to three node processes, beside the bare pipeline; and how long an
 * acknowledgement takes at half of that, in turns with the bare pipeline at as many bytes a second.
 */
import process from "node:process";
import type { Client } from "../../src/client/client.ts";
import type { NodeProcesses } from "../processes/node-processes.ts";
import { cpuSeconds, rssBytes } from "../processes/usage.ts";
import { withBarePipeline } from "./bare-pipeline.ts";
import { inTurns } from "./in-turns.ts";
import { runLimit } from "./limit.ts";
import { acknowledgements, type Send } from "./pace.ts";
import { type Published, publishFor, type PublishLoad } from "./publish-load.ts";
import { median, round, type Samples } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

const TOPIC = "bench";
const CHUNK_RECORDS = 1_000;
const CHUNKS_IN_FLIGHT = 64;
/** At half of the maximum: what a caller hands over at a time. */
const PACED_CHUNK_RECORDS = 100;
const WARM_UP_MS = 2_000;
/** The runtime compiles for so long what half load goes through: until then it takes processor time from it. */
const HALF_LOAD_WARM_UP_SECONDS = 20;
const BARE_WARM_UP_SECONDS = 3;
const TURNS = 5;
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
  /** At half of `recordsPerSecond`; the medians of the turns. */
  readonly halfLoadAckMsP50: number;
  readonly halfLoadAckMsP99: number;
  readonly halfLoadLimitAckMsP50: number;
  readonly halfLoadLimitAckMsP99: number;
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
    await client.admin.createTopic(TOPIC, { partitions, replicas: 3 });
    onProgress("publishing");
    const full = await atFullLoad(client, processes, recordBytes, seconds);
    onProgress("publishing at half of that, in turns with the bare pipeline");
    return { ...full, half: await atHalfLoad(client, full.recordsPerSecond / 2, recordBytes, seconds) };
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
    ...measured.half,
    ratioToLimit: round(measured.recordsPerSecond / limit.recordsPerSecond),
    limitRecordsPerSecond: limit.recordsPerSecond,
    limitFrameBytes: frameBytes,
    nodeRssBytesMax: measured.nodeRssBytesMax,
    clientCpuPercent: measured.clientCpuPercent,
    nodesCpuPercent: measured.nodesCpuPercent,
  };
}

interface Measured extends Published {
  readonly nodeRssBytesMax: number;
  readonly clientCpuPercent: number;
  readonly nodesCpuPercent: number;
}

async function atFullLoad(
  client: Client,
  processes: NodeProcesses,
  recordBytes: number,
  seconds: number,
): Promise<Measured> {
  const pids = processes.ids.map((id) => processes.pidOf(id)!);
  let nodeRssBytesMax = 0;
  const watching = setInterval(() => {
    nodeRssBytesMax = Math.max(nodeRssBytesMax, ...pids.map((pid) => rssBytes(pid) ?? 0));
  }, 500);
  const usage = usageAfter(pids, WARM_UP_MS);
  const load: PublishLoad = {
    topic: TOPIC,
    recordBytes,
    chunkRecords: CHUNK_RECORDS,
    chunksInFlight: CHUNKS_IN_FLIGHT,
  };
  const published = await publishFor(client, load, seconds * 1000, WARM_UP_MS);
  clearInterval(watching);
  return { ...published, nodeRssBytesMax, ...(await usage)() };
}

type HalfLoad = Pick<PublishResult, `halfLoad${string}` & keyof PublishResult>;

/** From handing a chunk over until all of it is acknowledged. */
async function atHalfLoad(client: Client, rate: number, recordBytes: number, seconds: number): Promise<HalfLoad> {
  const producer = client.producer();
  const value = new Uint8Array(recordBytes).fill(120);
  const chunk = Array.from({ length: PACED_CHUNK_RECORDS }, () => ({ value }));
  const send: Send = (done) => void producer.sendAll(TOPIC, chunk).then(done);
  const chunkRate = rate / PACED_CHUNK_RECORDS;
  await acknowledgements(send, chunkRate, HALF_LOAD_WARM_UP_SECONDS);
  const { batches, bytes } = producer.statistics;
  const frameBytes = Math.max(FRAME_BYTES_AT_LEAST, Math.round(bytes / batches));
  const frameRate = rate * recordBytes / frameBytes;
  const turns = await withBarePipeline(frameBytes, async (bare) => {
    await acknowledgements(bare, frameRate, BARE_WARM_UP_SECONDS);
    return await inTurns(
      TURNS,
      () => acknowledgements(send, chunkRate, seconds / TURNS),
      () => acknowledgements(bare, frameRate, seconds / TURNS),
    );
  });
  await producer.close();
  const percentile = (of: Samples[], percent: number) => round(median(of.map((one) => one.percentile(percent))));
  const ours = turns.map(({ a }) => a);
  const limit = turns.map(({ b }) => b);
  return {
    halfLoadAckMsP50: percentile(ours, 50),
    halfLoadAckMsP99: percentile(ours, 99),
    halfLoadLimitAckMsP50: percentile(limit, 50),
    halfLoadLimitAckMsP99: percentile(limit, 99),
  };
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

/** The work that every system is given: publish as fast as it goes, one record at a time, read it all back. */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { cpuSeconds } from "../../processes/usage.ts";
import { acknowledgements, pace } from "../pace.ts";
import { Samples } from "../statistics.ts";
import type { PeerPublisher, PeerSystem } from "./peer.ts";

/** Every system has its runtime or its caches to warm: as one that has run for a while. */
const WARM_UP_MS = 10_000;
const LATENCY_WARM_UP_RATE = 4_000;
/** A system that cannot keep up with that is warm all the same. */
const LATENCY_WARM_UP_WAITING_MAX = 64;
/** The latest acknowledgement may take this long; then the system is taken for stuck. */
const STUCK_MS = 30_000;

export interface PublishFigures {
  readonly recordsPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  readonly brokersCpuPercent: number;
  readonly clientCpuPercent: number;
}

export async function publishFor(
  system: PeerSystem,
  pids: readonly number[],
  topics: number,
  recordBytes: number,
  seconds: number,
): Promise<PublishFigures> {
  await system.prepare(topics);
  const publisher = await system.publisher({ recordBytes, purpose: "rate" });
  const samples = new Samples();
  const startedMs = performance.now();
  const fromMs = startedMs + WARM_UP_MS;
  const untilMs = fromMs + seconds * 1000;
  let acknowledged = 0;
  const worker = async (topic: number) => {
    while (performance.now() < untilMs) {
      const sentMs = performance.now();
      await sent(publisher, topic);
      const nowMs = performance.now();
      if (nowMs < fromMs || nowMs > untilMs) continue;
      acknowledged += publisher.unitRecords;
      samples.add(nowMs - sentMs);
    }
  };
  const usage = delay(WARM_UP_MS).then(() => usageOf(pids));
  const workers: Promise<void>[] = [];
  for (let topic = 0; topic < topics; topic++) {
    for (let unit = 0; unit < publisher.unitsInFlight; unit++) workers.push(worker(topic));
  }
  await notStuck(Promise.all(workers), seconds * 1000 + WARM_UP_MS);
  const used = (await usage)();
  await publisher.close();
  return {
    recordsPerSecond: acknowledged / seconds,
    ackMsP50: samples.percentile(50),
    ackMsP99: samples.percentile(99),
    ...used,
  };
}

/** From send to acknowledgement, at a rate that troubles nobody. */
export async function latencyFor(
  system: PeerSystem,
  rate: number,
  recordBytes: number,
  seconds: number,
): Promise<Samples> {
  await system.prepare(1);
  const publisher = await system.publisher({ recordBytes, purpose: "latency" });
  let waiting = 0;
  const warming = pace(LATENCY_WARM_UP_RATE, () => {
    if (waiting >= LATENCY_WARM_UP_WAITING_MAX) return;
    waiting += 1;
    publisher.send(0, () => waiting -= 1);
  });
  await delay(WARM_UP_MS);
  clearInterval(warming);
  const settledBy = performance.now() + STUCK_MS;
  while (waiting > 0 && performance.now() < settledBy) await delay(50);
  const samples = await acknowledgements((done) => publisher.send(0, done), rate, seconds);
  await publisher.close();
  return samples;
}

/** Fills one topic, then reads it. Records a second of the reading. */
export async function drainRate(system: PeerSystem, records: number, recordBytes: number): Promise<number> {
  await system.prepare(1);
  const publisher = await system.publisher({ recordBytes, purpose: "backlog" });
  let left = Math.ceil(records / publisher.unitRecords);
  const worker = async () => {
    while (left-- > 0) await sent(publisher, 0);
  };
  await notStuck(Promise.all(Array.from({ length: publisher.unitsInFlight }, worker)), 2 * STUCK_MS);
  await publisher.close();
  const startedMs = performance.now();
  await notStuck(system.drain(records), 2 * STUCK_MS);
  return records / ((performance.now() - startedMs) / 1000);
}

function sent(publisher: PeerPublisher, topic: number): Promise<void> {
  return new Promise((resolve) => publisher.send(topic, resolve));
}

async function notStuck<T>(work: Promise<T>, expectedMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it does not acknowledge any more")), expectedMs + STUCK_MS);
  });
  try {
    return await Promise.race([work, stuck]);
  } finally {
    clearTimeout(timer);
  }
}

/** What is used from now until the returned function is called, in percent of one core. */
function usageOf(pids: readonly number[]): () => { brokersCpuPercent: number; clientCpuPercent: number } {
  const startedMs = performance.now();
  const brokers = () => pids.reduce((total, pid) => total + (cpuSeconds(pid) ?? 0), 0);
  const client = () => cpuSeconds(process.pid) ?? 0;
  const before = { brokers: brokers(), client: client() };
  return () => {
    const seconds = (performance.now() - startedMs) / 1000;
    return {
      brokersCpuPercent: Math.round(((brokers() - before.brokers) / seconds) * 100),
      clientCpuPercent: Math.round(((client() - before.client) / seconds) * 100),
    };
  };
}

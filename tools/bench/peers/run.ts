/** `bench peers`: rounds over all systems, one cluster up at a time; medians, with the lowest and the highest. */
import fs from "node:fs";
import process from "node:process";
import { temporaryFolder } from "../../processes/temporary-folder.ts";
import { median, round } from "../statistics.ts";
import { kafka } from "./kafka.ts";
import { limit } from "./limit.ts";
import { nats } from "./nats.ts";
import type { Peer, PeerSystem, RunningPeer } from "./peer.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { raftline } from "./raftline.ts";
import { drainRate, latencyFor, publishFor } from "./work.ts";

const PEERS: readonly Peer[] = [limit, raftline, rabbitmq, nats, kafka];
const LATENCY_RATE = 200;
const MANY_TOPICS = 16;
const WORK = ["publish", "latency", "drain"];

export interface PeersOptions {
  readonly rounds: number;
  readonly recordBytes: number;
  readonly seconds: number;
  /** Records of the backlog that is drained. */
  readonly records: number;
  /** Only these systems, by name, … */
  readonly only?: string;
  /** … and only these kinds of work. */
  readonly work?: string;
  readonly onProgress: (stage: string) => void;
  /** What is known so far, after every system and round: kept if the run is cut short. */
  readonly onResults?: (results: readonly PeerResult[]) => void;
}

/** One system at one kind of work; medians over the rounds. */
export interface PeerResult {
  readonly system: string;
  readonly version: string;
  readonly fsyncBeforeAck: boolean;
  readonly work: string;
  readonly rounds: number;
  readonly recordsPerSecond?: number;
  readonly recordsPerSecondMin?: number;
  readonly recordsPerSecondMax?: number;
  readonly ackMsP50?: number;
  readonly ackMsP99?: number;
  readonly brokersCpuPercent?: number;
  readonly clientCpuPercent?: number;
}

export interface PeersResult {
  readonly recordBytes: number;
  /** Systems that were not measured, and why. */
  readonly skipped: readonly { readonly system: string; readonly reason: string }[];
  readonly results: readonly PeerResult[];
}

type Figures = Pick<
  PeerResult,
  "recordsPerSecond" | "ackMsP50" | "ackMsP99" | "brokersCpuPercent" | "clientCpuPercent"
>;

interface Series {
  readonly system: PeerSystem;
  readonly version: string;
  readonly work: string;
  readonly figures: Figures[];
}

export async function runPeers(options: PeersOptions): Promise<PeersResult> {
  const { only, work, rounds, recordBytes, onProgress, onResults } = options;
  const skipped = new Map<string, string>();
  const series = new Map<string, Series>();
  const chosen = PEERS.filter(({ name }) => only === undefined || only.split(",").includes(name));
  if (chosen.length === 0) {
    throw new RangeError(`there is no system "${only}": ${PEERS.map(({ name }) => name).join(", ")}`);
  }
  if (work?.split(",").some((kind) => !WORK.includes(kind))) {
    throw new RangeError(`there is no work "${work}": ${WORK.join(", ")}`);
  }
  for (let at = 1; at <= rounds; at++) {
    for (const peer of chosen) {
      const missing = peer.missing();
      if (missing !== undefined) skipped.set(peer.name, missing);
      if (skipped.has(peer.name)) continue;
      onProgress(`round ${at} of ${rounds}: starting ${peer.name}`);
      try {
        await measurePeer(peer, options, series);
      } catch (error) {
        skipped.set(peer.name, error instanceof Error ? error.message : String(error));
        onProgress(`${peer.name} is left out: ${skipped.get(peer.name)}`);
      }
      onResults?.(summarize(series));
    }
  }
  return {
    recordBytes,
    skipped: [...skipped].map(([system, reason]) => ({ system, reason })),
    results: summarize(series),
  };
}

async function measurePeer(peer: Peer, options: PeersOptions, series: Map<string, Series>): Promise<void> {
  const folder = temporaryFolder("raftline-peers-");
  let running: RunningPeer | undefined;
  // Clients throw on their sockets' events, where nobody can catch it: that ends this system's turn, not the benchmark.
  let reject: (error: unknown) => void = () => {};
  const broken = {
    promise: new Promise<never>((_, refuse) => reject = refuse),
    reject: (error: unknown) => reject(error),
  };
  broken.promise.catch(() => {});
  process.on("uncaughtException", broken.reject);
  try {
    running = await peer.start(folder);
    for (const system of running.systems) {
      await Promise.race([measureSystem(system, running, options, series), broken.promise]);
    }
  } finally {
    process.off("uncaughtException", broken.reject);
    await running?.stop();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function measureSystem(
  system: PeerSystem,
  { version, pids }: RunningPeer,
  { recordBytes, seconds, records, work, onProgress }: PeersOptions,
  series: Map<string, Series>,
): Promise<void> {
  const isWanted = (kind: string) =>
    (work === undefined || work.split(",").includes(kind)) && (system.work === undefined || system.work.includes(kind));
  const note = (name: string, figures: Figures) => {
    const key = `${system.system} ${name}`;
    if (!series.has(key)) series.set(key, { system, version, work: name, figures: [] });
    series.get(key)!.figures.push(figures);
  };
  for (const topics of isWanted("publish") ? [1, MANY_TOPICS] : []) {
    onProgress(`${system.system}: publishing to ${topics}`);
    note(`publish ${topics}`, await publishFor(system, pids, topics, recordBytes, seconds));
  }
  if (isWanted("latency")) {
    onProgress(`${system.system}: latency at ${LATENCY_RATE}/s`);
    const samples = await latencyFor(system, LATENCY_RATE, recordBytes, seconds);
    note(`latency ${LATENCY_RATE}/s`, { ackMsP50: samples.percentile(50), ackMsP99: samples.percentile(99) });
  }
  if (isWanted("drain")) {
    onProgress(`${system.system}: draining ${records.toLocaleString("en")} records`);
    note("drain", { recordsPerSecond: await drainRate(system, records, recordBytes) });
  }
}

function summarize(series: ReadonlyMap<string, Series>): PeerResult[] {
  return [...series.values()].map(({ system, version, work, figures }) => {
    const rates = figures.map(({ recordsPerSecond }) => recordsPerSecond).filter((rate) => rate !== undefined);
    return {
      system: system.system,
      version,
      fsyncBeforeAck: system.fsyncBeforeAck,
      work,
      rounds: figures.length,
      ...(rates.length > 0 && {
        recordsPerSecond: Math.round(median(rates)),
        recordsPerSecondMin: Math.round(Math.min(...rates)),
        recordsPerSecondMax: Math.round(Math.max(...rates)),
      }),
      ...medians(figures, ["ackMsP50", "ackMsP99", "brokersCpuPercent", "clientCpuPercent"]),
    };
  });
}

function medians(figures: readonly Figures[], fields: readonly (keyof Figures)[]): Figures {
  const found = fields.map((field) => {
    const values = figures.map((one) => one[field]).filter((value) => value !== undefined);
    return [field, values.length === 0 ? undefined : round(median(values))] as const;
  });
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

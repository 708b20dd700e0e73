/**
 * `bench backlog`: does anyone notice that gigabytes wait? Two clusters of three node processes, one with a backlog and
 * one without; publishing to both in turns, and to the full one while a consumer process drains it from the start.
 */
import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { AlignedMemory } from "../../src/runtime/aligned-memory.ts";
import type { NodeProcesses } from "../processes/node-processes.ts";
import { spawnProgram } from "../processes/self.ts";
import { rssBytes } from "../processes/usage.ts";
import { UsageError } from "../cli/errors.ts";
import { fill } from "./fill.ts";
import { inTurns, type Turn } from "./in-turns.ts";
import { type Published, publishFor } from "./publish-load.ts";
import { median, round } from "./statistics.ts";
import { type BenchCluster, withNodes } from "./with-nodes.ts";

const RECORD_BYTES = 1_000;
const PARTITIONS = 16;
const GROUPS = 1_000;
const CHUNK_RECORDS = 100;
const CHUNKS_IN_FLIGHT = 32;
const ROUNDS = 8;
const TURN_MS = 3_000;
const WARM_UP_MS = 4_000;
/**
 * Draining and raw reads in turns, for a disk that others share swings within seconds; each of what was not read before,
 * for what was read before may come from a cache below this machine.
 */
const DRAIN_ROUNDS = 3;
const DRAIN_MS = 8_000;
const SETTLE_MS = 2_000;
const RAW_READ_BYTES = 4 * 2 ** 20;
const RAW_READ_BYTES_MAX = 2 ** 30;
/** Of the backlog: what publishing in turns adds, and room to breathe. */
const SPACE_FACTOR = 1.2;
const SPACE_SPARE_BYTES = 8 * 2 ** 30;

export interface BacklogOptions {
  readonly gib: number;
  readonly onProgress: (stage: string) => void;
}

export interface BacklogResult {
  readonly backlogBytes: number;
  readonly publishRecordsPerSecond: number;
  readonly publishRatio: number;
  readonly ackMsP99: number;
  readonly ackMsP99Ratio: number;
  readonly publishRatioWhileDraining: number;
  readonly drainBytesPerSecond: number;
  readonly drainBytesPerSecondWhilePublishing: number;
  readonly rawReadBytesPerSecond: number;
  readonly drainRatioToRawRead: number;
  readonly nodeRssBytesMax: number;
  readonly restartReadyMs: number;
}

export async function runBacklog({ gib, onProgress }: BacklogOptions): Promise<BacklogResult> {
  const backlogBytes = gib * 2 ** 30;
  refuseIfTooSmall(backlogBytes * 3);
  onProgress("starting two clusters of three nodes");
  return await withNodes((empty) => withNodes((full) => measure({ empty, full, backlogBytes, onProgress })));
}

interface Clusters {
  readonly empty: BenchCluster;
  readonly full: BenchCluster;
  readonly backlogBytes: number;
  readonly onProgress: (stage: string) => void;
}

async function measure({ empty, full, backlogBytes, onProgress }: Clusters): Promise<BacklogResult> {
  for (const { client } of [empty, full]) {
    await client.admin.createTopic("live", { partitions: PARTITIONS, replicas: 3 });
    await client.admin.createTopic("groups", { partitions: GROUPS, replicas: 3 });
  }
  await full.client.admin.createTopic("backlog", { partitions: PARTITIONS, replicas: 3 });
  const records = Math.ceil(backlogBytes / RECORD_BYTES);
  await fill(full.client, { topic: "backlog", records, recordBytes: RECORD_BYTES, onProgress });
  const pids = full.processes.ids.map((id) => full.processes.pidOf(id)!);
  let nodeRssBytesMax = 0;
  const watching = setInterval(() => {
    nodeRssBytesMax = Math.max(nodeRssBytesMax, ...pids.map((pid) => rssBytes(pid) ?? 0));
  }, 250);
  onProgress("publishing in turns, with the backlog and without");
  for (const cluster of [empty, full]) await publishLive(cluster, WARM_UP_MS);
  const turns = await inTurns(ROUNDS, () => publishLive(empty), () => publishLive(full));
  onProgress("publishing in turns, the backlog being drained");
  await whileDraining(full.processes, 0, () => delay(WARM_UP_MS));
  const draining = await inTurns(
    ROUNDS,
    () => publishLive(empty),
    async () => {
      const { result, bytesPerSecond } = await whileDraining(full.processes, 0, () => publishLive(full));
      return { ...result, bytesPerSecond };
    },
  );
  // It would take its share of the processors.
  await empty.client.close();
  await empty.processes.stop();
  const drains: Drained[] = [];
  const raw = new RawReads(`${full.processes.dataFolder(1)}/log`);
  for (let round = 0; round < DRAIN_ROUNDS; round++) {
    onProgress(`draining, and reading such files by hand: ${round + 1} of ${DRAIN_ROUNDS}`);
    const fromOffset = Math.floor(records / PARTITIONS * round / DRAIN_ROUNDS);
    drains.push(await drainAndRead(full.processes, fromOffset, raw));
  }
  clearInterval(watching);
  onProgress("killing and starting a node");
  const restartReadyMs = await restart(full.processes);
  const rateOf = (turn: Published) => turn.recordsPerSecond;
  const p99Of = (turn: Published) => turn.samples.percentile(99);
  const ratio = (of: (turn: Published) => number, all: readonly Turn<Published, Published>[]) =>
    round(median(all.map(({ a, b }) => of(b) / of(a))));
  return {
    backlogBytes,
    publishRecordsPerSecond: Math.round(median(turns.map(({ b }) => rateOf(b)))),
    publishRatio: ratio(rateOf, turns),
    ackMsP99: round(median(turns.map(({ b }) => p99Of(b)))),
    ackMsP99Ratio: ratio(p99Of, turns),
    publishRatioWhileDraining: ratio(rateOf, draining),
    drainBytesPerSecond: Math.round(median(drains.map((one) => one.drained))),
    drainBytesPerSecondWhilePublishing: Math.round(median(draining.map(({ b }) => b.bytesPerSecond))),
    rawReadBytesPerSecond: Math.round(median(drains.map(({ raw }) => raw))),
    drainRatioToRawRead: round(median(drains.map(({ drained, raw }) => drained / raw))),
    nodeRssBytesMax,
    restartReadyMs,
  };
}

/** Data is three times on one disk. @throws {UsageError} */
function refuseIfTooSmall(bytes: number): void {
  const { bavail, bsize } = fs.statfsSync(os.tmpdir());
  const wanted = bytes * SPACE_FACTOR + SPACE_SPARE_BYTES;
  if (bavail * bsize >= wanted) return;
  const gib = (value: number) => (value / 2 ** 30).toFixed(1);
  throw new UsageError(
    `${os.tmpdir()} has ${gib(bavail * bsize)} GiB free, and this takes ${gib(wanted)}: set TMPDIR, or --gib lower`,
  );
}

const LOAD = {
  topic: "live",
  recordBytes: RECORD_BYTES,
  chunkRecords: CHUNK_RECORDS,
  chunksInFlight: CHUNKS_IN_FLIGHT,
};

function publishLive({ client }: BenchCluster, ms = TURN_MS): Promise<Published> {
  return publishFor(client, LOAD, ms);
}

/** A consumer process reads from this offset of each partition on meanwhile; how fast, once it has begun. */
async function whileDraining<T>(
  processes: NodeProcesses,
  fromOffset: number,
  work: () => Promise<T>,
): Promise<{ result: T; bytesPerSecond: number }> {
  const child = spawnProgram("bench/drain-process", ["backlog", String(fromOffset), ...processes.bootstrap()], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const read = await readsOf(child);
    const before = read.bytes;
    const startedMs = performance.now();
    const result = await work();
    const bytesPerSecond = (read.bytes - before) / ((performance.now() - startedMs) / 1000);
    return { result, bytesPerSecond };
  } finally {
    child.stdin?.end();
    await new Promise((resolve) => child.once("exit", resolve));
  }
}

/** Bytes per second. */
interface Drained {
  readonly drained: number;
  /** The mean of before and after it. */
  readonly raw: number;
}

async function drainAndRead(processes: NodeProcesses, fromOffset: number, raw: RawReads): Promise<Drained> {
  const before = raw.read();
  const { bytesPerSecond } = await whileDraining(processes, fromOffset, () => delay(DRAIN_MS));
  return { drained: bytesPerSecond, raw: (before + raw.read()) / 2 };
}

/** What it says it has read; resolves when that is something. */
function readsOf(child: ChildProcess): Promise<{ bytes: number }> {
  const read = { bytes: 0 };
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the draining process ended")));
    child.stdout?.on("data", (data: Uint8Array) => {
      const lines = new TextDecoder().decode(data).trim().split("\n");
      read.bytes = Math.max(read.bytes, Number(lines.at(-1)));
      if (read.bytes > 0) resolve(read);
    });
  });
}

/** Around the page cache: what the disk itself gives. Each read goes on where the one before ended. */
class RawReads {
  readonly #memory = new AlignedMemory(RAW_READ_BYTES);
  readonly #files: string[];

  constructor(folder: string) {
    this.#files = fs.readdirSync(folder).filter((name) => name.startsWith("wal-")).sort()
      .map((name) => `${folder}/${name}`);
  }

  /** Whole files, about `RAW_READ_BYTES_MAX` of them; bytes per second. */
  read(): number {
    const startedMs = performance.now();
    let total = 0;
    while (total < RAW_READ_BYTES_MAX) {
      const file = this.#files.shift();
      if (file === undefined) break;
      total += this.#readFile(file);
      this.#files.push(file);
    }
    return total / ((performance.now() - startedMs) / 1000);
  }

  #readFile(path: string): number {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_DIRECT ?? 0));
    let at = 0;
    for (;;) {
      const count = fs.readSync(fd, this.#memory.bytes, 0, RAW_READ_BYTES, at);
      at += count;
      if (count < RAW_READ_BYTES) break;
    }
    fs.closeSync(fd);
    return at;
  }
}

async function restart(processes: NodeProcesses): Promise<number> {
  await processes.kill(1);
  await delay(SETTLE_MS);
  const startedMs = performance.now();
  await processes.restart(1);
  return Math.round(performance.now() - startedMs);
}

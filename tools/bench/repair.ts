/**
 * `bench repair`: bytes flipped at random places of one node's log while it is down. How many of them `raftline log verify`
 * finds, how many wrong records a reader is given after the node's start (none), how long until all is repaired.
 */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../src/client/client.ts";
import { type Examination, examineLog } from "../../src/log/examine.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import type { NodeProcesses } from "../processes/node-processes.ts";
import { fill } from "./fill.ts";
import { withNodes } from "./with-nodes.ts";

const RECORD_BYTES = 1_000;
const PARTITIONS = 16;
const VICTIM = 1;
const POLL_MS = 100;
const REPAIR_MS_MAX = 120_000;
/** What was dropped is given back, at the speed of compaction, and what was given anew is sealed. */
const CLEAN_MS_MAX = 60_000;
const CLEAN_POLL_MS = 500;

export interface RepairOptions {
  readonly flips: number;
  readonly records: number;
  readonly onProgress: (stage: string) => void;
}

export interface RepairResult {
  readonly flips: number;
  readonly found: number;
  readonly served: number;
  readonly lost: number;
  readonly replicasRepaired: number;
  readonly repairMs: number;
  /** Until no damaged place was on its disk any more, from its start. */
  readonly cleanMs: number;
  /** Places that are still damaged at the end, `CLEAN_MS_MAX` later if there were any. */
  readonly left: number;
}

export function runRepair({ flips, records, onProgress }: RepairOptions): Promise<RepairResult> {
  return withNodes(async ({ processes, client }) => {
    await client.admin.createTopic("bench", { partitions: PARTITIONS, replicas: 3 });
    await fill(client, { topic: "bench", records, recordBytes: RECORD_BYTES, onProgress });
    await processes.kill(VICTIM);
    const folder = `${processes.dataFolder(VICTIM)}/log`;
    onProgress(`flipping ${flips} bytes`);
    const places = flipBytes(folder, flips);
    const { findings } = await examine(folder);
    const found = places.filter(({ file, position }) =>
      findings.some((each) =>
        each.file === file && position >= each.position && position < each.position + each.bytes
      )
    ).length;
    onProgress("starting it, and reading everything");
    const startedMs = performance.now();
    await processes.restart(VICTIM);
    const { served, read } = await readAll(client);
    const replicasRepaired = await repaired(processes);
    const repairMs = Math.round(performance.now() - startedMs);
    const again = await readAll(client);
    onProgress("waiting until no damaged place is left");
    await clean(folder);
    const cleanMs = Math.round(performance.now() - startedMs);
    await processes.kill(VICTIM);
    const left = await damagedPlaces(folder);
    return {
      flips,
      found,
      served: served + again.served,
      lost: 2 * records - read - again.read,
      replicasRepaired,
      repairMs,
      cleanMs,
      left,
    };
  });
}

interface Place {
  readonly file: string;
  readonly position: number;
}

/** At random places of what was written, each in another one. */
function flipBytes(folder: string, flips: number): Place[] {
  const files = fs.readdirSync(folder).filter((name) => name.startsWith("wal-")).map((file) => {
    const bytes = fs.readFileSync(`${folder}/${file}`);
    return { file, usedBytes: bytes.findLastIndex((byte) => byte !== 0) + 1 };
  });
  const total = files.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  return Array.from({ length: flips }, (_, at) => {
    // One in each of as many equal parts.
    let left = Math.floor((at + Math.random()) * total / flips);
    const { file } = files.find(({ usedBytes }) => (left -= usedBytes) < 0)!;
    const position = left + files.find((each) => each.file === file)!.usedBytes;
    const fd = fs.openSync(`${folder}/${file}`, "r+");
    const byte = new Uint8Array(1);
    fs.readSync(fd, byte, 0, 1, position);
    byte[0]! ^= 1 << Math.floor(Math.random() * 8);
    fs.writeSync(fd, byte, 0, 1, position);
    fs.closeSync(fd);
    return { file, position };
  });
}

/** Every record has one value: whatever else comes is wrong. */
async function readAll(client: Client): Promise<{ served: number; read: number }> {
  let served = 0;
  let read = 0;
  for await (const { value } of client.consumer({ topics: ["bench"], from: "earliest", until: "end" })) {
    read += 1;
    if (value.length !== RECORD_BYTES || value.some((byte) => byte !== 120)) served += 1;
  }
  return { served, read };
}

function examine(folder: string): Promise<Examination> {
  return examineLog(createNodeRuntime({ logLevel: "error" }).disk, folder);
}

async function damagedPlaces(folder: string): Promise<number> {
  return (await examine(folder)).findings.filter(({ code }) => code !== "TORN").length;
}

/** While the node works: a file may go while it is looked at, and what is being written may look damaged for a moment. */
async function clean(folder: string): Promise<void> {
  const deadlineMs = performance.now() + CLEAN_MS_MAX;
  while (performance.now() < deadlineMs) {
    const left = await damagedPlaces(folder).catch(() => undefined);
    if (left === 0) return;
    await delay(CLEAN_POLL_MS);
  }
}

/** How many replicas began anew, when all of them take part again. */
async function repaired(processes: NodeProcesses): Promise<number> {
  const deadlineMs = performance.now() + REPAIR_MS_MAX;
  for (;;) {
    const metrics = await metricsOf(processes);
    const damaged = metrics.get("raftline_replicas_damaged_total") ?? 0;
    if (damaged > 0 && damaged === metrics.get("raftline_replicas_repaired_total")) return damaged;
    if (performance.now() > deadlineMs) throw new Error(`not repaired after ${REPAIR_MS_MAX} ms`);
    await delay(POLL_MS);
  }
}

async function metricsOf(processes: NodeProcesses): Promise<Map<string, number>> {
  const text = await (await fetch(`${processes.adminUrl(VICTIM)}/metrics`)).text();
  return new Map(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
      const [name = "", value] = line.split(" ");
      return [name, Number(value)];
    }),
  );
}

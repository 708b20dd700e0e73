/**
 * `node dist/tools/bench/log-append.js [seconds] [folder]`: what the log engine makes of the disk, against a bare loop of
 * write and fdatasync with the same bytes, in turns in one run.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import { openLog } from "../../src/log/log.ts";
import type { GroupWrite, Log } from "../../src/log/types.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

const seconds = Number(process.argv[2] ?? 2);
const parent = process.argv[3] ?? tmpdir();
const ROUNDS = 3;
const runtime = createNodeRuntime();

interface Rate {
  readonly mbPerSecond: number;
  readonly commitsPerSecond: number;
}

interface Load {
  readonly partitions: number;
  /** Entries of each partition in one commit, each with its own write. */
  readonly writes: number;
  readonly entryBytes: number;
}

/** Commits one after the other until the time is over. The entries are made before: only the engine is measured. */
async function engine(folder: string, { partitions, writes, entryBytes }: Load): Promise<Rate> {
  const log = await openLog(runtime, folder, { limits: { reserveBytes: 0 } });
  const payload = new Uint8Array(entryBytes - 64).fill(7);
  const template = Entry.create({ kind: EntryKind.batch, format: RecordFormat.cbor, payload, recordCount: 100 });
  const entries = Array.from({ length: partitions * writes }, () => Entry.parse(template.bytes.slice()));
  let index = 0;
  const rate = await measure(entries.length * entryBytes, () => {
    const batch: GroupWrite[] = [];
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at]!;
      const group = 1 + at % partitions;
      entry.stamp(1, index + 1 + Math.floor(at / partitions), index * 100);
      batch.push(writeOf(group, entry));
    }
    index += writes;
    return write(log, batch);
  });
  await log.close();
  return rate;
}

function writeOf(group: number, entry: Entry): GroupWrite {
  const hardState = { term: 1, vote: 1, commit: entry.index - 1 };
  return { group, hardState, truncateFrom: 0, entries: [entry], checkpoint: undefined, resetLog: false };
}

function write(log: Log, writes: readonly GroupWrite[]): Promise<void> {
  return new Promise((resolve) => log.write(writes, resolve));
}

/** The same bytes, by hand: one buffer, one file that grows. */
async function bare(folder: string, bytes: number): Promise<Rate> {
  fs.mkdirSync(folder, { recursive: true });
  const fd = fs.openSync(`${folder}/bare.bin`, "w+");
  const buffer = new Uint8Array(bytes).fill(7);
  let position = 0;
  const rate = await measure(bytes, async () => {
    await new Promise<void>((resolve, reject) => {
      fs.write(fd, buffer, 0, buffer.length, position, (error) => error ? reject(error) : resolve());
    });
    position += bytes;
    await new Promise<void>((resolve, reject) => fs.fdatasync(fd, (error) => error ? reject(error) : resolve()));
  });
  fs.closeSync(fd);
  return rate;
}

async function measure(bytes: number, commit: () => Promise<void>): Promise<Rate> {
  const start = performance.now();
  let commits = 0;
  while (performance.now() - start < seconds * 1000) {
    await commit();
    commits++;
  }
  const elapsed = (performance.now() - start) / 1000;
  return { mbPerSecond: commits * bytes / 1e6 / elapsed, commitsPerSecond: commits / elapsed };
}

async function inFolder(run: (folder: string) => Promise<Rate>): Promise<Rate> {
  const folder = fs.mkdtempSync(`${parent}/log-append-`);
  try {
    return await run(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** Medians of `ROUNDS` turns of each. */
async function compare(name: string, runs: Readonly<Record<string, (folder: string) => Promise<Rate>>>): Promise<void> {
  const results: Record<string, Rate[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [label, run] of Object.entries(runs)) (results[label] ??= []).push(await inFolder(run));
  }
  for (const [label, rates] of Object.entries(results)) {
    rates.sort((a, b) => a.mbPerSecond - b.mbPerSecond);
    const { mbPerSecond, commitsPerSecond } = rates[ROUNDS >> 1]!;
    console.log(
      `${name.padEnd(28)} ${label.padEnd(16)} ${mbPerSecond.toFixed(1).padStart(8)} MB/s ` +
        `${commitsPerSecond.toFixed(0).padStart(7)} commits/s`,
    );
  }
}

for (const kib of [4, 64, 1024]) {
  const entryBytes = kib * 1024;
  await compare(`1 partition, ${kib} KiB`, {
    engine: (folder) => engine(folder, { partitions: 1, writes: 1, entryBytes }),
    bare: (folder) => bare(folder, entryBytes),
  });
}
for (const kib of [4, 64]) {
  const entryBytes = kib * 1024;
  await compare(`16 partitions, ${kib} KiB each`, {
    engine: (folder) => engine(folder, { partitions: 16, writes: 1, entryBytes }),
    bare: (folder) => bare(folder, 16 * entryBytes),
  });
}
await compare("1,000 writes of 164 bytes", {
  "1 partition": (folder) => engine(folder, { partitions: 1, writes: 1000, entryBytes: 164 }),
  "1000 partitions": (folder) => engine(folder, { partitions: 1000, writes: 1, entryBytes: 164 }),
});
await compare("1,000 writes of 1 KiB", {
  "1 partition": (folder) => engine(folder, { partitions: 1, writes: 1000, entryBytes: 1024 }),
  "1000 partitions": (folder) => engine(folder, { partitions: 1000, writes: 1, entryBytes: 1024 }),
});

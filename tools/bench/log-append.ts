/**
 * `node dist/tools/bench/log-append.js [seconds] [folder]`: what the log engine makes of the disk, against a bare loop of
 * write and fdatasync with the same bytes; and a thousand partitions against one. In many short turns of each, one after
 * the other, so that whatever else the machine does falls on both; the ratio is the median of the turns'.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import { openLog } from "../../src/log/log.ts";
import type { GroupWrite, Log } from "../../src/log/types.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

/** Of one turn. */
const seconds = Number(process.argv[2] ?? 0.5);
const parent = process.argv[3] ?? tmpdir();
const ROUNDS = 9;
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

type Run = (folder: string) => Promise<Rate>;

async function compare(name: string, [first, run]: [string, Run], [second, other]: [string, Run]): Promise<void> {
  const turns: { mine: Rate; others: Rate }[] = [];
  for (let round = 0; round < ROUNDS; round++) turns.push({ mine: await inFolder(run), others: await inFolder(other) });
  const median = (of: (turn: typeof turns[number]) => number) => turns.map(of).sort((a, b) => a - b)[ROUNDS >> 1]!;
  const say = (label: string, of: (turn: typeof turns[number]) => Rate) =>
    `${label} ${median((turn) => of(turn).mbPerSecond).toFixed(0)} MB/s ` +
    `${median((turn) => of(turn).commitsPerSecond).toFixed(0)} commits/s`;
  const ratio = median(({ mine, others }) => mine.mbPerSecond / others.mbPerSecond);
  const parts = [say(first, ({ mine }) => mine), say(second, ({ others }) => others), `ratio ${ratio.toFixed(2)}`];
  console.log(`${name.padEnd(28)} ${parts.join("   ")}`);
}

for (const kib of [4, 64, 1024]) {
  const entryBytes = kib * 1024;
  const load = { partitions: 1, writes: 1, entryBytes };
  await compare(`1 partition, ${kib} KiB`, ["engine", (f) => engine(f, load)], ["bare", (f) => bare(f, entryBytes)]);
}
for (const kib of [4, 64]) {
  const entryBytes = kib * 1024;
  const load = { partitions: 16, writes: 1, entryBytes };
  await compare(`16 partitions, ${kib} KiB each`, ["engine", (f) => engine(f, load)], [
    "bare",
    (f) => bare(f, 16 * entryBytes),
  ]);
}
for (const entryBytes of [164, 1024]) {
  const many = { partitions: 1000, writes: 1, entryBytes };
  const one = { partitions: 1, writes: 1000, entryBytes };
  await compare(`1,000 writes of ${entryBytes} bytes`, ["1,000 partitions", (f) => engine(f, many)], [
    "1 partition",
    (f) => engine(f, one),
  ]);
}

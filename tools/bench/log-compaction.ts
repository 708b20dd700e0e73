/**
 * `node dist/tools/bench/log-compaction.js [gib] [folder]`: what compaction costs and keeps free, by the share below which
 * a file is written anew. Of the partitions, the even ones keep everything, the odd ones a sixteenth of what comes: the
 * log is sparse by half, for ever. Appends go on at the disk's own pace while it is given back.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import { openLog } from "../../src/log/log.ts";
import type { GroupWrite, Log } from "../../src/log/types.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

const totalBytes = Number(process.argv[2] ?? 2) * 2 ** 30;
const parent = process.argv[3] ?? tmpdir();
const runtime = createNodeRuntime();
const SHARES = [0, 0.25, 0.5, 0.75];
const KEPT_SHARE = 1 / 16;
const SETTLE_MS_MAX = 20_000;

interface Load {
  readonly partitions: number;
  readonly entryBytes: number;
}

async function run(folder: string, { partitions, entryBytes }: Load, compactBelowShare: number): Promise<string> {
  const limits = compactBelowShare === 0 ? { compactFreesBytesMin: Infinity, compactFilesMin: Infinity } : {};
  const log = await openLog(runtime, folder, {
    limits: { reserveBytes: 0, compactBelowShare, compactBytesPerSecond: 256 * 2 ** 20, ...limits },
  });
  const payload = new Uint8Array(entryBytes - 64).fill(7);
  const { bytes } = Entry.create({ kind: EntryKind.batch, format: RecordFormat.cbor, payload, recordCount: 1 });
  const rounds = Math.floor(totalBytes / (partitions * entryBytes));
  const kept = Math.max(1, Math.floor(rounds * KEPT_SHARE));
  const entries = Array.from({ length: partitions }, () => Entry.parse(bytes.slice()));
  const startMs = performance.now();
  for (let index = 1; index <= rounds; index++) {
    await append(log, entries, index);
    if (index % Math.max(1, Math.floor(kept / 4)) !== 0 || index <= kept) continue;
    for (let group = 1; group <= partitions; group += 2) log.trim(group, index - kept, index - kept - 1);
  }
  const seconds = (performance.now() - startMs) / 1000;
  await settle(log, folder);
  let neededBytes = 0;
  for (const { sizeBytes } of log.groups()) neededBytes += sizeBytes;
  const usedBytes = usedOf(folder);
  const { compactedBytes } = log;
  await log.close();
  const written = rounds * partitions * entryBytes;
  return `${(written / 1e6 / seconds).toFixed(0)} MB/s, disk ${
    (usedBytes / neededBytes).toFixed(2)
  } x what is needed, ` +
    `${(compactedBytes / written).toFixed(2)} bytes written anew a byte appended`;
}

function append(log: Log, entries: readonly Entry[], index: number): Promise<void> {
  const writes = entries.map((entry, at): GroupWrite => {
    entry.stamp(1, index, index - 1);
    return {
      group: at + 1,
      hardState: undefined,
      truncateFrom: 0,
      entries: [entry],
      checkpoint: undefined,
      resetLog: false,
    };
  });
  return new Promise((resolve) => log.write(writes, resolve));
}

/** Until nothing is given back any more. */
async function settle(log: Log, folder: string): Promise<void> {
  let before = -1;
  for (let waitedMs = 0; waitedMs < SETTLE_MS_MAX; waitedMs += 1_000) {
    const now = usedOf(folder) + log.compactedBytes;
    if (now === before) return;
    before = now;
    await delay(1_000);
  }
}

/** Blocks, not lengths: files are sparse. */
function usedOf(folder: string): number {
  return fs.readdirSync(folder).reduce((sum, name) => sum + fs.statSync(`${folder}/${name}`).blocks * 512, 0);
}

for (const load of [{ partitions: 16, entryBytes: 65_536 }, { partitions: 1_000, entryBytes: 1_024 }]) {
  for (const share of SHARES) {
    const folder = fs.mkdtempSync(`${parent}/log-compaction-`);
    try {
      const found = await run(folder, load, share);
      console.log(`${load.partitions} partitions, ${share === 0 ? "never" : `below ${share}`}: ${found}`);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  }
}

/** Reads the entries of runs from one file: large sequential reads, neighbouring runs at once. */
import type { DiskFile } from "../runtime/disk.ts";
import { Entry, readU32 } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { BLOCK_HEADER_BYTES, blockBytes, decodeBlockHeader, decodeTable } from "./block.ts";
import { allocate, FormatError } from "./bytes.ts";
import type { LogLimits } from "./limits.ts";
import { LIST_ITEM_BYTES, type PlacedRun } from "./record.ts";
import type { Run } from "./run-table.ts";
import { type GroupId, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** Takes entries in order; false: enough. */
export type TakeEntry = (entry: Entry) => boolean;

/**
 * Gives the entries of `runs` from `fromIndex` on, each verified, until `take` has enough.
 * @throws {LogError} `CORRUPT`, at the first entry that is damaged
 */
export async function readRuns(
  handle: DiskFile,
  file: WalFile,
  group: GroupId,
  runs: readonly Run[],
  fromIndex: number,
  limits: LogLimits,
  take: TakeEntry,
): Promise<boolean> {
  for (let next = 0; next < runs.length;) {
    const count = neighbours(runs, next, limits);
    const { position, end } = span(runs, next, count);
    const bytes = allocate(end - position);
    const source = { file, group, position, bytes: bytes.subarray(0, await handle.read(bytes, position)) };
    for (const run of runs.slice(next, next + count)) {
      const goesOn = run.walk
        ? walk(source, run, fromIndex, take)
        : await exact(source, run, fromIndex, take, handle, limits);
      if (!goesOn) return false;
    }
    next += count;
  }
  return true;
}

interface Source {
  readonly file: WalFile;
  readonly group: GroupId;
  /** Of the first of `bytes` in the file. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** How many runs from `first` on are read at once. */
function neighbours(runs: readonly Run[], first: number, limits: LogLimits): number {
  let count = 1;
  while (first + count < runs.length) {
    const previous = runs[first + count - 1]!;
    const { position } = span(runs, first, 1);
    const following = span(runs, first + count, 1);
    if (following.position - previous.end > limits.readGapBytes) break;
    if (following.end - position > limits.readBytesMax) break;
    count++;
  }
  return count;
}

/** Where the bytes are from which `count` runs are read. */
function span(runs: readonly Run[], first: number, count: number): { position: number; end: number } {
  const from = runs[first]!;
  return { position: from.walk ? from.blockPosition : from.position, end: runs[first + count - 1]!.end };
}

async function exact(
  source: Source,
  run: Run,
  fromIndex: number,
  take: TakeEntry,
  handle: DiskFile,
  limits: LogLimits,
): Promise<boolean> {
  let at = run.position - source.position;
  for (let index = run.firstIndex; index <= run.lastIndex; index++) {
    const entry = parse(source.bytes, at, index);
    if (!entry) {
      // Its length is not known any more. The block's table knows it, if what is wanted comes after.
      if (index < fromIndex) return byTable(source, run, fromIndex, take, handle, limits);
      throw corrupt(source, index, at);
    }
    if (index >= fromIndex && !give(source, entry, at, take)) return false;
    at += entry.byteLength;
  }
  return true;
}

async function byTable(
  source: Source,
  run: Run,
  fromIndex: number,
  take: TakeEntry,
  handle: DiskFile,
  limits: LogLimits,
): Promise<boolean> {
  const walked: Run = { ...run, walk: true };
  return await readRuns(handle, source.file, source.group, [walked], fromIndex, limits, take);
}

/** Finds the group's entries by the tables of the blocks that the run spans. */
function walk(source: Source, run: Run, fromIndex: number, take: TakeEntry): boolean {
  let next = run.firstIndex;
  for (let position = run.blockPosition; position < run.end && next <= run.lastIndex;) {
    const block = tableAt(source, position);
    if (!block) throw corrupt(source, Math.max(next, fromIndex), position - source.position);
    for (const placed of block.runs) {
      // The same block may hold entries of the group that were replaced since, before or behind the run's own.
      if (placed.position < run.position || placed.firstIndex !== next || next > run.lastIndex) continue;
      const count = Math.min(placed.count, run.lastIndex - next + 1);
      if (!giveListed(source, placed, block.table, count, fromIndex, take)) return false;
      next += count;
    }
    position += block.bytes;
  }
  if (next <= run.lastIndex) throw corrupt(source, Math.max(next, fromIndex), 0);
  return true;
}

function tableAt(
  source: Source,
  position: number,
): { table: Uint8Array; runs: PlacedRun[]; bytes: number } | undefined {
  const at = position - source.position;
  const header = decodeBlockHeader(source.bytes, at, source.file.identity);
  if (!header) return undefined;
  const tableAt = at + BLOCK_HEADER_BYTES;
  const table = source.bytes.subarray(tableAt, tableAt + header.tableBytes);
  try {
    const records = decodeTable(header, table, position);
    const runs = records.filter(({ group }) => group === source.group).flatMap((record) => record.runs);
    return { table, runs, bytes: blockBytes(header) };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function giveListed(
  source: Source,
  placed: PlacedRun,
  table: Uint8Array,
  count: number,
  fromIndex: number,
  take: TakeEntry,
): boolean {
  let at = placed.position - source.position;
  for (let item = 0; item < count; item++) {
    const listed = placed.listAt + item * LIST_ITEM_BYTES;
    const index = placed.firstIndex + item;
    if (index >= fromIndex) {
      const entry = parse(source.bytes, at, index);
      if (!entry || entry.headerCrc !== readU32(table, listed + 4)) throw corrupt(source, index, at);
      if (!give(source, entry, at, take)) return false;
    }
    at += readU32(table, listed);
  }
  return true;
}

function parse(bytes: Uint8Array, at: number, index: number): Entry | undefined {
  try {
    const entry = Entry.parse(bytes, at);
    return entry.index === index ? entry : undefined;
  } catch (error) {
    if (error instanceof RecordsError) return undefined;
    throw error;
  }
}

function give(source: Source, entry: Entry, at: number, take: TakeEntry): boolean {
  try {
    entry.verifyPayload();
  } catch (error) {
    if (error instanceof RecordsError) throw corrupt(source, entry.index, at, error);
    throw error;
  }
  return take(entry);
}

function corrupt(source: Source, index: number, at: number, cause?: unknown): LogError {
  const { file, group } = source;
  const position = source.position + at;
  return new LogError("CORRUPT", `entry ${index} of group ${group} is damaged, at byte ${position} of ${file.name}`, {
    file: file.name,
    position,
    cause,
  });
}

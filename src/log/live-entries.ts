/** Reads what is still needed of a sealed file, from front to back, block by block. */
import { Entry, readU32 } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { BLOCK_HEADER_BYTES, blockBytes, type BlockHeader, decodeBlockHeader, decodeTable } from "./block.ts";
import { FormatError } from "./bytes.ts";
import { FILE_HEADER_BYTES } from "./file-header.ts";
import { LIST_ITEM_BYTES, type PlacedRecord, type PlacedRun } from "./record.ts";
import { findBlock } from "./scan.ts";
import type { ScanWindow } from "./scan-window.ts";
import { type GroupId, type IndexRange, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** The indexes of each group that can be read and lie in the file. */
export type LiveRanges = ReadonlyMap<GroupId, IndexRange>;

export interface LiveVisitor {
  /**
   * Entries of a group, back to back; copies. What was given of the group from the first one's index on is void: the
   * file itself has cut it off.
   */
  entries(group: GroupId, entries: readonly Entry[]): void;
  /** A block is done, so many bytes of the file. */
  block(bytes: number): Promise<void>;
}

/** Entries of a group that can be read, but are not what was written. */
export class DamagedGroupError extends Error {
  readonly group: GroupId;
  readonly error: LogError;

  constructor(group: GroupId, error: LogError) {
    super(error.message);
    this.name = "DamagedGroupError";
    this.group = group;
    this.error = error;
  }
}

/**
 * Damaged blocks are passed over: whoever asked for what was in them finds it missing.
 * @throws {DamagedGroupError}
 */
export async function readLiveEntries(
  window: ScanWindow,
  file: WalFile,
  ranges: LiveRanges,
  searchBytes: number,
  visitor: LiveVisitor,
): Promise<void> {
  for (let position = FILE_HEADER_BYTES; position < file.end;) {
    const header = decodeBlockHeader(await window.bytes(position, BLOCK_HEADER_BYTES), 0, file.identity);
    if (!header) {
      const next = await findBlock(window, file, position, 0, searchBytes);
      if (!next || next.at >= file.end) return;
      position = next.at;
      continue;
    }
    const bytes = blockBytes(header);
    const block = await window.bytes(position, bytes);
    const table = block.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.tableBytes);
    for (const { group, runs } of recordsOf(header, table, position)) {
      const range = ranges.get(group);
      if (!range) continue;
      for (const run of runs) {
        const entries = liveOf(run, range, table, block, position);
        if (!entries) throw new DamagedGroupError(group, corrupt(file, position, `entries of group ${group}`));
        if (entries.length > 0) visitor.entries(group, entries);
      }
    }
    position += bytes;
    await visitor.block(bytes);
  }
}

function recordsOf(header: BlockHeader, table: Uint8Array, position: number): readonly PlacedRecord[] {
  try {
    return decodeTable(header, table, position);
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}

/** Undefined if one of them is damaged. */
function liveOf(
  run: PlacedRun,
  range: IndexRange,
  table: Uint8Array,
  block: Uint8Array,
  position: number,
): Entry[] | undefined {
  if (run.lastIndex < range.first || run.firstIndex > range.last) return [];
  let from = run.position - position;
  const lengths: number[] = [];
  for (let item = 0; item < run.count; item++) {
    const byteLength = readU32(table, run.listAt + item * LIST_ITEM_BYTES);
    const index = run.firstIndex + item;
    if (index < range.first) from += byteLength;
    else if (index <= range.last) lengths.push(byteLength);
  }
  const copy = block.slice(from, from + lengths.reduce((sum, byteLength) => sum + byteLength, 0));
  const entries: Entry[] = [];
  let next = 0;
  for (const byteLength of lengths) {
    const entry = intact(
      copy.subarray(next, next + byteLength),
      Math.max(run.firstIndex, range.first) + entries.length,
    );
    if (!entry) return undefined;
    entries.push(entry);
    next += byteLength;
  }
  return entries;
}

function intact(bytes: Uint8Array, index: number): Entry | undefined {
  try {
    const entry = Entry.parse(bytes);
    entry.verifyPayload();
    return entry.byteLength === bytes.length && entry.index === index ? entry : undefined;
  } catch (error) {
    if (error instanceof RecordsError) return undefined;
    throw error;
  }
}

function corrupt(file: WalFile, position: number, what: string): LogError {
  return new LogError("CORRUPT", `${what} are damaged, in the block at byte ${position} of ${file.name}`, {
    file: file.name,
    position,
  });
}

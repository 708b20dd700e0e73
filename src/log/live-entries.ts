/** Reads what is still needed of a sealed file, from front to back, block by block. */
import { Entry, readU32 } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { BLOCK_HEADER_BYTES, blockBytes, decodeBlockHeader, decodeTable } from "./block.ts";
import { FormatError } from "./bytes.ts";
import { FILE_HEADER_BYTES } from "./file-header.ts";
import { LIST_ITEM_BYTES, type PlacedRun } from "./record.ts";
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

/** @throws {LogError} `CORRUPT` at the first thing that does not match its checksum */
export async function readLiveEntries(
  window: ScanWindow,
  file: WalFile,
  ranges: LiveRanges,
  visitor: LiveVisitor,
): Promise<void> {
  for (let position = FILE_HEADER_BYTES; position < file.end;) {
    const header = decodeBlockHeader(await window.bytes(position, BLOCK_HEADER_BYTES), 0, file.identity);
    if (!header) throw corrupt(file, position, "no block");
    const bytes = blockBytes(header);
    const block = await window.bytes(position, bytes);
    const table = block.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.tableBytes);
    try {
      for (const { group, runs } of decodeTable(header, table, position)) {
        const range = ranges.get(group);
        if (!range) continue;
        for (const run of runs) {
          const entries = liveOf(run, range, table, block, position);
          if (entries.length > 0) visitor.entries(group, entries);
        }
      }
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof RecordsError)) throw error;
      throw corrupt(file, position, error.message, error);
    }
    position += bytes;
    await visitor.block(bytes);
  }
}

/** @throws {RecordsError} @throws {FormatError} */
function liveOf(run: PlacedRun, range: IndexRange, table: Uint8Array, block: Uint8Array, position: number): Entry[] {
  if (run.lastIndex < range.first || run.firstIndex > range.last) return [];
  let at = run.position - position;
  let from = at;
  const lengths: number[] = [];
  for (let item = 0; item < run.count; item++) {
    const byteLength = readU32(table, run.listAt + item * LIST_ITEM_BYTES);
    const index = run.firstIndex + item;
    if (index < range.first) from += byteLength;
    else if (index <= range.last) lengths.push(byteLength);
    at += byteLength;
  }
  const copy = block.slice(from, from + lengths.reduce((sum, byteLength) => sum + byteLength, 0));
  let index = Math.max(run.firstIndex, range.first);
  let next = 0;
  return lengths.map((byteLength) => {
    const entry = Entry.parse(copy, next);
    entry.verifyPayload();
    if (entry.byteLength !== byteLength || entry.index !== index) {
      throw new FormatError(`entry ${index} is another one`);
    }
    next += byteLength;
    index += 1;
    return entry;
  });
}

function corrupt(file: WalFile, position: number, what: string, cause?: unknown): LogError {
  return new LogError("CORRUPT", `the block at byte ${position} of ${file.name} is damaged: ${what}`, {
    file: file.name,
    position,
    cause,
  });
}

/** What one group's write becomes in a block's table, and how it is read again. */
import type { Configuration, HardState } from "../raft/types.ts";
import type { Entry } from "../records/entry.ts";
import { type ByteReader, type ByteWriter, FormatError } from "./bytes.ts";
import type { Checkpoint, GroupId } from "./types.ts";

/** Everything of a record but its entries. Applied in the order of the fields. */
export interface RecordHead {
  readonly group: GroupId;
  /** All that was known of the group before is gone. */
  readonly remove: boolean;
  /** The log is empty, and starts where `trim` says. */
  readonly reset: boolean;
  /** 0: none. */
  readonly truncateFrom: number;
  readonly checkpoint: Checkpoint | undefined;
  readonly hardState: HardState | undefined;
  readonly trim: Trim | undefined;
  /** From here on the group has lost nothing. */
  readonly repaired: boolean;
  /** Carried over from a freed file: the group may have lost something. */
  readonly suspect: boolean;
}

export interface Trim {
  readonly firstIndex: number;
  readonly startOffset: number;
  /** Of the entry before `firstIndex`, which is gone: a follower whose log shall begin here must know it. 0: not known. */
  readonly previousTerm: number;
}

/** As queued: with the entries themselves. */
export interface LogRecord extends RecordHead {
  readonly entries: readonly Entry[];
}

/** As written: with the places of the entries. */
export interface PlacedRecord extends RecordHead {
  readonly runs: readonly PlacedRun[];
}

/** Entries of one group and one term, back to back in a file. */
export interface PlacedRun {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly count: number;
  readonly term: number;
  readonly firstOffset: number;
  readonly maxTimestampMs: number;
  readonly bytes: number;
  /** Of the first entry, in the file. While a block is built, from where its entries begin. */
  position: number;
  /** Where this run's list of entries begins in the table. */
  readonly listAt: number;
}

/** A record that changes nothing, to be spread and filled in. */
export const EMPTY_RECORD: Omit<LogRecord, "group"> = {
  remove: false,
  reset: false,
  truncateFrom: 0,
  checkpoint: undefined,
  hardState: undefined,
  trim: undefined,
  repaired: false,
  suspect: false,
  entries: [],
};

const FLAG = {
  remove: 1,
  reset: 2,
  truncate: 4,
  checkpoint: 8,
  hardState: 16,
  trim: 32,
  repaired: 64,
  suspect: 128,
  entries: 256,
} as const;
const FLAGS_ALL = 511;

/** Bytes of one item of a run's list: u32 byte length, u32 checksum of the entry's header. */
export const LIST_ITEM_BYTES = 8;

/**
 *   u32 group, u16 flags, u16 0, then what the flags announce:
 *   truncate u64 · checkpoint · hard state: u64 term, u64 commit, u32 vote · trim: u64 first index, u64 start offset ·
 *   u32 count of runs, and each: u64 first index, u64 term, u64 first offset, u64 max timestamp, u32 count, u32 bytes,
 *   then per entry u32 byte length, u32 checksum of its header.
 * The header's checksum covers the payload's, so no payload is summed again here; and it names the one entry that was
 * written, so that another entry at the same place (a recycled file's) cannot pass.
 */
export function encodeHead(out: ByteWriter, record: RecordHead, hasEntries: boolean): void {
  const { checkpoint, hardState, trim } = record;
  out.u32(record.group);
  out.u16(
    (record.remove ? FLAG.remove : 0) | (record.reset ? FLAG.reset : 0) |
      (record.truncateFrom > 0 ? FLAG.truncate : 0) | (checkpoint ? FLAG.checkpoint : 0) |
      (hardState ? FLAG.hardState : 0) | (trim ? FLAG.trim : 0) | (record.repaired ? FLAG.repaired : 0) |
      (record.suspect ? FLAG.suspect : 0) | (hasEntries ? FLAG.entries : 0),
  );
  out.u16(0);
  if (record.truncateFrom > 0) out.u64(record.truncateFrom);
  if (checkpoint) encodeCheckpoint(out, checkpoint);
  if (hardState) {
    out.u64(hardState.term);
    out.u64(hardState.commit);
    out.u32(hardState.vote);
  }
  if (trim) {
    out.u64(trim.firstIndex);
    out.u64(trim.startOffset);
    out.u64(trim.previousTerm);
  }
}

/** `position`: where the record's first entry lies in the file. @throws {FormatError} */
export function decodeRecord(table: ByteReader, position: number): PlacedRecord {
  const { record, hasEntries } = decodeHead(table);
  return placeRecord(record, hasEntries ? decodeRuns(table, position) : []);
}

/** Field by field, for speed: all such records have one shape, whether they were written or read. */
export function placeRecord(head: RecordHead, runs: readonly PlacedRun[]): PlacedRecord {
  const { group, remove, reset, truncateFrom, checkpoint, hardState, trim, repaired, suspect } = head;
  return { group, remove, reset, truncateFrom, checkpoint, hardState, trim, repaired, suspect, runs };
}

/** @throws {FormatError} */
export function decodeHead(table: ByteReader): { record: RecordHead; hasEntries: boolean } {
  const group = table.u32();
  const flags = table.u16();
  const reserved = table.u16();
  if ((flags & ~FLAGS_ALL) !== 0 || reserved !== 0) throw new FormatError(`flags ${flags}, ${reserved} are not known`);
  const record: RecordHead = {
    group,
    remove: (flags & FLAG.remove) !== 0,
    reset: (flags & FLAG.reset) !== 0,
    truncateFrom: (flags & FLAG.truncate) !== 0 ? table.u64() : 0,
    checkpoint: (flags & FLAG.checkpoint) !== 0 ? decodeCheckpoint(table) : undefined,
    hardState: (flags & FLAG.hardState) !== 0
      ? { term: table.u64(), commit: table.u64(), vote: table.u32() }
      : undefined,
    trim: (flags & FLAG.trim) !== 0
      ? { firstIndex: table.u64(), startOffset: table.u64(), previousTerm: table.u64() }
      : undefined,
    repaired: (flags & FLAG.repaired) !== 0,
    suspect: (flags & FLAG.suspect) !== 0,
  };
  return { record, hasEntries: (flags & FLAG.entries) !== 0 };
}

function decodeRuns(table: ByteReader, firstPosition: number): PlacedRun[] {
  const runs: PlacedRun[] = [];
  let position = firstPosition;
  for (let left = table.u32(); left > 0; left--) {
    const firstIndex = table.u64();
    const term = table.u64();
    const firstOffset = table.u64();
    const maxTimestampMs = table.u64();
    const count = table.u32();
    const bytes = table.u32();
    const listAt = table.at;
    table.skip(count * LIST_ITEM_BYTES);
    const lastIndex = firstIndex + count - 1;
    runs.push({ firstIndex, lastIndex, count, term, firstOffset, maxTimestampMs, bytes, position, listAt });
    position += bytes;
  }
  return runs;
}

/**
 * Writes the runs of entries that lie back to back from `firstPosition` on: a new one where the term changes or the
 * run would pass `runBytesMax`.
 */
export function encodeRuns(
  out: ByteWriter,
  entries: readonly Entry[],
  firstPosition: number,
  runBytesMax: number,
): PlacedRun[] {
  const runs: PlacedRun[] = [];
  const countAt = out.length;
  out.u32(0);
  let position = firstPosition;
  for (let from = 0; from < entries.length;) {
    const to = runEnd(entries, from, runBytesMax);
    const run = encodeRun(out, entries, from, to, position);
    runs.push(run);
    position += run.bytes;
    from = to;
  }
  out.patchU32(countAt, runs.length);
  return runs;
}

function runEnd(entries: readonly Entry[], from: number, runBytesMax: number): number {
  const { term } = entries[from]!;
  let bytes = 0;
  let to = from;
  while (to < entries.length) {
    const entry = entries[to]!;
    bytes += entry.byteLength;
    if (to > from && (entry.term !== term || bytes > runBytesMax)) break;
    to++;
  }
  return to;
}

function encodeRun(out: ByteWriter, entries: readonly Entry[], from: number, to: number, position: number): PlacedRun {
  const first = entries[from]!;
  let maxTimestampMs = 0;
  let bytes = 0;
  for (let at = from; at < to; at++) {
    const entry = entries[at]!;
    bytes += entry.byteLength;
    if (entry.maxTimestampMs > maxTimestampMs) maxTimestampMs = entry.maxTimestampMs;
  }
  const count = to - from;
  const { index: firstIndex, term, baseOffset: firstOffset } = first;
  out.u64(firstIndex);
  out.u64(term);
  out.u64(firstOffset);
  out.u64(maxTimestampMs);
  out.u32(count);
  out.u32(bytes);
  const listAt = out.length;
  for (let at = from; at < to; at++) {
    const entry = entries[at]!;
    out.u32(entry.byteLength);
    out.u32(entry.headerCrc);
  }
  const lastIndex = firstIndex + count - 1;
  return { firstIndex, lastIndex, count, term, firstOffset, maxTimestampMs, bytes, position, listAt };
}

export function encodeCheckpoint(out: ByteWriter, checkpoint: Checkpoint): void {
  out.u64(checkpoint.index);
  out.u64(checkpoint.term);
  out.u64(checkpoint.nextOffset);
  const { voters, outgoing, learners, learnersNext } = checkpoint.configuration;
  for (const nodes of [voters, outgoing, learners, learnersNext]) {
    out.u32(nodes.length);
    for (const node of nodes) out.u32(node);
  }
  out.u32(checkpoint.state.length);
  out.bytes(checkpoint.state);
}

/** The state is a copy: nothing else of the buffer stays in memory for it. @throws {FormatError} */
export function decodeCheckpoint(table: ByteReader): Checkpoint {
  const index = table.u64();
  const term = table.u64();
  const nextOffset = table.u64();
  const configuration: Configuration = {
    voters: decodeNodes(table),
    outgoing: decodeNodes(table),
    learners: decodeNodes(table),
    learnersNext: decodeNodes(table),
  };
  return { index, term, nextOffset, configuration, state: table.bytes(table.u32()).slice() };
}

function decodeNodes(table: ByteReader): number[] {
  const count = table.u32();
  if (count * 4 > table.left) throw new FormatError(`${count} nodes do not fit`);
  return Array.from({ length: count }, () => table.u32());
}

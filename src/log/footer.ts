/**
 * The end of a sealed file: runs of all groups, then the summary (one delta a group), then 64 bytes of trailer.
 * Opening the log reads trailers and summaries; runs are read when someone reads from the file.
 *
 *  trailer: 0 u32 crc32 of bytes 4..64   4 u32 magic   8 u64 identity of the file   16 u64 where the summary begins
 *          24 u32 summary bytes  28 u32 crc32 of the summary   32 u64 first block sequence   40 u64 next block sequence
 *          48 u64 where the blocks end   56 u64 oldest file, as the last block says
 */
import { crc32 } from "node:zlib";
import { readU32 } from "../records/entry.ts";
import type { Identity } from "./block.ts";
import { ByteReader, ByteWriter, FormatError } from "./bytes.ts";
import { decodeHead, encodeHead } from "./record.ts";
import type { GroupDelta } from "./file-index.ts";
import type { Appended, RunsPlace } from "./group-state.ts";
import { PIECE_BYTES, RUN_BYTES, RunTable } from "./run-table.ts";
import type { Damage, IndexRange } from "./types.ts";

export const TRAILER_BYTES = 64;
const TRAILER_MAGIC = 0x54464c52; // "RLFT"

/** What a sealed file says of itself. */
export interface SealedFacts {
  readonly identity: Identity;
  /** Sequence of its first block, and of the first block of the next file. */
  readonly firstSequence: number;
  readonly nextSequence: number;
  readonly blocksEnd: number;
  readonly oldestFile: number;
}

export interface Trailer extends SealedFacts {
  readonly summaryPosition: number;
  readonly summaryBytes: number;
  readonly summaryCrc: number;
}

export interface Summary {
  readonly deltas: readonly { readonly delta: GroupDelta; readonly runs: RunsPlace | undefined }[];
  readonly damage: readonly Damage[];
}

/** A group's part of a footer; `runs` of `delta.entries`, if there are any. */
export interface FooterItem {
  readonly delta: GroupDelta;
  readonly runs: RunTable | undefined;
}

/** The bytes to be written at `facts.blocksEnd`, and where they put the runs of each group. */
export function encodeFooter(
  facts: SealedFacts,
  items: readonly FooterItem[],
  damage: readonly Damage[],
): { bytes: Uint8Array; runs: Map<number, RunsPlace> } {
  const out = new ByteWriter(64 * 1024);
  const runs = new Map<number, RunsPlace>();
  for (const { delta, runs: table } of items) {
    if (!table || table.count === 0) continue;
    const position = facts.blocksEnd + out.length;
    const crc = crc32(table.pieceBytes(), crc32(table.runBytes()));
    runs.set(delta.group, { position, runs: table.count, pieces: table.pieceCount, crc });
    out.bytes(table.runBytes());
    out.bytes(table.pieceBytes());
  }
  const summaryAt = out.length;
  encodeSummary(out, items, runs, damage);
  const summary = out.written(summaryAt);
  const trailerAt = out.length;
  const { length: summaryBytes } = summary;
  const summaryCrc = crc32(summary);
  out.u32(0);
  out.u32(TRAILER_MAGIC);
  out.u32(facts.identity.low);
  out.u32(facts.identity.high);
  out.u64(facts.blocksEnd + summaryAt);
  out.u32(summaryBytes);
  out.u32(summaryCrc);
  out.u64(facts.firstSequence);
  out.u64(facts.nextSequence);
  out.u64(facts.blocksEnd);
  out.u64(facts.oldestFile);
  out.patchU32(trailerAt, crc32(out.written(trailerAt + 4)));
  return { bytes: out.written(), runs };
}

/** The last 64 bytes of a file; undefined if they are no trailer of it. */
export function decodeTrailer(bytes: Uint8Array, identity: Identity): Trailer | undefined {
  if (bytes.length !== TRAILER_BYTES || crc32(bytes.subarray(4)) !== readU32(bytes, 0)) return undefined;
  const reader = new ByteReader(bytes, 4);
  if (reader.u32() !== TRAILER_MAGIC) return undefined;
  if (reader.u32() !== identity.low || reader.u32() !== identity.high) return undefined;
  return {
    identity,
    summaryPosition: reader.u64(),
    summaryBytes: reader.u32(),
    summaryCrc: reader.u32(),
    firstSequence: reader.u64(),
    nextSequence: reader.u64(),
    blocksEnd: reader.u64(),
    oldestFile: reader.u64(),
  };
}

/** @throws {FormatError} also if the checksum is wrong */
export function decodeSummary(trailer: Trailer, bytes: Uint8Array, file: string): Summary {
  if (crc32(bytes) !== trailer.summaryCrc) throw new FormatError("the summary does not match its checksum");
  const reader = new ByteReader(bytes);
  const damage: Damage[] = [];
  for (let left = reader.u32(); left > 0; left--) damage.push(decodeDamage(reader, file));
  const deltas: { delta: GroupDelta; runs: RunsPlace | undefined }[] = [];
  for (let left = reader.u32(); left > 0; left--) deltas.push(decodeDelta(reader));
  if (reader.left !== 0) throw new FormatError("the summary is longer than what it says");
  return { deltas, damage };
}

function encodeSummary(
  out: ByteWriter,
  items: readonly FooterItem[],
  runs: ReadonlyMap<number, RunsPlace>,
  damage: readonly Damage[],
): void {
  out.u32(damage.length);
  for (const item of damage) encodeDamage(out, item);
  out.u32(items.length);
  for (const { delta } of items) encodeDelta(out, delta, runs.get(delta.group));
}

/** u64 position, u64 bytes, u32 1 if the group is known, u32 group, and the lost range, 0 to 0 for none. */
function encodeDamage(out: ByteWriter, item: Damage): void {
  out.u64(item.position);
  out.u64(item.bytes);
  out.u32(item.group === undefined ? 0 : 1);
  out.u32(item.group ?? 0);
  encodeRange(out, item.lost ?? { first: 0, last: 0 });
}

function decodeDamage(reader: ByteReader, file: string): Damage {
  const position = reader.u64();
  const bytes = reader.u64();
  const known = reader.u32() === 1;
  const group = reader.u32();
  const lost = decodeRange(reader);
  return { file, position, bytes, group: known ? group : undefined, lost: lost.last > 0 ? lost : undefined };
}

/** A record's head, then u32 1 if gone, the damage, and the entries: bounds, terms, runs. */
function encodeDelta(out: ByteWriter, delta: GroupDelta, place: RunsPlace | undefined): void {
  const { entries } = delta;
  const hasEntries = entries !== undefined && place !== undefined;
  encodeHead(out, delta, hasEntries);
  out.u32(delta.gone ? 1 : 0);
  out.u32(delta.damage.length);
  for (const range of delta.damage) encodeRange(out, range);
  if (!hasEntries) return;
  out.u64(entries.firstIndex);
  out.u64(entries.lastIndex);
  out.u64(entries.firstOffset);
  out.u64(entries.maxTimestampMs);
  out.u64(entries.bytes);
  out.u64(place.position);
  out.u32(place.runs);
  out.u32(place.pieces);
  out.u32(place.crc);
  out.u32(delta.terms.length);
  for (const [index, term] of delta.terms) {
    out.u64(index);
    out.u64(term);
  }
}

function decodeDelta(reader: ByteReader): { delta: GroupDelta; runs: RunsPlace | undefined } {
  const { record, hasEntries } = decodeHead(reader);
  const gone = reader.u32() === 1;
  const damage: IndexRange[] = [];
  for (let left = reader.u32(); left > 0; left--) damage.push(decodeRange(reader));
  if (!hasEntries) return { delta: { ...record, gone, damage, entries: undefined, terms: [] }, runs: undefined };
  const entries: Appended = {
    firstIndex: reader.u64(),
    lastIndex: reader.u64(),
    firstOffset: reader.u64(),
    maxTimestampMs: reader.u64(),
    bytes: reader.u64(),
  };
  const runs: RunsPlace = { position: reader.u64(), runs: reader.u32(), pieces: reader.u32(), crc: reader.u32() };
  const terms: [number, number][] = [];
  for (let left = reader.u32(); left > 0; left--) terms.push([reader.u64(), reader.u64()]);
  return { delta: { ...record, gone, damage, entries, terms }, runs };
}

function encodeRange(out: ByteWriter, range: IndexRange): void {
  out.u64(range.first);
  out.u64(range.last);
}

function decodeRange(reader: ByteReader): IndexRange {
  return { first: reader.u64(), last: reader.u64() };
}

/** The runs at `place`, of its bytes; undefined if they are damaged. */
export function decodeRuns(place: RunsPlace, bytes: Uint8Array): RunTable | undefined {
  if (bytes.length !== placeBytes(place) || crc32(bytes) !== place.crc) return undefined;
  const piecesAt = place.runs * RUN_BYTES;
  const runs = new Float64Array(bytes.slice(0, piecesAt).buffer);
  return new RunTable(runs, new Uint32Array(bytes.slice(piecesAt).buffer));
}

export function placeBytes(place: RunsPlace): number {
  return place.runs * RUN_BYTES + place.pieces * PIECE_BYTES;
}

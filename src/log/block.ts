/**
 * A block: one group commit. 48 bytes of header, the table (see record.ts), then the entries' bytes as they are, record
 * by record; zeros up to a multiple of 8.
 *
 *   0 u32 crc32 of bytes 4..48   4 u32 magic   8 u64 identity of the file   16 u64 block sequence
 *  24 u32 table bytes   28 u32 crc32 of the table   32 u32 data bytes   36 u32 records   40 u64 oldest file
 *
 * The identity is drawn at random for each file, and sequences never repeat: bytes that a recycled file held before, or
 * that a producer put into a payload, cannot pass for a block. "Oldest file": files with lower numbers are not needed
 * any more, all from there on must exist.
 */
import { crc32 } from "node:zlib";
import { readU32, readU64, writeU32 } from "../records/entry.ts";
import { ByteReader, type ByteWriter, FormatError } from "./bytes.ts";
import { decodeRecord, type PlacedRecord } from "./record.ts";

export const BLOCK_HEADER_BYTES = 48;
export const BLOCK_ALIGN_BYTES = 8;
const BLOCK_MAGIC = 0x4b424c52; // "RLBK"

/** Eight random bytes, as two u32. */
export interface Identity {
  readonly low: number;
  readonly high: number;
}

export interface BlockHeader {
  readonly identity: Identity;
  readonly sequence: number;
  readonly tableBytes: number;
  readonly tableCrc: number;
  readonly dataBytes: number;
  readonly records: number;
  readonly oldestFile: number;
}

/** Header, table, data and padding. */
export function blockBytes(header: Pick<BlockHeader, "tableBytes" | "dataBytes">): number {
  const bytes = BLOCK_HEADER_BYTES + header.tableBytes + header.dataBytes;
  return Math.ceil(bytes / BLOCK_ALIGN_BYTES) * BLOCK_ALIGN_BYTES;
}

/** Fills in the header in front of a table that stands at byte 48 of what was written to `out`. */
export function sealHeader(out: ByteWriter, fields: Omit<BlockHeader, "tableBytes" | "tableCrc">): BlockHeader {
  const all = out.written();
  const table = all.subarray(BLOCK_HEADER_BYTES);
  const { identity, sequence, dataBytes, records, oldestFile } = fields;
  // Written out: a spread that is added to has no hidden class of its own in V8, and here it runs for every block.
  const header: BlockHeader = {
    identity,
    sequence,
    tableBytes: table.length,
    tableCrc: crc32(table),
    dataBytes,
    records,
    oldestFile,
  };
  writeU32(all, 4, BLOCK_MAGIC);
  writeU32(all, 8, header.identity.low);
  writeU32(all, 12, header.identity.high);
  writeSplit(all, 16, header.sequence);
  writeU32(all, 24, header.tableBytes);
  writeU32(all, 28, header.tableCrc);
  writeU32(all, 32, header.dataBytes);
  writeU32(all, 36, header.records);
  writeSplit(all, 40, header.oldestFile);
  writeU32(all, 0, crc32(all.subarray(4, BLOCK_HEADER_BYTES)));
  return header;
}

/** The header at `at`, or undefined if there is none of this file. */
export function decodeBlockHeader(bytes: Uint8Array, at: number, identity: Identity): BlockHeader | undefined {
  if (bytes.length - at < BLOCK_HEADER_BYTES) return undefined;
  if (readU32(bytes, at + 4) !== BLOCK_MAGIC) return undefined;
  if (readU32(bytes, at + 8) !== identity.low || readU32(bytes, at + 12) !== identity.high) return undefined;
  if (crc32(bytes.subarray(at + 4, at + BLOCK_HEADER_BYTES)) !== readU32(bytes, at)) return undefined;
  return {
    identity,
    sequence: readU64(bytes, at + 16),
    tableBytes: readU32(bytes, at + 24),
    tableCrc: readU32(bytes, at + 28),
    dataBytes: readU32(bytes, at + 32),
    records: readU32(bytes, at + 36),
    oldestFile: readU64(bytes, at + 40),
  };
}

/** What {@link decodeBlockHeader} looks for first: to find the next block after damage. */
export function blockMark(identity: Identity): Uint8Array {
  const mark = new Uint8Array(12);
  writeU32(mark, 0, BLOCK_MAGIC);
  writeU32(mark, 4, identity.low);
  writeU32(mark, 8, identity.high);
  return mark;
}
/** Where the mark stands in a block. */
export const BLOCK_MARK_AT = 4;

/**
 * The records of a block that starts at `position` of its file. `table`: the table's bytes, nothing else.
 * @throws {FormatError} also if the table's checksum is wrong
 */
export function decodeTable(header: BlockHeader, table: Uint8Array, position: number): PlacedRecord[] {
  if (crc32(table) !== header.tableCrc) throw new FormatError("the table does not match its checksum");
  const reader = new ByteReader(table);
  const records: PlacedRecord[] = [];
  const dataAt = position + BLOCK_HEADER_BYTES + header.tableBytes;
  let at = dataAt;
  for (let left = header.records; left > 0; left--) {
    const record = decodeRecord(reader, at);
    const last = record.runs.at(-1);
    if (last) at = last.position + last.bytes;
    records.push(record);
  }
  if (reader.left !== 0 || at - dataAt !== header.dataBytes) throw new FormatError("the table and its data differ");
  return records;
}

function writeSplit(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 2 ** 32);
  writeU32(bytes, at + 4, Math.floor(value / 2 ** 32));
}

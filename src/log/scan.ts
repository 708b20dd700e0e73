/**
 * Reads the blocks of an unsealed file and judges where they end.
 *
 * One write is under way at a time, and behind the last block a file holds zeros (a hole, or zeros that were written).
 * So only the very last block can be torn, and what is missing of it reads as zeros, in whole sectors. Anything else
 * that does not match its checksum was durable once and is damaged: that is told, and never cut away. (A block that has such
 * sectors by nature is never the last one that counts: blank-sector.ts.)
 */
import { Buffer } from "node:buffer";
import { Entry, readU32 } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import {
  BLOCK_ALIGN_BYTES,
  BLOCK_HEADER_BYTES,
  BLOCK_MARK_AT,
  blockBytes,
  type BlockHeader,
  blockMark,
  decodeBlockHeader,
  decodeTable,
} from "./block.ts";
import { SECTOR_BYTES } from "./blank-sector.ts";
import { FormatError, isZero } from "./bytes.ts";
import { FILE_HEADER_BYTES } from "./file-header.ts";
import { LIST_ITEM_BYTES, type PlacedRecord, type PlacedRun } from "./record.ts";
import type { ScanWindow } from "./scan-window.ts";
import type { GroupId, IndexRange } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

export interface ScanVisitor {
  /** A block's records, in order. */
  records(records: readonly PlacedRecord[]): void;
  /** Entries of a group whose place is known, but whose bytes are wrong. Comes after their record. */
  lostEntries(group: GroupId, lost: IndexRange, position: number, bytes: number): void;
  /** Bytes that may have held anything of any group. */
  lostBytes(position: number, bytes: number): void;
  /** What fills a block up to a whole number of words is not zero: nobody reads it. */
  padding?(position: number, bytes: number): void;
}

export interface ScanOptions {
  /** Sequence of the file's first block; undefined: take what is there. */
  readonly firstSequence: number | undefined;
  /** Sequence of the next file's first block: all blocks below it were durable. Undefined for the last file. */
  readonly untilSequence: number | undefined;
  /** All blocks were durable, although nobody knows how many there were: the next file had been begun. */
  readonly durable: boolean;
  /** Where the blocks end, if something knows: a footer is behind it. */
  readonly blocksEnd: number | undefined;
  /** How far behind the last block another one is looked for. */
  readonly searchBytes: number;
}

export interface ScanResult {
  /** Where the last block that counts begins; `end` when there is none. */
  readonly lastBlock: number;
  /** Behind the last block that counts. */
  readonly end: number;
  /** 0: the file has no block. */
  readonly firstSequence: number;
  /** Behind damage at the end, of which nobody knows how many blocks it was, one number is left out: so it is not forgotten. */
  readonly nextSequence: number;
  readonly oldestFile: number;
  readonly blocks: number;
  /** Bytes from `end` on that belong to a torn block. */
  readonly tornBytes: number;
  /** No more blocks may be added: what is behind `end` is damaged, and where it ends is not known. */
  readonly closed: boolean;
}

/** A compacted file's blocks: numbered from 1, and durable before it had a header. */
export function compactedScan({ compactedBlocks }: WalFile, searchBytes: number): ScanOptions {
  return { firstSequence: 1, untilSequence: compactedBlocks + 1, durable: true, blocksEnd: undefined, searchBytes };
}

/** All that a sealed file has. */
export function sealedScan(file: WalFile, searchBytes: number): ScanOptions {
  if (file.compactedBlocks > 0) return compactedScan(file, searchBytes);
  const { firstSequence, nextSequence: untilSequence, end: blocksEnd } = file;
  return { firstSequence, untilSequence, durable: true, blocksEnd, searchBytes };
}

/** @throws {DiskError} */
export function scanBlocks(
  window: ScanWindow,
  file: WalFile,
  options: ScanOptions,
  visitor: ScanVisitor,
): Promise<ScanResult> {
  return new Scan(window, file, options, visitor).run();
}

class Scan {
  readonly #window: ScanWindow;
  readonly #file: WalFile;
  readonly #visitor: ScanVisitor;
  readonly #until: number | undefined;
  readonly #durable: boolean;
  readonly #blocksEnd: number | undefined;
  readonly #searchBytes: number;
  #expected: number | undefined;
  #position = FILE_HEADER_BYTES;
  #lastBlock: number | undefined;
  #first = 0;
  #oldestFile = 0;
  #blocks = 0;
  #torn = 0;
  #closed = false;

  constructor(window: ScanWindow, file: WalFile, options: ScanOptions, visitor: ScanVisitor) {
    this.#window = window;
    this.#file = file;
    this.#visitor = visitor;
    this.#expected = options.firstSequence;
    this.#until = options.untilSequence;
    this.#durable = options.durable || options.untilSequence !== undefined;
    this.#blocksEnd = options.blocksEnd;
    this.#searchBytes = options.searchBytes;
  }

  async run(): Promise<ScanResult> {
    while (this.#until === undefined || this.#expected !== this.#until) {
      const header = await this.#headerAt(this.#position);
      const goesOn = header ? await this.#block(header) : await this.#noBlock();
      if (!goesOn) break;
    }
    return {
      lastBlock: this.#lastBlock ?? this.#position,
      end: this.#position,
      firstSequence: this.#first,
      nextSequence: this.#expected ?? 0,
      oldestFile: this.#oldestFile,
      blocks: this.#blocks,
      tornBytes: this.#torn,
      closed: this.#closed,
    };
  }

  /** The header of a block that may stand here: not one of before what was already read. */
  async #headerAt(position: number): Promise<BlockHeader | undefined> {
    const bytes = await this.#window.bytes(position, BLOCK_HEADER_BYTES);
    const header = decodeBlockHeader(bytes, 0, this.#file.identity);
    if (!header || header.sequence === 0) return undefined;
    return header.sequence >= (this.#expected ?? 0) ? header : undefined;
  }

  /** Whether there is more behind it. */
  async #block(header: BlockHeader): Promise<boolean> {
    const position = this.#position;
    if (this.#expected !== undefined && header.sequence > this.#expected) this.#visitor.lostBytes(position, 0);
    const bytes = blockBytes(header);
    const records = await this.#records(header);
    const bad = records ? await this.#badEntries(header, records) : [];
    if (!records || bad.length > 0) {
      // Before anything is judged torn: a later block proves that this one was durable.
      const last = !this.#durable && !await this.#nextBlock(position + bytes, header.sequence);
      if (last && await this.#maybeTorn(header, bad)) {
        this.#torn = bytes;
        return false;
      }
    }
    if (this.#first === 0) this.#first = header.sequence;
    this.#lastBlock = position;
    this.#blocks++;
    this.#expected = header.sequence + 1;
    this.#oldestFile = header.oldestFile;
    this.#position += bytes;
    if (!records) {
      this.#visitor.lostBytes(position, bytes);
      return true;
    }
    this.#visitor.records(records);
    if (this.#visitor.padding) await this.#checkPadding(position, header);
    for (const { group, index, at, bytes } of bad) {
      this.#visitor.lostEntries(group, { first: index, last: index }, at, bytes);
    }
    return true;
  }

  async #checkPadding(position: number, header: BlockHeader): Promise<void> {
    const used = BLOCK_HEADER_BYTES + header.tableBytes + header.dataBytes;
    const padding = blockBytes(header) - used;
    if (!isZero(await this.#window.bytes(position + used, padding))) this.#visitor.padding?.(position + used, padding);
  }

  /** Undefined if the table is damaged or not all there. */
  async #records(header: BlockHeader): Promise<PlacedRecord[] | undefined> {
    const { tableBytes } = header;
    const table = await this.#window.bytes(this.#position + BLOCK_HEADER_BYTES, tableBytes);
    if (table.length < tableBytes) return undefined;
    try {
      return decodeTable(header, table, this.#position);
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }

  async #badEntries(header: BlockHeader, records: readonly PlacedRecord[]): Promise<BadEntry[]> {
    const bytes = await this.#window.bytes(this.#position, blockBytes(header));
    const table = bytes.subarray(BLOCK_HEADER_BYTES);
    const bad: BadEntry[] = [];
    for (const { group, runs } of records) {
      for (const run of runs) {
        findBadEntries(run, table, bytes, this.#position, (index, at, length) => {
          bad.push({ group, index, at, bytes: length });
        });
      }
    }
    return bad;
  }

  /** Each piece that is wrong must miss a whole sector (or the block's part of one); else nothing of it is missing. */
  async #maybeTorn(header: BlockHeader, bad: readonly BadEntry[]): Promise<boolean> {
    const end = this.#position + blockBytes(header);
    if (bad.length === 0) return await this.#missesSector(this.#position + BLOCK_HEADER_BYTES, header.tableBytes, end);
    for (const { at, bytes } of bad) if (!await this.#missesSector(at, bytes, end)) return false;
    return true;
  }

  /**
   * Whether a sector that the piece touches reads as zeros, all that the block has of it, up to `blockEnd`: the piece's own
   * bytes of it may be few, and zeros by nature.
   */
  async #missesSector(from: number, length: number, blockEnd: number): Promise<boolean> {
    for (let at = from; at < from + length;) {
      const sector = Math.floor(at / SECTOR_BYTES) * SECTOR_BYTES;
      const start = Math.max(this.#position, sector);
      const end = Math.min(blockEnd, sector + SECTOR_BYTES);
      const bytes = await this.#window.bytes(start, end - start);
      if (bytes.length < Math.min(end, from + length) - start || isZero(bytes)) return true;
      at = sector + SECTOR_BYTES;
    }
    return false;
  }

  /** No header here: the end, a torn block whose first sector is missing, or damage. */
  async #noBlock(): Promise<boolean> {
    const position = this.#position;
    const next = await this.#nextBlock(position, this.#expected ?? 0);
    if (next) {
      this.#visitor.lostBytes(position, next.at - position);
      this.#position = next.at;
      this.#expected = next.sequence;
      return true;
    }
    const endOfBytes = this.#blocksEnd ?? await this.#endOfBytes(position);
    const clean = endOfBytes === position && this.#until === undefined;
    if (clean || (!this.#durable && await this.#missesSector(position, BLOCK_HEADER_BYTES, Infinity))) {
      this.#torn = endOfBytes - position;
      return false;
    }
    this.#visitor.lostBytes(position, endOfBytes - position);
    this.#position = Math.max(position, Math.ceil(endOfBytes / BLOCK_ALIGN_BYTES) * BLOCK_ALIGN_BYTES);
    // At least one block is gone. Its number stays unused: whoever reads this file again must miss it, too.
    if (this.#until !== undefined) this.#expected = this.#until;
    else if (this.#expected !== undefined) this.#expected++;
    this.#closed = true;
    return false;
  }

  #nextBlock(from: number, above: number): Promise<FoundBlock | undefined> {
    return findBlock(this.#window, this.#file, from, above, this.#searchBytes);
  }

  /** Behind the last byte from `from` on that is not zero. */
  async #endOfBytes(from: number): Promise<number> {
    let end = from;
    for (let at = from; at < from + this.#searchBytes;) {
      const piece = await this.#piece(at);
      if (piece.length === 0) break;
      if (Buffer.compare(piece, ZEROS.subarray(0, piece.length)) !== 0) {
        let last = piece.length;
        while (piece[last - 1] === 0) last--;
        end = at + last;
      }
      at += piece.length;
    }
    return end;
  }

  #piece(at: number): Promise<Buffer> {
    return pieceOf(this.#window, at);
  }
}

const PIECE_BYTES = 256 * 1024;
const ZEROS = new Uint8Array(PIECE_BYTES);

export interface FoundBlock {
  readonly at: number;
  readonly sequence: number;
}

/** The first block of `file` from `from` on, within `searchBytes`, with a sequence above `above`. */
export async function findBlock(
  window: ScanWindow,
  { identity }: WalFile,
  from: number,
  above: number,
  searchBytes: number,
): Promise<FoundBlock | undefined> {
  const mark = blockMark(identity);
  for (let at = from; at < from + searchBytes;) {
    const piece = await pieceOf(window, at);
    for (let found = piece.indexOf(mark); found >= 0; found = piece.indexOf(mark, found + 1)) {
      const start = found - BLOCK_MARK_AT;
      if (start < 0 || (at + start) % BLOCK_ALIGN_BYTES !== 0) continue;
      const header = decodeBlockHeader(piece, start, identity);
      if (header && header.sequence > above) return { at: at + start, sequence: header.sequence };
    }
    if (piece.length < PIECE_BYTES) return undefined;
    // A header across the end of the piece is found in the next one.
    at += PIECE_BYTES - BLOCK_HEADER_BYTES;
  }
  return undefined;
}

async function pieceOf(window: ScanWindow, at: number): Promise<Buffer> {
  const bytes = await window.bytes(at, PIECE_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

interface BadEntry {
  readonly group: GroupId;
  readonly index: number;
  readonly at: number;
  readonly bytes: number;
}

/** `block`: the block's bytes from `position` of the file on; `table`: the same from the table on. */
function findBadEntries(
  run: PlacedRun,
  table: Uint8Array,
  block: Uint8Array,
  position: number,
  found: (index: number, at: number, bytes: number) => void,
): void {
  let at = run.position;
  for (let item = 0; item < run.count; item++) {
    const listed = run.listAt + item * LIST_ITEM_BYTES;
    const byteLength = readU32(table, listed);
    const index = run.firstIndex + item;
    if (!isEntry(block, at - position, byteLength, readU32(table, listed + 4), index)) found(index, at, byteLength);
    at += byteLength;
  }
}

function isEntry(block: Uint8Array, at: number, byteLength: number, headerCrc: number, index: number): boolean {
  if (at + byteLength > block.length || readU32(block, at) !== headerCrc) return false;
  try {
    const entry = Entry.parse(block.subarray(at, at + byteLength));
    entry.verifyPayload();
    return entry.byteLength === byteLength && entry.index === index;
  } catch (error) {
    if (error instanceof RecordsError) return false;
    throw error;
  }
}

/**
 * The first 8 KiB of a WAL file: two copies of one header, 4 KiB apart, so that a bad sector does not cost the file.
 *
 *   0 u64 magic   8 u16 format version   10 u16 0   12 u32 crc32 of bytes 0..12 and 16..48
 *  16 u64 file number   24 u64 identity of the file   32 u64 identity of the log
 *  40 u32 blocks, of a compacted file; else 0   44 u32 how many files before it it stands for, too
 */
import { crc32 } from "node:zlib";
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from "../records/entry.ts";
import type { Identity } from "./block.ts";
import { isZero } from "./bytes.ts";
import { LogError } from "./types.ts";

/** Blocks begin here. */
export const FILE_HEADER_BYTES = 8192;
export const FORMAT_VERSION = 1;
const COPY_BYTES = 48;
const COPIES_AT = [0, 4096] as const;
const MAGIC = [0x54464152, 0x4c57454e] as const; // "RAFT", "NEWL"

/** What is left to do about a file of which nobody can tell what it was. */
export const NO_HEADER_ADVICE =
  "If other nodes hold what this one holds: move its whole data folder away, and start it again; they give all of it back.";

export interface FileHeader {
  readonly number: number;
  readonly identity: Identity;
  /** The same in all files of one log: another log's file is told from its own. */
  readonly logIdentity: Identity;
  /** 0, or how many blocks a compacted file has: they are numbered from 1, and were all durable before its header. */
  readonly compactedBlocks: number;
  /** A compacted file stands for all files from this number to its own. */
  readonly firstNumber: number;
}

const NAME = /^wal-(\d{10,16})\.log$/;

export function fileName(number: number): string {
  return `wal-${String(number).padStart(10, "0")}.log`;
}

/** The number of a WAL file's name, undefined for any other name. */
export function fileNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  return number > 0 && fileName(number) === name ? number : undefined;
}

export function encodeFileHeader(header: FileHeader): Uint8Array {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  for (const at of COPIES_AT) {
    const copy = bytes.subarray(at, at + COPY_BYTES);
    writeU32(copy, 0, MAGIC[0]);
    writeU32(copy, 4, MAGIC[1]);
    writeU16(copy, 8, FORMAT_VERSION);
    writeU64(copy, 16, header.number);
    writeU32(copy, 24, header.identity.low);
    writeU32(copy, 28, header.identity.high);
    writeU32(copy, 32, header.logIdentity.low);
    writeU32(copy, 36, header.logIdentity.high);
    writeU32(copy, 40, header.compactedBlocks);
    writeU32(copy, 44, header.number - header.firstNumber);
    writeU32(copy, 12, headerCrc(copy));
  }
  return bytes;
}

/**
 * Undefined if the file was never finished: no header was written, or only a part of one and nothing after it.
 * @throws {LogError} `UNSUPPORTED_VERSION`, `FOREIGN_FILE`, `CORRUPT`
 */
export function decodeFileHeader(bytes: Uint8Array, file: string): FileHeader | undefined {
  const copies = COPIES_AT.map((at) => bytes.subarray(at, at + COPY_BYTES));
  for (const copy of copies) {
    if (copy.length < COPY_BYTES || !hasMagic(copy) || headerCrc(copy) !== readU32(copy, 12)) continue;
    const version = readU16(copy, 8);
    if (version !== FORMAT_VERSION) {
      throw new LogError("UNSUPPORTED_VERSION", `${file} has format version ${version}; this is ${FORMAT_VERSION}`, {
        file,
        position: 8,
      });
    }
    const number = readU64(copy, 16);
    return {
      number,
      identity: { low: readU32(copy, 24), high: readU32(copy, 28) },
      logIdentity: { low: readU32(copy, 32), high: readU32(copy, 36) },
      compactedBlocks: readU32(copy, 40),
      firstNumber: number - readU32(copy, 44),
    };
  }
  if (bytes.length < FILE_HEADER_BYTES || copies.some(isZero)) return undefined;
  if (!copies.some(hasMagic)) {
    const message = `${file} is not a WAL file, or all is destroyed that told so. ${NO_HEADER_ADVICE}`;
    throw new LogError("FOREIGN_FILE", message, { file, position: 0 });
  }
  throw new LogError("CORRUPT", `both headers of ${file} are damaged. ${NO_HEADER_ADVICE}`, { file, position: 0 });
}

function hasMagic(copy: Uint8Array): boolean {
  return readU32(copy, 0) === MAGIC[0] && readU32(copy, 4) === MAGIC[1];
}

function headerCrc(copy: Uint8Array): number {
  return crc32(copy.subarray(16, COPY_BYTES), crc32(copy.subarray(0, 12)));
}

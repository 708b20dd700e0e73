/** What lies in the log's folder, before any block is read: names, headers, footers. */
import type { Disk, DiskFile } from "../runtime/disk.ts";
import { BLOCK_HEADER_BYTES, decodeBlockHeader, type Identity } from "./block.ts";
import { FormatError, isZero } from "./bytes.ts";
import { decodeFileHeader, FILE_HEADER_BYTES, fileName, fileNumber, NO_HEADER_ADVICE } from "./file-header.ts";
import { type HeaderAgain, headerAgain } from "./header-again.ts";
import { decodeSummary, type Summary, type Trailer } from "./footer.ts";
import { RESERVE_NAME } from "./space.ts";
import { readOrUndefined, readWhatCanBe } from "./scan-window.ts";
import { LogError } from "./types.ts";
import { readTrailer } from "./trailer.ts";
import { WalFile } from "./wal-file.ts";

/** A file that takes the place of another one when it is complete. */
export const UNFINISHED_SUFFIX = ".tmp";
/** Behind the header, so much is looked at to tell whether a file was begun. */
const PEEK_BYTES = 64 * 1024;

export interface FoundFile {
  readonly file: WalFile;
  /** Undefined: both copies of its header were destroyed, and it was made again from what else is in the file. */
  readonly logIdentity: Identity | undefined;
  /** It was sealed. */
  readonly trailer: Trailer | undefined;
  /** It was sealed, and its summary is intact. */
  readonly sealed: { readonly trailer: Trailer; readonly summary: Summary } | undefined;
  /** Sequence of its first block, if that one's header is intact. */
  readonly firstSequence: number | undefined;
  /** Something was written behind the header. */
  readonly hasBytes: boolean;
}

export interface Listing {
  /** Of the WAL files, ascending. */
  readonly numbers: number[];
  readonly reserveBytes: number;
  /** Names of what was to take a file's place and was not finished. */
  readonly unfinished: string[];
  /** Names of what does not belong here. */
  readonly foreign: string[];
}

export async function listFolder(disk: Disk, folder: string): Promise<Listing> {
  const numbers: number[] = [];
  const unfinished: string[] = [];
  const foreign: string[] = [];
  let reserveBytes = 0;
  for (const { name, folder: isFolder, sizeBytes } of await disk.list(folder)) {
    const number = isFolder ? undefined : fileNumber(name);
    if (number !== undefined) numbers.push(number);
    else if (name === RESERVE_NAME) reserveBytes = sizeBytes;
    else if (isUnfinished(name)) unfinished.push(name);
    else foreign.push(name);
  }
  numbers.sort((a, b) => a - b);
  return { numbers, reserveBytes, unfinished, foreign };
}

/** Removes what is left from before the last end. @throws {LogError} `FOREIGN_FILE` */
export async function tidyFolder(disk: Disk, folder: string, { unfinished, foreign }: Listing): Promise<void> {
  const [name] = foreign;
  if (name !== undefined) {
    throw new LogError("FOREIGN_FILE", `${name} in ${folder} does not belong to the log`, { file: name });
  }
  for (const each of unfinished) await disk.remove(`${folder}/${each}`);
}

/** Opens each file's header, and the footer where there is one. @throws {LogError} also `MISSING_FILE` */
export async function inspectFiles(disk: Disk, folder: string, numbers: readonly number[]): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  let logIdentity: Identity | undefined;
  for (const number of numbers) {
    const name = fileName(number);
    const handle = await disk.open(`${folder}/${name}`, "read");
    try {
      const file = await inspectFile(handle, folder, number, found.at(-1)?.file.number ?? 0);
      if (file) found.push(file);
      else if (number !== numbers.at(-1)) throw damagedHeader(name);
    } finally {
      await handle.close();
    }
    const other = found.at(-1)?.logIdentity;
    logIdentity ??= other;
    if (other && (logIdentity?.low !== other.low || logIdentity.high !== other.high)) {
      throw new LogError("FOREIGN_FILE", `${name} belongs to another log`, { file: name, position: 0 });
    }
  }
  const unfinished = numbers.at(-1);
  if (unfinished !== undefined && found.at(-1)?.file.number !== unfinished) {
    await disk.remove(`${folder}/${fileName(unfinished)}`);
  }
  return await withoutReplaced(disk, found);
}

/** Removes what a compacted file stands for, and nobody had time to remove. @throws {LogError} `MISSING_FILE` */
async function withoutReplaced(disk: Disk, found: readonly FoundFile[]): Promise<FoundFile[]> {
  const { left, replaced } = splitReplaced(found);
  for (const { file } of replaced) await disk.remove(file.path);
  for (const [at, { file }] of left.entries()) {
    const before = left[at - 1]?.file.number;
    if (before !== undefined && before + 1 !== file.firstNumber) throw missing(before + 1, "those around it are there");
  }
  return left;
}

/** Splits off, of ascending files, those that a compacted one behind them stands for: the log no longer has them. */
export function splitReplaced<T extends { readonly file: WalFile }>(found: readonly T[]): { left: T[]; replaced: T[] } {
  const left: T[] = [];
  const replaced: T[] = [];
  for (const each of found) {
    while (left.length > 0 && left.at(-1)!.file.number >= each.file.firstNumber) replaced.push(left.pop()!);
    left.push(each);
  }
  return { left, replaced };
}

export function missing(number: number, why: string): LogError {
  const file = fileName(number);
  return new LogError("MISSING_FILE", `${file} is missing: ${why}`, { file });
}

/** Undefined: it was never finished. `before`: the number of the file before it, 0 for none. */
async function inspectFile(
  handle: DiskFile,
  folder: string,
  number: number,
  before: number,
): Promise<FoundFile | undefined> {
  const bytes = new Uint8Array(FILE_HEADER_BYTES + PEEK_BYTES);
  const head = bytes.subarray(0, await readWhatCanBe(handle, bytes, 0));
  const name = fileName(number);
  const behind = head.subarray(FILE_HEADER_BYTES);
  const hasBytes = !isZero(behind);
  const header = await readHeader(handle, head.subarray(0, FILE_HEADER_BYTES), name, number, before, hasBytes);
  if (!header) {
    if (hasBytes) throw damagedHeader(name);
    return undefined;
  }
  if (header.number !== number) {
    throw new LogError("FOREIGN_FILE", `${name} was ${fileName(header.number)} once`, { file: name, position: 0 });
  }
  const file = new WalFile(folder, number, header.identity);
  file.compactedBlocks = header.compactedBlocks;
  file.firstNumber = header.firstNumber;
  file.sizeBytes = await handle.sizeBytes();
  const { logIdentity } = header;
  const trailer = await readTrailer(handle, file.sizeBytes, header.identity);
  const firstSequence = behind.length < BLOCK_HEADER_BYTES || file.compactedBlocks > 0
    ? undefined
    : decodeBlockHeader(behind, 0, header.identity)?.sequence;
  if (!trailer) return { file, logIdentity, trailer, sealed: undefined, firstSequence, hasBytes };
  const summary = await readSummary(handle, trailer, name);
  const sealed = summary && { trailer, summary };
  return { file, logIdentity, trailer, sealed, firstSequence: trailer.firstSequence, hasBytes: true };
}

/**
 * Made again if both copies are destroyed. Undefined: it was never finished, or nothing of it can be told.
 * @throws {LogError} as {@link decodeFileHeader}
 */
async function readHeader(
  handle: DiskFile,
  bytes: Uint8Array,
  name: string,
  number: number,
  before: number,
  hasBytes: boolean,
): Promise<(HeaderAgain & { readonly logIdentity?: Identity }) | undefined> {
  try {
    return decodeFileHeader(bytes, name) ?? await headerAgain(handle, number, before);
  } catch (error) {
    if (!(error instanceof LogError) || error.code === "UNSUPPORTED_VERSION") throw error;
    const header = await headerAgain(handle, number, before);
    // Of a file that was made ready to be the next one, and has nothing in it, nothing is lost.
    const isEmpty = error.code === "CORRUPT" && !hasBytes;
    if (!header && !isEmpty) throw error;
    return header;
  }
}

async function readSummary(handle: DiskFile, trailer: Trailer, name: string): Promise<Summary | undefined> {
  const bytes = new Uint8Array(trailer.summaryBytes);
  const count = await readOrUndefined(handle, bytes, trailer.summaryPosition) ?? 0;
  try {
    return decodeSummary(trailer, bytes.subarray(0, count), name);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Undefined if it is damaged. */
export async function readSealedSummary(handle: DiskFile, file: WalFile): Promise<Summary | undefined> {
  const trailer = await readTrailer(handle, file.sizeBytes, file.identity);
  return trailer && await readSummary(handle, trailer, file.name);
}

function isUnfinished(name: string): boolean {
  return name.endsWith(UNFINISHED_SUFFIX) && fileNumber(name.slice(0, -UNFINISHED_SUFFIX.length)) !== undefined;
}

function damagedHeader(name: string): LogError {
  const message = `both headers of ${name} are destroyed, and its first block and its index, too. ${NO_HEADER_ADVICE}`;
  return new LogError("CORRUPT", message, { file: name, position: 0 });
}

/**
 * What is in a log's folder, file by file, without changing anything: for people who want to know, and to find every byte
 * that is not what was written. Nobody may be writing there meanwhile.
 */
import type { Disk, DiskFile } from "../runtime/disk.ts";
import { BLOCK_HEADER_BYTES, decodeBlockHeader } from "./block.ts";
import { FormatError, isZero } from "./bytes.ts";
import { decodeFileHeader, encodeFileHeader, FILE_HEADER_BYTES, fileName } from "./file-header.ts";
import { FileIndex } from "./file-index.ts";
import { type HeaderAgain, headerAgain } from "./header-again.ts";
import { decodeRuns, decodeSummary, placeBytes, type Summary, type Trailer, TRAILER_BYTES } from "./footer.ts";
import { listFolder, splitReplaced } from "./folder.ts";
import { GroupTable } from "./group-table.ts";
import { DEFAULT_LOG_LIMITS } from "./limits.ts";
import { compactedScan, scanBlocks, type ScanOptions } from "./scan.ts";
import { ScanWindow } from "./scan-window.ts";
import { type GroupId, type GroupLog, type IndexRange, LogError, type LogErrorCode } from "./types.ts";
import { readTrailer } from "./trailer.ts";
import { WalFile } from "./wal-file.ts";

/** Something that is not as it should be. `TORN`: a write that was not finished and never acknowledged, as a crash leaves it. */
export interface Finding {
  readonly code: LogErrorCode | "TORN";
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  readonly what: string;
  readonly group: GroupId | undefined;
  readonly lost: IndexRange | undefined;
}

export interface ExaminedFile {
  readonly file: string;
  /**
   * `open`: written to, or not sealed before the last end. `prepared`: has no block yet. `replaced`: a compacted file
   * behind it stands for it, and nobody had time to remove it; it is not looked at.
   */
  readonly state: "sealed" | "compacted" | "replaced" | "open" | "prepared" | "unreadable";
  readonly sizeBytes: number;
  readonly blocks: number;
  readonly entries: number;
  readonly entryBytes: number;
  readonly firstSequence: number;
  readonly nextSequence: number;
}

export interface Examination {
  readonly files: readonly ExaminedFile[];
  readonly groups: readonly GroupLog[];
  readonly findings: readonly Finding[];
}

/**
 * Reads every byte of the log in `folder`.
 * @throws {DiskError} `NOT_FOUND`, `PERMISSION`, …
 */
export async function examineLog(disk: Disk, folder: string): Promise<Examination> {
  return await new Examiner(disk, folder).run();
}

interface OpenFile {
  readonly file: WalFile;
  readonly handle: DiskFile;
  readonly trailer: Trailer | undefined;
  /** Sequence of its first block, if that can be told. */
  readonly firstSequence: number | undefined;
}

interface Counted {
  blocks: number;
  entries: number;
  entryBytes: number;
}

class Examiner {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #files: ExaminedFile[] = [];
  readonly #findings: Finding[] = [];
  readonly #groups = new GroupTable();
  #numberBefore = 0;
  #sequence: number | undefined;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  async run(): Promise<Examination> {
    const numbers = await this.#list();
    const opened: OpenFile[] = [];
    try {
      for (const [at, number] of numbers.entries()) {
        const file = await this.#open(number, numbers[at - 1] ?? 0);
        if (file) opened.push(file);
      }
      const { left, replaced } = splitReplaced(opened);
      for (const { file } of replaced) this.#files.push(emptyFile(file.name, file.sizeBytes, "replaced"));
      for (const [at, each] of left.entries()) await this.#examine(each, left.slice(at + 1));
      this.#checkNumbers(left);
    } finally {
      for (const { handle } of opened) await handle.close();
    }
    this.#files.sort((a, b) => a.file < b.file ? -1 : 1);
    const groups = [...this.#groups.values()].sort((a, b) => a.group - b.group);
    return { files: this.#files, groups, findings: this.#findings };
  }

  async #list(): Promise<number[]> {
    const { numbers, foreign } = await listFolder(this.#disk, this.#folder);
    for (const name of foreign) this.#found("FOREIGN_FILE", name, 0, 0, "does not belong to the log");
    return numbers;
  }

  /** Undefined: what it is cannot be told, and that was noted. */
  async #open(number: number, before: number): Promise<OpenFile | undefined> {
    const name = fileName(number);
    const handle = await this.#disk.open(`${this.#folder}/${name}`, "read");
    const sizeBytes = await handle.sizeBytes();
    const bytes = new Uint8Array(FILE_HEADER_BYTES);
    const count = await handle.read(bytes, 0);
    const header = await this.#headerOf(handle, number, before, bytes.subarray(0, count));
    if (!header) {
      await handle.close();
      this.#files.push(emptyFile(name, sizeBytes, count > 0 && !isZero(bytes) ? "unreadable" : "prepared"));
      return undefined;
    }
    const file = new WalFile(this.#folder, number, header.identity);
    file.compactedBlocks = header.compactedBlocks;
    file.firstNumber = header.firstNumber;
    file.sizeBytes = sizeBytes;
    const trailer = await readTrailer(handle, file.sizeBytes, header.identity);
    return { file, handle, trailer, firstSequence: trailer?.firstSequence ?? await firstSequenceOf(handle, file) };
  }

  /**
   * Of two copies one is enough to go on; that the other is not what it was is worth knowing. Undefined: there was none yet, or
   * it cannot be told from what else is in the file either.
   */
  async #headerOf(
    handle: DiskFile,
    number: number,
    before: number,
    bytes: Uint8Array,
  ): Promise<HeaderAgain | undefined> {
    const name = fileName(number);
    let failure: LogError | undefined;
    try {
      const header = decodeFileHeader(bytes, name);
      if (header) {
        const wanted = encodeFileHeader(header);
        const at = wanted.findIndex((byte, position) => byte !== bytes[position]);
        if (at >= 0) this.#found("CORRUPT", name, at, FILE_HEADER_BYTES - at, "a copy of the header is damaged");
        return header;
      }
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      failure = error;
    }
    const again = failure?.code === "UNSUPPORTED_VERSION" ? undefined : await headerAgain(handle, number, before);
    if (again) {
      const what = "both copies of the header are destroyed; what else is in the file tells what was in them";
      this.#found("CORRUPT", name, 0, FILE_HEADER_BYTES, what);
    } else if (failure) {
      this.#found(failure.code, name, failure.position ?? 0, FILE_HEADER_BYTES, failure.message);
    }
    return again;
  }

  async #examine(opened: OpenFile, later: readonly OpenFile[]): Promise<void> {
    const { file, handle, trailer } = opened;
    const { scanBytes } = DEFAULT_LOG_LIMITS;
    const following = later.find((next) => next.firstSequence !== undefined)?.firstSequence;
    const counted: Counted = { blocks: 0, entries: 0, entryBytes: 0 };
    const window = new ScanWindow(handle, scanBytes);
    const index = new FileIndex(DEFAULT_LOG_LIMITS);
    const options = this.#optionsOf(opened, following);
    const summary = trailer && await this.#summaryOf(opened, trailer);
    const result = await scanBlocks(window, file, options, {
      records: (records) => {
        for (const record of records) {
          index.apply(record);
          if (!summary) this.#groups.applyRecord(record, file);
          for (const { count, bytes } of record.runs) {
            counted.entries += count;
            counted.entryBytes += bytes;
          }
        }
      },
      lostEntries: (group, lost, position, bytes) => {
        this.#found("CORRUPT", file.name, position, bytes, "an entry is damaged", group, lost);
        this.#groups.get(group)?.addDamage(lost);
      },
      lostBytes: (position, bytes) => this.#found("CORRUPT", file.name, position, bytes, "a block is damaged"),
      padding: (position, bytes) =>
        this.#found("CORRUPT", file.name, position, bytes, "what fills a block up is damaged"),
    });
    counted.blocks = result.blocks;
    if (summary) { for (const { delta, runs } of summary.deltas) this.#groups.applyDelta(delta, file, runs); }
    if (result.tornBytes > 0) this.#found("TORN", file.name, result.end, result.tornBytes, "a write was not finished");
    if (!trailer) await this.#checkEnd(opened, result.end + result.tornBytes);
    const { firstSequence, nextSequence } = trailer ?? result;
    if (
      trailer && this.#numberBefore === file.firstNumber - 1 && trailer.firstSequence > (this.#sequence ?? Infinity)
    ) {
      this.#found("CORRUPT", file.name, 0, 0, "blocks before its first one are missing");
    }
    this.#numberBefore = file.number;
    this.#sequence = nextSequence > 0 ? nextSequence : this.#sequence;
    const state = file.compactedBlocks > 0
      ? "compacted"
      : trailer
      ? "sealed"
      : counted.blocks > 0
      ? "open"
      : "prepared";
    this.#files.push({ file: file.name, state, sizeBytes: file.sizeBytes, ...counted, firstSequence, nextSequence });
  }

  #optionsOf({ file, trailer }: OpenFile, following: number | undefined): ScanOptions {
    const { searchBytes } = DEFAULT_LOG_LIMITS;
    if (file.compactedBlocks > 0) return compactedScan(file, searchBytes);
    const { firstSequence, nextSequence: untilSequence } = trailer ??
      { firstSequence: this.#sequence, nextSequence: following };
    const durable = untilSequence !== undefined;
    return { firstSequence, untilSequence, durable, blocksEnd: trailer?.blocksEnd, searchBytes };
  }

  /** The index of a sealed file; each part of it has a checksum. */
  async #summaryOf({ file, handle }: OpenFile, trailer: Trailer): Promise<Summary | undefined> {
    const { summaryPosition, summaryBytes } = trailer;
    const bytes = new Uint8Array(summaryBytes);
    const count = await handle.read(bytes, summaryPosition);
    try {
      const summary = decodeSummary(trailer, bytes.subarray(0, count), file.name);
      for (const { runs } of summary.deltas) {
        if (!runs) continue;
        const table = new Uint8Array(placeBytes(runs));
        const read = await handle.read(table, runs.position);
        if (decodeRuns(runs, table.subarray(0, read))) continue;
        this.#found("CORRUPT", file.name, runs.position, table.length, "the index of a group is damaged");
      }
      return summary;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#found("CORRUPT", file.name, summaryPosition, summaryBytes, "the summary is damaged");
      return undefined;
    }
  }

  /**
   * Behind the last block of a file without an index there is nothing, or the beginning of one: a file has its final
   * length before its index is written.
   */
  async #checkEnd({ file, handle }: OpenFile, end: number): Promise<void> {
    const piece = new Uint8Array(DEFAULT_LOG_LIMITS.scanBytes);
    for (let at = end; at < file.sizeBytes;) {
      const bytes = piece.subarray(0, await handle.read(piece, at));
      if (bytes.length === 0) return;
      const odd = bytes.findIndex((byte) => byte !== 0);
      if (odd >= 0) {
        const from = at + odd;
        const last = new Uint8Array(TRAILER_BYTES);
        await handle.read(last, file.sizeBytes - last.length);
        const what = "bytes behind the last block";
        if (isZero(last)) {
          return this.#found("TORN", file.name, from, file.sizeBytes - from, "an index was not finished");
        }
        return this.#found("CORRUPT", file.name, from, file.sizeBytes - from, what);
      }
      at += bytes.length;
    }
  }

  #checkNumbers(opened: readonly OpenFile[]): void {
    let before: WalFile | undefined;
    for (const { file } of opened) {
      if (before && file.firstNumber > before.number + 1) {
        const missing = fileName(before.number + 1);
        this.#found("MISSING_FILE", missing, 0, 0, "is missing: those around it are there");
      }
      before = file;
    }
  }

  #found(
    code: Finding["code"],
    file: string,
    position: number,
    bytes: number,
    what: string,
    group?: GroupId,
    lost?: IndexRange,
  ): void {
    this.#findings.push({ code, file, position, bytes, what, group, lost });
  }
}

async function firstSequenceOf(handle: DiskFile, file: WalFile): Promise<number | undefined> {
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  if (file.compactedBlocks > 0 || await handle.read(bytes, FILE_HEADER_BYTES) < bytes.length) return undefined;
  return decodeBlockHeader(bytes, 0, file.identity)?.sequence;
}

function emptyFile(file: string, sizeBytes: number, state: ExaminedFile["state"]): ExaminedFile {
  return { file, state, sizeBytes, blocks: 0, entries: 0, entryBytes: 0, firstSequence: 0, nextSequence: 0 };
}

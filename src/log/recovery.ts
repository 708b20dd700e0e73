/**
 * Opens what a folder holds. Sealed files give their summaries, the rest is scanned; so the time it takes follows the
 * last file or two, and not the backlog.
 */
import type { Disk, DiskFile } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hasBlankSector } from "./blank-sector.ts";
import { BLOCK_HEADER_BYTES, decodeBlockHeader, type Identity } from "./block.ts";
import { keptBytes } from "./compaction-plan.ts";
import { FileIndex } from "./file-index.ts";
import { createFile, randomIdentity } from "./file-set.ts";
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from "./file-header.ts";
import type { Summary, Trailer } from "./footer.ts";
import { type FoundFile, inspectFiles, listFolder, missing, tidyFolder } from "./folder.ts";
import { GroupTable } from "./group-table.ts";
import type { LogLimits } from "./limits.ts";
import { compactedScan, scanBlocks, type ScanResult, type ScanVisitor } from "./scan.ts";
import { readOrUndefined, ScanWindow } from "./scan-window.ts";
import type { RecoveryReport } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

export interface Recovered {
  readonly files: WalFile[];
  /** A file with a header and no block, made ready to be the next. */
  readonly prepared: WalFile | undefined;
  readonly logIdentity: Identity;
  readonly groups: GroupTable;
  readonly nextSequence: number;
  /** The last block has a sector of zeros by nature: another one is to follow at once (blank-sector.ts). */
  readonly endsBlank: boolean;
  readonly reserveBytes: number;
  readonly report: RecoveryReport;
}

/** @throws {LogError} `UNSUPPORTED_VERSION`, `FOREIGN_FILE`, `MISSING_FILE`, `CORRUPT`  @throws {DiskError} */
export async function recover(runtime: Runtime, folder: string, limits: LogLimits): Promise<Recovered> {
  const { disk } = runtime;
  await disk.makeFolder(folder);
  const listing = await listFolder(disk, folder);
  await tidyFolder(disk, folder, listing);
  const found = await inspectFiles(disk, folder, listing.numbers);
  // Names that an earlier run made and did not sync must not go away any more.
  await disk.syncFolder(folder);
  if (found.length === 0) {
    const logIdentity = randomIdentity(runtime.random);
    const first = await createFile(runtime, folder, 1, logIdentity, limits);
    const recovered = await new Replay(runtime, limits, []).finish([first], logIdentity, listing.reserveBytes);
    return { ...recovered, report: { ...recovered.report, isNew: true } };
  }
  const logIdentity = found.find((each) => each.logIdentity)?.logIdentity ?? randomIdentity(runtime.random);
  const rebuiltHeaders = await writeHeadersAgain(runtime, found, logIdentity);
  const replay = new Replay(runtime, limits, rebuiltHeaders);
  for (const [at, file] of found.entries()) await replay.file(file, found.slice(at + 1));
  return await replay.finish(found.map(({ file }) => file), logIdentity, listing.reserveBytes);
}

/** Of the files that had none any more; their names. */
async function writeHeadersAgain(
  { disk, log }: Runtime,
  found: readonly FoundFile[],
  logIdentity: Identity,
): Promise<string[]> {
  const headless = found.filter((each) => each.logIdentity === undefined).map(({ file }) => file);
  for (const { name, path, number, identity, compactedBlocks, firstNumber } of headless) {
    log.write("error", "both headers of a WAL file were destroyed: made again from what else is in it", { file: name });
    const handle = await disk.open(path, "write", "durable");
    try {
      await handle.write([encodeFileHeader({ number, identity, logIdentity, compactedBlocks, firstNumber })], 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
  return headless.map(({ name }) => name);
}

/** Applies the files in order. */
class Replay {
  readonly #runtime: Runtime;
  readonly #limits: LogLimits;
  readonly #groups = new GroupTable();
  readonly #rebuilt: string[] = [];
  readonly #rebuiltHeaders: readonly string[];
  #cut: RecoveryReport["cut"] = undefined;
  #endsBlank = false;
  #blocks = 0;
  #bytes = 0;
  /** Sequence of the next block; undefined until the first file has told. */
  #sequence: number | undefined = undefined;
  /** The last file is sealed: the next one was begun and must be there. */
  #sealedBefore: WalFile | undefined = undefined;

  constructor(runtime: Runtime, limits: LogLimits, rebuiltHeaders: readonly string[]) {
    this.#rebuiltHeaders = rebuiltHeaders;
    this.#runtime = runtime;
    this.#limits = limits;
  }

  async file(found: FoundFile, later: readonly FoundFile[]): Promise<void> {
    const { sealed, file } = found;
    if (sealed) this.#sealed(file, sealed.trailer, sealed.summary);
    else await this.#scan(found, later);
    this.#sealedBefore = file.sealed ? file : undefined;
  }

  async finish(files: WalFile[], logIdentity: Identity, reserveBytes: number): Promise<Recovered> {
    const lastNumber = files.at(-1)!.number;
    if (this.#sealedBefore) throw missing(lastNumber + 1, `${fileName(lastNumber)} is sealed`);
    const prepared = files.length > 1 && files.at(-1)!.firstSequence === 0 ? files.pop() : undefined;
    const last = files.at(-1)!;
    const { oldestFile } = last;
    // The block that its seal vouched for is lost: goes on in the next file, and leaves the lost one's number out.
    if (last.sealed) last.closed = true;
    const lostNumbers = last.sealed ? 1 : 0;
    if (files[0]!.firstNumber > Math.max(1, oldestFile)) throw missing(Math.max(1, oldestFile), "it is still needed");
    // What an earlier run no longer needed and had no time to delete.
    for (let first = files[0]!; first.number < oldestFile; first = files[0]!) {
      await removeFile(this.#runtime.disk, first);
      files.shift();
    }
    const report: RecoveryReport = {
      isNew: false,
      files: files.length,
      scannedBlocks: this.#blocks,
      scannedBytes: this.#bytes,
      cut: this.#cut,
      damage: files.flatMap((file) => file.damage),
      rebuiltIndexes: this.#rebuilt,
      rebuiltHeaders: this.#rebuiltHeaders,
    };
    const nextSequence = (this.#sequence ?? 1) + lostNumbers;
    const endsBlank = this.#endsBlank;
    return { files, prepared, logIdentity, groups: this.#groups, nextSequence, endsBlank, reserveBytes, report };
  }

  #sealed(file: WalFile, trailer: Trailer, summary: Summary): void {
    this.#setFacts(file, trailer);
    file.damage.push(...summary.damage);
    if (this.#sequence !== undefined && this.#sequence !== trailer.firstSequence) {
      file.damage.push({ file: file.name, position: 0, bytes: 0, group: undefined, lost: undefined });
    }
    if (file.damage.some(({ group }) => group === undefined)) this.#groups.loseUnknown();
    for (const { delta, runs } of summary.deltas) this.#groups.applyDelta(delta, file, runs);
    if (file.compactedBlocks > 0) {
      file.keptBytes = keptBytes(file, summary.deltas.map(({ delta }) => delta), this.#groups);
    }
    this.#sequence = trailer.nextSequence;
  }

  #setFacts(file: WalFile, trailer: Trailer): void {
    file.firstSequence = trailer.firstSequence;
    file.nextSequence = trailer.nextSequence;
    file.oldestFile = trailer.oldestFile;
    file.end = trailer.blocksEnd;
  }

  async #scan(found: FoundFile, later: readonly FoundFile[]): Promise<void> {
    const { file, trailer } = found;
    const { disk } = this.#runtime;
    if (trailer) this.#rebuilt.push(file.name);
    const handle = await disk.open(file.path, "write", "durable");
    file.writable = handle;
    const index = file.index = new FileIndex(this.#limits);
    const window = new ScanWindow(handle, this.#limits.scanBytes);
    const { searchBytes } = this.#limits;
    const following = trailer?.nextSequence ??
      later.find((next) => next.firstSequence !== undefined)?.firstSequence;
    if (file.compactedBlocks > 0) return await this.#scanCompacted(found, window, following);
    const result = await scanBlocks(window, file, {
      firstSequence: this.#sequence,
      untilSequence: following,
      durable: later.some((next) => next.hasBytes),
      blocksEnd: trailer?.blocksEnd,
      searchBytes,
    }, this.#visitor(file, index));
    this.#settle(file, result);
    if (result.firstSequence === 0 && this.#sealedBefore) this.#visitor(file, index).lostBytes(result.end, 0);
    if (!trailer) await this.#wipe(handle, file, result);
  }

  /** Its blocks have numbers of their own; what it stands for are all from the file before it to the one behind it. */
  async #scanCompacted({ file, trailer }: FoundFile, window: ScanWindow, following: number | undefined): Promise<void> {
    const { searchBytes } = this.#limits;
    const result = await scanBlocks(window, file, compactedScan(file, searchBytes), this.#visitor(file, file.index!));
    const firstSequence = trailer?.firstSequence ?? this.#sequence ?? 1;
    const nextSequence = following ?? firstSequence;
    const oldestFile = trailer?.oldestFile ?? result.oldestFile;
    this.#settle(file, { ...result, firstSequence, nextSequence, oldestFile });
  }

  #settle(file: WalFile, result: ScanResult): void {
    const { end, tornBytes } = result;
    file.end = end;
    file.firstSequence = result.firstSequence;
    file.nextSequence = result.nextSequence;
    file.oldestFile = result.oldestFile;
    file.closed = result.closed;
    // Nothing but damage: it counts as a file with blocks, and not as the next one made ready.
    if (file.closed && file.firstSequence === 0) {
      file.firstSequence = this.#sequence ?? 1;
      file.nextSequence = file.firstSequence + 1;
    }
    this.#blocks += result.blocks;
    this.#bytes += end - FILE_HEADER_BYTES;
    if (file.nextSequence > 0) this.#sequence = file.nextSequence;
    if (tornBytes > 0) this.#cut = { file: file.name, position: end, bytes: tornBytes };
  }

  /**
   * Takes away what a torn write left, so that there are zeros behind the last block again, and makes durable what was
   * only in the system's memory when the process ended: it counts from now on. Another sync does not do that: after one
   * that failed the system takes its memory for written (the process ended because of it, and here it starts again). So
   * the header and the last block are written once more; what is between was durable before that block was begun.
   */
  async #wipe(handle: DiskFile, file: WalFile, result: ScanResult): Promise<void> {
    if (!result.closed) {
      await handle.truncate(result.end);
      await handle.truncate(Math.max(result.end, this.#limits.fileBytes));
    }
    await writeAgain(handle, 0, FILE_HEADER_BYTES);
    const last = await writeAgain(handle, result.lastBlock, result.end);
    await handle.sync();
    // The next one may have been made ready, and has none yet.
    if (last) this.#endsBlank = isBlank(last, result.lastBlock, file.identity);
    file.sizeBytes = await handle.sizeBytes();
  }

  #visitor(file: WalFile, index: FileIndex): ScanVisitor {
    const groups = this.#groups;
    return {
      records(records) {
        for (const record of records) {
          index.apply(record);
          groups.applyRecord(record, file);
        }
      },
      lostEntries(group, lost, position, bytes) {
        file.damage.push({ file: file.name, position, bytes, group, lost });
        index.addDamage(group, lost);
        groups.get(group)?.addDamage(lost);
      },
      lostBytes(position, bytes) {
        file.damage.push({ file: file.name, position, bytes, group: undefined, lost: undefined });
        index.loseUnknown();
        groups.loseUnknown();
      },
    };
  }
}

/** What it has written. */
async function writeAgain(handle: DiskFile, from: number, to: number): Promise<Uint8Array | undefined> {
  if (from === to) return undefined;
  const bytes = new Uint8Array(to - from);
  // What cannot be read was told as damage, and is on the disk, such as it is.
  if (await readOrUndefined(handle, bytes, from) === undefined) return undefined;
  await handle.write([bytes], from);
  return bytes;
}

/** Whether the block at `position` has something that could be taken for torn. */
function isBlank(block: Uint8Array, position: number, identity: Identity): boolean {
  const header = decodeBlockHeader(block, 0, identity);
  if (!header || header.records === 0) return false;
  return hasBlankSector([block], position, BLOCK_HEADER_BYTES + header.tableBytes + header.dataBytes);
}

/** Durable when it resolves. */
async function removeFile(disk: Disk, file: WalFile): Promise<void> {
  await file.writable?.close();
  await disk.remove(file.path);
  await disk.syncFolder(file.path.slice(0, file.path.lastIndexOf("/")));
}

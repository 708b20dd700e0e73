/**
 * Gives back files in which nothing is needed any more.
 *
 * In the middle of the log such a file is replaced by a stub: its header and its summary, for what it says of groups
 * (terms, votes, cuts, removals) counts still, in its place between the files before and after. At the log's start
 * nothing comes before it that it could cut or remove: what is the latest of a group is written again, and it goes.
 */
import { DiskError } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type FileSet, randomIdentity } from "./file-set.ts";
import { encodeFileHeader, FILE_HEADER_BYTES } from "./file-header.ts";
import { readSealedSummary, UNFINISHED_SUFFIX } from "./folder.ts";
import { encodeFooter, type FooterItem } from "./footer.ts";
import type { GroupTable } from "./group-table.ts";
import type { ReadHandles } from "./read-handles.ts";
import { EMPTY_RECORD, type LogRecord } from "./record.ts";
import { sealedFacts } from "./seal.ts";
import type { WalFile } from "./wal-file.ts";
import type { Writer } from "./writer.ts";

export class Reclaimer {
  readonly #runtime: Runtime;
  readonly #files: FileSet;
  readonly #groups: GroupTable;
  readonly #writer: Writer;
  readonly #handles: ReadHandles;

  constructor(runtime: Runtime, files: FileSet, groups: GroupTable, writer: Writer, handles: ReadHandles) {
    this.#runtime = runtime;
    this.#files = files;
    this.#groups = groups;
    this.#writer = writer;
    this.#handles = handles;
  }

  /** Frees what can be freed now. @throws {DiskError} */
  async run(): Promise<void> {
    while (isFree(this.#files.files[0])) await this.#dropFirst();
    for (const file of this.#files.files.filter((file) => isFree(file) && !file.stub)) {
      // The trims that freed it must be durable before its entries are gone.
      await this.#barrier();
      if (!await this.#makeStub(file)) return;
    }
  }

  async #dropFirst(): Promise<void> {
    const { files } = this.#files;
    const file = files[0]!;
    await new Promise<void>((resolve) => {
      this.#writer.queueLate(() => {
        this.#files.oldestNeeded = file.number + 1;
        return this.#carried(file);
      }, resolve);
      this.#writer.flush();
    });
    files.shift();
    this.#handles.forget(file);
    await this.#runtime.disk.remove(file.path);
    // One at a time: a crash may not leave a gap between two files.
    await this.#runtime.disk.syncFolder(this.#files.folder);
  }

  /** What only this file says of groups that are still there. */
  #carried({ number, damage }: WalFile): LogRecord[] {
    const suspects = damage.some(({ group }) => group === undefined);
    const records: LogRecord[] = [];
    for (const state of this.#groups.values()) {
      const { group, heldBy, hardState, checkpoint, firstIndex, startOffset } = state;
      const suspect = state.suspect && suspects;
      if (heldBy.hardState !== number && heldBy.checkpoint !== number && heldBy.start !== number && !suspect) continue;
      records.push({
        ...EMPTY_RECORD,
        group,
        hardState: heldBy.hardState === number ? hardState : undefined,
        checkpoint: heldBy.checkpoint === number ? checkpoint : undefined,
        trim: heldBy.start === number ? { firstIndex, startOffset } : undefined,
        suspect,
      });
    }
    return records;
  }

  #barrier(): Promise<void> {
    return new Promise((resolve) => {
      this.#writer.queue(undefined, resolve);
      this.#writer.flush();
    });
  }

  /** Whether there was space for it. */
  async #makeStub(file: WalFile): Promise<boolean> {
    const { disk, random } = this.#runtime;
    const { folder, logIdentity } = this.#files;
    const summary = await this.#handles.with(file, (handle) => readSealedSummary(handle, file));
    if (!summary) return true;
    const identity = randomIdentity(random);
    const items: FooterItem[] = summary.deltas.map(({ delta }) => ({
      delta: { ...delta, entries: undefined, terms: [], damage: [] },
      runs: undefined,
    }));
    const facts = { ...sealedFacts(file), identity, blocksEnd: FILE_HEADER_BYTES };
    const footer = encodeFooter(facts, items, summary.damage.filter(({ group }) => group === undefined));
    const path = file.path + UNFINISHED_SUFFIX;
    try {
      const handle = await disk.open(path, "create");
      try {
        await handle.write([encodeFileHeader({ number: file.number, identity, logIdentity }), footer.bytes], 0);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await disk.remove(path);
      if (error instanceof DiskError && error.code === "DISK_FULL") return false;
      throw error;
    }
    this.#handles.forget(file);
    await disk.rename(path, file.path);
    await disk.syncFolder(folder);
    file.stub = true;
    file.end = FILE_HEADER_BYTES;
    return true;
  }
}

/** The current file is not sealed, so it never is. */
function isFree(file: WalFile | undefined): boolean {
  return file !== undefined && file.sealed && file.extents === 0;
}

/**
 * Gives back what nobody needs any more. At the log's start a file in which nothing is needed goes: nothing comes before
 * it that it could cut or remove, and what is the latest of a group is written again. The others are compacted.
 */
import type { Runtime } from "../runtime/runtime.ts";
import { Compaction } from "./compaction.ts";
import { filesToCompact, isWorthClosing } from "./compaction-plan.ts";
import type { FileSet } from "./file-set.ts";
import type { GroupTable } from "./group-table.ts";
import type { LogLimits } from "./limits.ts";
import type { ReadHandles } from "./read-handles.ts";
import { EMPTY_RECORD, type LogRecord } from "./record.ts";
import type { GroupId, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";
import type { Writer } from "./writer.ts";

export class Reclaimer {
  readonly #runtime: Runtime;
  readonly #limits: LogLimits;
  readonly #files: FileSet;
  readonly #groups: GroupTable;
  readonly #writer: Writer;
  readonly #handles: ReadHandles;
  readonly #compaction: Compaction;
  #stopped = false;

  constructor(
    runtime: Runtime,
    limits: LogLimits,
    files: FileSet,
    groups: GroupTable,
    writer: Writer,
    handles: ReadHandles,
    onDamage: (group: GroupId, error: LogError) => void,
  ) {
    this.#runtime = runtime;
    this.#limits = limits;
    this.#files = files;
    this.#groups = groups;
    this.#writer = writer;
    this.#handles = handles;
    const barrier = () => this.#writer.through();
    this.#compaction = new Compaction({ runtime, limits, files, groups, handles, barrier, onDamage });
  }

  /** Bytes that compaction has written anew since the start. */
  get compactedBytes(): number {
    return this.#compaction.compactedBytes;
  }

  /** Ends soon, whatever is left to do. */
  stop(): void {
    this.#stopped = true;
    this.#compaction.stop();
  }

  /** Gives back what can be given back now. False: there is more, and the disk had no room for it. @throws {DiskError} */
  async run(): Promise<boolean> {
    if (isWorthClosing(this.#files.current, this.#limits)) this.#writer.roll();
    while (!this.#stopped) {
      if (isFree(this.#files.files[0])) {
        if (!await this.#dropFirst()) return false;
        continue;
      }
      const { files, folder } = this.#files;
      // How much is free is asked only when there is something to do: each trim looks.
      if (filesToCompact(files, this.#limits, Infinity).length === 0) return true;
      const fitting = filesToCompact(files, this.#limits, await this.#runtime.disk.freeBytes(folder));
      if (fitting.length === 0 || !await this.#compaction.run(fitting)) return false;
    }
    return true;
  }

  /** Whether it is gone: not if the log is being closed and the disk is full. */
  async #dropFirst(): Promise<boolean> {
    const { files } = this.#files;
    const file = files[0]!;
    const isDurable = await this.#writer.through(() => {
      this.#files.oldestNeeded = file.number + 1;
      return this.#carried(file);
    });
    if (!isDurable) return false;
    files.shift();
    this.#handles.forget(file);
    await this.#runtime.disk.remove(file.path);
    // One at a time: a crash may not leave a gap between two files.
    await this.#runtime.disk.syncFolder(this.#files.folder);
    return true;
  }

  /** What only this file says of groups that are still there. */
  #carried({ number }: WalFile): LogRecord[] {
    const records: LogRecord[] = [];
    for (const state of this.#groups.values()) {
      // Why a group is suspect may be in any file: those few say it again each time.
      const { group, heldBy, hardState, checkpoint, firstIndex, startOffset, previousTerm, suspect } = state;
      // A compacted file stands for those before it: numbers may be lower than its own.
      const isHere = (heldNumber: number) => heldNumber > 0 && heldNumber <= number;
      const holds = { hard: isHere(heldBy.hardState), point: isHere(heldBy.checkpoint), start: isHere(heldBy.start) };
      if (!holds.hard && !holds.point && !holds.start && !suspect) continue;
      records.push({
        ...EMPTY_RECORD,
        group,
        hardState: holds.hard ? hardState : undefined,
        checkpoint: holds.point ? checkpoint : undefined,
        trim: holds.start ? { firstIndex, startOffset, previousTerm } : undefined,
        suspect,
      });
    }
    return records;
  }
}

/** The current file is not sealed, so it never is. */
function isFree(file: WalFile | undefined): boolean {
  return file !== undefined && file.sealed && file.extents === 0;
}

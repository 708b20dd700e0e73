/**
 * Writes sealed files anew that hold little of what is still needed: one takes the place of several that follow each
 * other. It has what they say of groups (terms, votes, cuts, removals), for that counts still, in its place between the
 * files before and after; and of their entries those that can be read, group by group, so that they are read in long
 * pieces from then on.
 */
import { DiskError } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { Entry } from "../records/entry.ts";
import { CompactedFile } from "./compacted-file.ts";
import { keptBytes } from "./compaction-plan.ts";
import type { GroupDelta } from "./file-index.ts";
import type { FileSet } from "./file-set.ts";
import { readSealedSummary } from "./folder.ts";
import type { RunsPlace } from "./group-state.ts";
import type { GroupTable } from "./group-table.ts";
import type { LogLimits } from "./limits.ts";
import { DamagedGroupError, type LiveRanges, readLiveEntries } from "./live-entries.ts";
import type { ReadHandles } from "./read-handles.ts";
import { EMPTY_RECORD, type LogRecord } from "./record.ts";
import { ScanWindow } from "./scan-window.ts";
import { type GroupId, type IndexRange, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** Of a record without entries, about. */
const RECORD_BYTES = 64;
/** Shorter pauses are made up for together: at full pace each millisecond would be a timer of its own. */
const PACE_MS_MIN = 5;

export interface CompactionOptions {
  readonly runtime: Runtime;
  readonly limits: LogLimits;
  readonly files: FileSet;
  readonly groups: GroupTable;
  readonly handles: ReadHandles;
  /** Resolves when all that was queued before is durable; to false if it will not be, for the log is being closed. */
  readonly barrier: () => Promise<boolean>;
  readonly onDamage: (group: GroupId, error: LogError) => void;
}

export class Compaction {
  readonly #options: CompactionOptions;
  #stopped = false;
  compactedBytes = 0;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** What is under way is given up soon. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Whether there may be more to do at once: not when it was stopped or the disk is full. What cannot be read stays, as
   * `unfit`. @throws {DiskError}
   */
  async run(replaced: readonly WalFile[]): Promise<boolean> {
    const { runtime, limits, files, barrier } = this.#options;
    const ranges = replaced.map((file) => this.#liveRanges(file));
    // What was trimmed, cut or removed must be so durably before its entries are gone.
    if (!await barrier()) return false;
    const target = new CompactedFile(runtime, limits, files, replaced);
    try {
      await target.open(runtime, replaced.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0));
      for (const [at, file] of replaced.entries()) await this.#copy(file, ranges[at]!, target);
      const runs = await target.finish();
      await target.close();
      await this.#replace(replaced, target, runs);
      return true;
    } catch (error) {
      await target.close();
      await runtime.disk.remove(target.path);
      if (error instanceof Unreadable) return true;
      if (!(error instanceof Stopped) && !(error instanceof DiskError && error.code === "DISK_FULL")) throw error;
      return false;
    }
  }

  #liveRanges(file: WalFile): LiveRanges {
    const ranges = new Map<GroupId, IndexRange>();
    if (file.extents === 0) return ranges;
    for (const { group, extents, firstIndex } of this.#options.groups.values()) {
      const extent = extents.find((extent) => extent.file === file);
      if (!extent) continue;
      ranges.set(group, { first: Math.max(extent.firstIndex, firstIndex), last: extent.lastIndex });
    }
    return ranges;
  }

  async #copy(file: WalFile, ranges: LiveRanges, target: CompactedFile): Promise<void> {
    const { runtime, handles, limits } = this.#options;
    await handles.with(file, async (handle) => {
      const summary = await readSealedSummary(handle, file);
      if (!summary) throw new LogError("CORRUPT", "its index is damaged", { file: file.name });
      const kept = summary.deltas.flatMap(({ delta }) => recordsOf(delta, this.#isSuperseded(delta, file)));
      for (const records of blocksOf(kept, limits.blockBytesMax)) await target.add(records);
      if (ranges.size === 0) return;
      const gathered = new Gathered();
      const window = new ScanWindow(handle, limits.scanBytes);
      const flush = async () => {
        this.compactedBytes += gathered.bytes;
        if (gathered.bytes > 0) await target.add(gathered.take());
      };
      await readLiveEntries(window, file, ranges, limits.searchBytes, {
        entries: (group, entries) => gathered.add(group, entries),
        block: async (bytes) => {
          if (gathered.bytes >= limits.blockBytesMax) await flush();
          await this.#pace(bytes);
        },
      });
      await flush();
      this.#checkAll(file, ranges, target);
    }).catch((error) => {
      if (!(error instanceof LogError || error instanceof DamagedGroupError)) throw error;
      this.#unreadable(file, error);
      throw new Unreadable(error.message);
    });
    runtime.log.write("debug", "a WAL file was compacted", { file: file.name, liveBytes: file.liveBytes });
  }

  /** Whether a later file has its successor, or the group's end: whoever opens the log comes to that. */
  #isSuperseded({ group }: GroupDelta, file: WalFile): boolean {
    return this.#options.groups.get(group)?.sealedCheckpoint?.file !== file;
  }

  /** What was in blocks that are damaged is missing now. @throws {DamagedGroupError} */
  #checkAll(file: WalFile, ranges: LiveRanges, { index }: CompactedFile): void {
    for (const [group, { first, last }] of ranges) {
      const delta = index.get(group);
      const whole = delta?.entries && delta.entries.firstIndex <= first && delta.entries.lastIndex === last;
      if (whole && delta.damage.length === 0) continue;
      const message = `entries of group ${group} in ${file.name} are lost: their blocks are damaged`;
      throw new DamagedGroupError(group, new LogError("CORRUPT", message, { file: file.name }));
    }
  }

  #debtMs = 0;

  /** Leaves the disk to others in between. @throws {Stopped} */
  async #pace(bytes: number): Promise<void> {
    this.#debtMs += bytes * 1000 / this.#options.limits.compactBytesPerSecond;
    if (this.#debtMs >= PACE_MS_MIN) {
      await sleep(this.#options.runtime, this.#debtMs);
      this.#debtMs = 0;
    }
    if (this.#stopped) throw new Stopped("the log is being closed");
  }

  #unreadable(file: WalFile, error: LogError | DamagedGroupError): void {
    if (error instanceof DamagedGroupError) {
      // Dropped or trimmed meanwhile: what could not be read is not needed any more.
      if (!this.#options.groups.get(error.group)?.hasEntriesIn(file)) return;
      this.#options.onDamage(error.group, error.error);
    }
    file.unfit = true;
    const why = error.message;
    this.#options.runtime.log.write("error", "a WAL file is damaged and stays as it is", { file: file.name, why });
  }

  /** From the rename on who looks for the old files waits until the new one is known. */
  async #replace(
    replaced: readonly WalFile[],
    { file, index, path }: CompactedFile,
    runs: ReadonlyMap<GroupId, RunsPlace>,
  ): Promise<void> {
    const { runtime: { disk }, files, groups, handles } = this.#options;
    let done = () => {};
    const moved = new Promise<void>((resolve) => done = resolve);
    for (const old of replaced) old.moved = moved;
    await disk.rename(path, file.path);
    await disk.syncFolder(files.folder);
    const from = new Set(replaced);
    for (const state of groups.values()) {
      const place = runs.get(state.group);
      const entries = index.get(state.group)?.entries;
      if (place && entries) state.moved(from, file, entries, place);
      state.checkpointMoved(from, file);
    }
    file.keptBytes = keptBytes(file, index.deltas(), groups);
    const left = replaced.find(({ extents }) => extents > 0);
    if (left) throw new Error(`${left.name} was compacted, and ${left.extents} groups still have entries in it`);
    files.files.splice(files.files.indexOf(replaced[0]!), replaced.length, file);
    for (const old of replaced) handles.forget(old);
    done();
    for (const old of replaced.slice(0, -1)) await disk.remove(old.path);
    if (replaced.length > 1) await disk.syncFolder(files.folder);
  }
}

/** What is under way is not done, and that does no harm: the log is being closed, or a file cannot be read whole. */
class Stopped extends Error {}
class Unreadable extends Error {}

/** Entries by group, until there are enough for a block. */
class Gathered {
  bytes = 0;
  #groups = new Map<GroupId, Entry[]>();

  add(group: GroupId, entries: readonly Entry[]): void {
    let known = this.#groups.get(group);
    if (!known) this.#groups.set(group, known = []);
    // What a later write of the same file has cut off.
    while (known.length > 0 && known.at(-1)!.index >= entries[0]!.index) this.bytes -= known.pop()!.byteLength;
    for (const entry of entries) {
      known.push(entry);
      this.bytes += entry.byteLength;
    }
  }

  take(): LogRecord[] {
    const records = [...this.#groups].filter(([, entries]) => entries.length > 0)
      .map(([group, entries]) => ({ ...EMPTY_RECORD, group, entries }));
    this.#groups = new Map();
    this.bytes = 0;
    return records;
  }
}

/** In blocks of a bounded size; at least one. */
function blocksOf(records: readonly LogRecord[], bytesMax: number): LogRecord[][] {
  const blocks: LogRecord[][] = [[]];
  let bytes = 0;
  for (const record of records) {
    bytes += RECORD_BYTES + (record.checkpoint?.state.length ?? 0);
    if (bytes > bytesMax && blocks.at(-1)!.length > 0) {
      blocks.push([]);
      bytes = RECORD_BYTES + (record.checkpoint?.state.length ?? 0);
    }
    blocks.at(-1)!.push(record);
  }
  return blocks;
}

/** What a file says of a group beside its entries, as records again; `isSuperseded`: without the checkpoint. */
function recordsOf(delta: GroupDelta, isSuperseded: boolean): LogRecord[] {
  const { group, reset, truncateFrom, hardState, trim, repaired, suspect } = delta;
  const checkpoint = isSuperseded ? undefined : delta.checkpoint;
  const removal = delta.remove ? [{ ...EMPTY_RECORD, group, remove: true }] : [];
  if (delta.gone) return removal;
  return [
    ...removal,
    { ...EMPTY_RECORD, group, reset, truncateFrom, checkpoint, hardState, trim, repaired, suspect },
  ];
}

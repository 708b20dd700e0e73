/** The log engine: one write-ahead log for all groups of a node, whose files stay as the storage of their entries. */
import type { Runtime } from "../runtime/runtime.ts";
import type { Entry } from "../records/entry.ts";
import { allocate } from "./bytes.ts";
import { FileSet } from "./file-set.ts";
import type { GroupState } from "./group-state.ts";
import type { GroupTable } from "./group-table.ts";
import { DEFAULT_LOG_LIMITS, type LogLimits } from "./limits.ts";
import { Maintenance } from "./maintenance.ts";
import { Reader } from "./reader.ts";
import { Reclaimer } from "./reclaim.ts";
import { EMPTY_RECORD, type LogRecord, type Trim } from "./record.ts";
import { recover, type Recovered } from "./recovery.ts";
import { Scrub } from "./scrub.ts";
import { Space } from "./space.ts";
import { Tails } from "./tails.ts";
import {
  type Checkpoint,
  type GroupId,
  type GroupLog,
  type GroupWrite,
  type Log,
  LogError,
  type RecoveryReport,
  type TakeMemory,
} from "./types.ts";
import { Writer } from "./writer.ts";

export interface LogOptions {
  readonly limits?: Partial<LogLimits>;
  /** Called when the disk becomes full, and when it has space again. */
  readonly onFull?: (full: boolean) => void;
  /** Called when something of a group cannot be read: what was written is not what is there. May come again. */
  readonly onDamage?: (group: GroupId, error: LogError) => void;
}

/**
 * Opens the log in `folder`, which must be its own (the caller holds the lock of the data folder), and recovers what
 * is there.
 *
 * @throws {LogError} `UNSUPPORTED_VERSION`, `FOREIGN_FILE`, `MISSING_FILE`, `CORRUPT` (only where no group can be
 * served; damage of single groups is in `log.report` and in each group's `damage` and `suspect`)
 * @throws {DiskError}
 * @example
 * const log = await openLog(createNodeRuntime(), "data/log", {});
 * log.write([{ group: 1, hardState, truncateFrom: 0, entries, checkpoint: undefined, resetLog: false }], () => ack());
 */
export async function openLog(runtime: Runtime, folder: string, options: LogOptions = {}): Promise<Log> {
  const wanted = { ...DEFAULT_LOG_LIMITS, ...options.limits };
  const readsMax = Math.max(1, Math.min(wanted.readsMax, runtime.disk.threads - 1));
  const limits: LogLimits = { ...wanted, readsMax };
  const recovered = await recover(runtime, folder, limits);
  const { onFull = () => {}, onDamage = () => {} } = options;
  return new LogEngine(runtime, folder, limits, recovered, onFull, onDamage);
}

export class LogEngine implements Log {
  readonly report: RecoveryReport;
  readonly #groups: GroupTable;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #files: FileSet;
  readonly #space: Space;
  readonly #reclaimer: Reclaimer;
  readonly #maintenance: Maintenance;
  readonly #scrub: Scrub;
  readonly #tails: Tails;
  /** Groups whose removal is queued: gone for the caller already. */
  readonly #removing = new Map<GroupId, number>();
  readonly #onDamage: (group: GroupId, error: LogError) => void;
  #closed = false;

  constructor(
    runtime: Runtime,
    folder: string,
    limits: LogLimits,
    recovered: Recovered,
    onFull: (full: boolean) => void,
    onDamage: (group: GroupId, error: LogError) => void,
  ) {
    const { groups, files, prepared, logIdentity, nextSequence, reserveBytes, report } = recovered;
    this.report = report;
    this.#onDamage = onDamage;
    this.#groups = groups;
    this.#tails = new Tails(groups);
    this.#space = new Space(runtime, folder, limits, onFull, () => this.#maintenance.wake());
    this.#files = new FileSet(runtime, folder, logIdentity, files, prepared, limits, this.#space);
    this.#writer = new Writer(
      runtime,
      limits,
      this.#files,
      groups,
      this.#space,
      nextSequence,
      () => {
        this.#maintenance.add(() => this.#space.provide());
        this.#maintenance.wake();
      },
    );
    this.#reader = new Reader(runtime, limits);
    const reclaimer = this.#reclaimer = new Reclaimer(
      runtime,
      limits,
      this.#files,
      groups,
      this.#writer,
      this.#reader.handles,
      onDamage,
    );
    this.#maintenance = new Maintenance(runtime, this.#files, groups, reclaimer, limits.fullRetryMs);
    this.#maintenance.add(() => this.#space.start(reserveBytes));
    if (recovered.endsBlank) this.#writer.proveLast();
    this.#scrub = new Scrub({ runtime, limits, files: this.#files, groups, handles: this.#reader.handles, onDamage });
    this.#scrub.start();
    this.#maintenance.wake();
  }

  get writeMs(): number {
    return this.#writer.writeMs;
  }

  get compactedBytes(): number {
    return this.#reclaimer.compactedBytes;
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  get full(): boolean {
    return this.#space.full;
  }

  get spareBytes(): number {
    return this.#space.spareBytes;
  }

  *groups(): IterableIterator<GroupLog> {
    for (const state of this.#groups.values()) if (!this.#removing.has(state.group)) yield state;
  }

  group(group: GroupId): GroupLog | undefined {
    return this.#state(group);
  }

  write(writes: readonly GroupWrite[], onDurable: () => void): void {
    this.#assertOpen();
    const last = writes.length - 1;
    if (last < 0) this.#writer.queue(undefined, onDurable);
    for (let at = 0; at <= last; at++) {
      const record = this.#toRecord(writes[at]!);
      this.#tails.accept(record);
      this.#writer.queue(record, at === last ? onDurable : undefined);
    }
    this.#writer.flush();
  }

  async read(
    group: GroupId,
    fromIndex: number,
    toIndex: number,
    bytesMax: number,
    memory: TakeMemory = allocate,
  ): Promise<Entry[]> {
    this.#assertOpen();
    const state = this.#state(group);
    if (!state || fromIndex > state.lastIndex || toIndex < fromIndex) {
      throw new LogError("OUT_OF_RANGE", `group ${group} has no entries ${fromIndex} to ${toIndex}`);
    }
    if (fromIndex < state.firstIndex) throw trimmed(group, fromIndex);
    try {
      return await this.#reader.read(
        state,
        { fromIndex, toIndex: Math.min(toIndex, state.lastIndex), bytesMax },
        memory,
      );
    } catch (error) {
      // Trimmed while it was read, and its file with it.
      if (fromIndex < state.firstIndex || this.#state(group) !== state) throw trimmed(group, fromIndex);
      throw this.#noticed(group, error);
    }
  }

  seekOffset(group: GroupId, offset: number): Promise<number> {
    return this.#seek(group, (state) => this.#reader.seekOffset(state, offset));
  }

  seekTime(group: GroupId, timestampMs: number): Promise<number> {
    return this.#seek(group, (state) => this.#reader.seekTime(state, timestampMs));
  }

  seekSize(group: GroupId, bytes: number): Promise<number> {
    return this.#seek(group, (state) => this.#reader.seekSize(state, bytes));
  }

  trim(group: GroupId, firstIndex: number, startOffset?: number, termBefore = 0): void {
    const state = this.#state(group);
    if (state ? firstIndex <= state.firstIndex : !this.#tails.has(group)) return;
    const offset = startOffset ?? (state ? offsetFromMemory(state, firstIndex) : 0);
    const trim = { firstIndex, startOffset: offset, previousTerm: termBefore || (state?.termOf(firstIndex - 1) ?? 0) };
    this.#writer.queue({ ...EMPTY_RECORD, group, trim });
    // What is not durable yet is trimmed when it is, and that should be soon.
    if (state && firstIndex <= state.lastIndex + 1) state.trim(trim);
    else this.#writer.flush();
    this.#maintenance.wake();
  }

  remove(group: GroupId): void {
    this.#tails.forget(group);
    this.#removing.set(group, (this.#removing.get(group) ?? 0) + 1);
    this.#writer.queue({ ...EMPTY_RECORD, group, remove: true }, () => {
      const left = this.#removing.get(group)! - 1;
      if (left === 0) this.#removing.delete(group);
      else this.#removing.set(group, left);
      this.#maintenance.wake();
    });
  }

  drop(group: GroupId, term: number, kept?: Checkpoint): Promise<void> {
    this.#assertOpen();
    const hardState = { term, vote: 0, commit: kept?.index ?? 0 };
    const start = kept ? { reset: true, checkpoint: kept, trim: startAfter(kept) } : {};
    const begun = { ...EMPTY_RECORD, group, ...start, hardState, suspect: true };
    this.#tails.forget(group);
    this.#tails.accept(begun);
    return new Promise((resolve) => {
      // In one block: a crash between the two would leave a group that knows nothing and does not know that.
      this.#writer.queueLate(() => [{ ...EMPTY_RECORD, group, remove: true }, begun], () => {
        this.#maintenance.wake();
        resolve();
      });
      this.#writer.flush();
    });
  }

  repaired(group: GroupId): void {
    const state = this.#state(group);
    // With term, vote and where the log ends: that they were written before proves nothing, should what is before this
    // record be damaged later. A truncation behind the end cuts nothing; found behind a gap it tells what is lost.
    this.#writer.queue({
      ...EMPTY_RECORD,
      group,
      repaired: true,
      hardState: this.#tails.hardState(group),
      truncateFrom: this.#tails.lastIndex(group) + 1,
    });
    state?.repaired(0);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#scrub.stop();
    // What finds no room from now on is given up: to wait for it might take for ever.
    this.#space.close();
    await this.#maintenance.close();
    await this.#writer.drained();
    await this.#reader.close();
    await this.#files.close();
  }

  async #seek(group: GroupId, seek: (state: GroupState) => Promise<number>): Promise<number> {
    const state = this.#stateOrThrow(group);
    try {
      return await seek(state);
    } catch (error) {
      throw this.#noticed(group, error);
    }
  }

  #noticed(group: GroupId, error: unknown): unknown {
    if (error instanceof LogError && error.code === "CORRUPT") this.#onDamage(group, error);
    return error;
  }

  #state(group: GroupId): GroupState | undefined {
    return this.#removing.has(group) ? undefined : this.#groups.get(group);
  }

  #stateOrThrow(group: GroupId): GroupState {
    this.#assertOpen();
    const state = this.#state(group);
    if (!state) throw new LogError("OUT_OF_RANGE", `group ${group} has no entries`);
    return state;
  }

  #toRecord(write: GroupWrite): LogRecord {
    const { group, hardState, truncateFrom, entries, checkpoint, resetLog } = write;
    const reset = resetLog && checkpoint !== undefined;
    return {
      group,
      remove: false,
      reset,
      truncateFrom,
      checkpoint,
      hardState,
      trim: reset ? startAfter(checkpoint) : undefined,
      // A group that begins now cannot have lost anything before.
      repaired: this.#groups.suspectAll && !this.#state(group),
      suspect: false,
      entries,
    };
  }

  #assertOpen(): void {
    if (this.#closed) throw new LogError("CLOSED", "the log is closed");
  }
}

/** Of a log whose first entry comes after the checkpoint. */
function startAfter({ index, nextOffset, term }: Checkpoint): Trim {
  return { firstIndex: index + 1, startOffset: nextOffset, previousTerm: term };
}

/** The first offset at `firstIndex`, or of a place not far before it. */
function offsetFromMemory(state: GroupState, firstIndex: number): number {
  const { checkpoint } = state;
  if (checkpoint?.index === firstIndex - 1) return checkpoint.nextOffset;
  const extent = state.extentOf(firstIndex);
  if (!extent) return state.startOffset;
  const runs = extent.file.index?.get(state.group)?.runs;
  return runs?.at(Math.max(0, runs.rowOfIndex(firstIndex))).firstOffset ?? extent.firstOffset;
}

function trimmed(group: GroupId, index: number): LogError {
  return new LogError("TRIMMED", `entry ${index} of group ${group} is trimmed away`);
}

/**
 * Reads and seeks. A read is planned at once, from memory, so that what changes meanwhile (a truncation) cannot mix old
 * entries with new ones; the reading itself goes through a bounded lane, so that readers far behind never keep the
 * writer from a disk thread.
 */
import PQueue from "p-queue";
import type { Runtime } from "../runtime/runtime.ts";
import type { Entry } from "../records/entry.ts";
import type { Extent, GroupState } from "./group-state.ts";
import type { LogLimits } from "./limits.ts";
import { ReadHandles } from "./read-handles.ts";
import { readRuns, type TakeEntry } from "./run-reader.ts";
import { RunSource } from "./run-source.ts";
import type { Run, RunTable } from "./run-table.ts";
import { type GroupId, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** A part of a plan: entries of one file. */
interface Part {
  readonly file: WalFile;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly bytes: number;
  /** Of an unsealed file: the runs as they were when the plan was made. */
  readonly runs: readonly Run[] | undefined;
  readonly sealed: Extent["runs"];
}

export class Reader {
  readonly #limits: LogLimits;
  readonly #lane: PQueue;
  readonly #source: RunSource;
  readonly handles: ReadHandles;

  constructor(runtime: Runtime, limits: LogLimits) {
    this.#limits = limits;
    this.#lane = new PQueue({ concurrency: limits.readsMax });
    this.handles = new ReadHandles(runtime.disk);
    this.#source = new RunSource(limits, this.handles, runtime.log);
  }

  async read(state: GroupState, fromIndex: number, toIndex: number, bytesMax: number): Promise<Entry[]> {
    const parts = this.#plan(state, fromIndex, toIndex, bytesMax);
    const entries: Entry[] = [];
    let bytes = 0;
    const take: TakeEntry = (entry) => {
      entries.push(entry);
      bytes += entry.byteLength;
      return entry.index < toIndex && bytes < bytesMax;
    };
    try {
      for (const part of parts) if (!await this.#readPart(state, part, fromIndex, bytesMax - bytes, take)) break;
    } catch (error) {
      // What came before the damage is good; who goes on from there meets it.
      if (entries.length === 0 || !(error instanceof LogError)) throw error;
    }
    if (entries.length === 0) throw lost(state.group, fromIndex);
    return entries;
  }

  async seekOffset(state: GroupState, offset: number): Promise<number> {
    if (offset <= state.startOffset) return state.firstIndex;
    const after = state.lastIndex + 1;
    const at = state.extents.findLastIndex((extent) => extent.firstOffset <= offset);
    if (at < 0) return state.extents[0] ? Math.max(state.firstIndex, state.extents[0].firstIndex) : after;
    const [part] = this.#partsOf(state, state.extents.slice(at, at + 1));
    const runs = await this.#runs(part!, state.group);
    const row = Math.max(0, runs.findLastIndex((run) => run.firstOffset <= offset));
    const found = await this.#find(state, part!, runs.slice(row, row + 1), (entry) => entry.nextOffset > offset);
    return Math.max(
      state.firstIndex,
      found ?? (runs[row + 1]?.firstIndex ?? state.extents[at + 1]?.firstIndex ?? after),
    );
  }

  async seekTime(state: GroupState, timestampMs: number): Promise<number> {
    const after = state.lastIndex + 1;
    const { firstIndex } = state;
    for (const part of this.#partsOf(state, state.extents.filter((extent) => extent.maxTimestampMs >= timestampMs))) {
      const runs = (await this.#runs(part, state.group)).filter((run) => run.maxTimestampMs >= timestampMs);
      const isLater = (entry: Entry) => entry.index >= firstIndex && entry.maxTimestampMs >= timestampMs;
      for (const run of runs) {
        const found = await this.#find(state, part, [run], isLater);
        if (found !== undefined) return found;
      }
    }
    return after;
  }

  /** When nothing is being read any more. */
  async close(): Promise<void> {
    await this.#lane.onIdle();
    await this.handles.close();
  }

  #plan(state: GroupState, fromIndex: number, toIndex: number, bytesMax: number): Part[] {
    const first = state.extentOf(fromIndex);
    if (!first) throw lost(state.group, fromIndex);
    const extents: Extent[] = [];
    let bytes = 0;
    for (let at = state.extents.indexOf(first); at < state.extents.length; at++) {
      const extent = state.extents[at]!;
      const previous = extents.at(-1);
      if (extent.firstIndex > toIndex || bytes >= bytesMax) break;
      if (previous && extent.firstIndex !== previous.lastIndex + 1) break;
      // How much of the first one comes before `fromIndex` is not known here: then it does not count.
      if (extent.firstIndex >= fromIndex) bytes += extent.bytes;
      extents.push(extent);
    }
    return this.#partsOf(state, extents, fromIndex, toIndex, bytesMax);
  }

  /** Copies what may change while it is read. */
  #partsOf(
    state: GroupState,
    extents: readonly Extent[],
    fromIndex = 1,
    toIndex = Infinity,
    bytesMax = Infinity,
  ): Part[] {
    return extents.map((extent) => {
      const { file, firstIndex, lastIndex, bytes, runs: sealed } = extent;
      const live = sealed ? undefined : this.#source.live(extent, state.group);
      const runs = live && rowsOf(live, { fromIndex, toIndex: Math.min(toIndex, lastIndex), bytesMax });
      return { file, firstIndex, lastIndex, bytes, runs, sealed };
    });
  }

  async #readPart(
    state: GroupState,
    part: Part,
    fromIndex: number,
    bytesMax: number,
    take: TakeEntry,
  ): Promise<boolean> {
    const from = Math.max(fromIndex, part.firstIndex);
    const all = await this.#runs(part, state.group, { fromIndex: from, toIndex: part.lastIndex, bytesMax });
    return await this.#readRuns(state.group, part, all, from, take);
  }

  /** Each run clipped to what the extent still shows of it. */
  async #runs(part: Part, group: GroupId, want?: Wanted): Promise<Run[]> {
    const runs = part.runs ??
      rowsOf(
        await this.#source.sealed(part.file, part.sealed!, group),
        want ?? { fromIndex: 1, toIndex: part.lastIndex, bytesMax: Infinity },
      );
    return runs
      .filter((run) => run.firstIndex <= part.lastIndex)
      .map((run) => run.lastIndex <= part.lastIndex ? run : { ...run, lastIndex: part.lastIndex });
  }

  async #readRuns(
    group: GroupId,
    part: Part,
    runs: readonly Run[],
    fromIndex: number,
    take: TakeEntry,
  ): Promise<boolean> {
    const first = runs[0];
    if (!first || first.firstIndex > fromIndex || first.lastIndex < fromIndex) throw lost(group, fromIndex);
    return await this.#lane.add(() =>
      this.handles.with(
        part.file,
        (handle) => readRuns(handle, part.file, group, runs, fromIndex, this.#limits, take),
      )
    );
  }

  /** The first entry that `is` holds for. */
  async #find(
    state: GroupState,
    part: Part,
    runs: readonly Run[],
    is: (entry: Entry) => boolean,
  ): Promise<number | undefined> {
    let found: number | undefined;
    await this.#readRuns(state.group, part, runs, runs[0]!.firstIndex, (entry) => {
      if (is(entry)) found = entry.index;
      return found === undefined;
    });
    return found;
  }
}

interface Wanted {
  readonly fromIndex: number;
  readonly toIndex: number;
  readonly bytesMax: number;
}

/** The rows that hold what is wanted, and not many more; without gaps between them. */
function rowsOf(table: RunTable, { fromIndex, toIndex, bytesMax }: Wanted): Run[] {
  const runs: Run[] = [];
  let bytes = 0;
  for (let row = Math.max(0, table.rowOfIndex(fromIndex)); row < table.count; row++) {
    const run = table.at(row);
    const previous = runs.at(-1);
    if (run.firstIndex > toIndex || bytes >= bytesMax) break;
    if (previous && bytesMax !== Infinity && run.firstIndex !== previous.lastIndex + 1) break;
    if (run.firstIndex >= fromIndex) bytes += run.bytes;
    runs.push(run);
  }
  return runs;
}

function lost(group: GroupId, index: number): LogError {
  return new LogError("CORRUPT", `entry ${index} of group ${group} is lost: the blocks that held it are damaged`);
}

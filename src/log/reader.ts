/**
 * Reads and seeks. A read is planned at once, from memory, so that what changes meanwhile (a truncation) cannot mix old
 * entries with new ones; the reading itself goes through a bounded lane, so that readers far behind never keep the
 * writer from a disk thread.
 */
import PQueue from "p-queue";
import type { Runtime } from "../runtime/runtime.ts";
import type { Entry } from "../records/entry.ts";
import { allocate } from "./bytes.ts";
import type { Extent, GroupState } from "./group-state.ts";
import type { LogLimits } from "./limits.ts";
import { FileMovedError, ReadHandles } from "./read-handles.ts";
import { readPieces, type TakeEntry } from "./run-reader.ts";
import { RunSource } from "./run-source.ts";
import { readOrUndefined } from "./scan-window.ts";
import type { Piece, RunTable } from "./run-table.ts";
import { type GroupId, LogError, type TakeMemory } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** A part of a plan: entries of one file. */
interface Part {
  readonly file: WalFile;
  readonly lastIndex: number;
  /** Of an unsealed file: as they were when the plan was made. */
  readonly pieces: readonly Piece[] | undefined;
  readonly sealed: Extent["runs"];
}

export interface Wanted {
  readonly fromIndex: number;
  readonly toIndex: number;
  readonly bytesMax: number;
}

export class Reader {
  readonly #limits: LogLimits;
  /** Single reads of the disk. */
  readonly #lane: PQueue;
  /** Reads of a group: each is many of the disk. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #source: RunSource;
  readonly handles: ReadHandles;

  constructor(runtime: Runtime, limits: LogLimits) {
    this.#limits = limits;
    this.#lane = new PQueue({ concurrency: limits.readsMax });
    this.handles = new ReadHandles(runtime.disk);
    this.#source = new RunSource(limits, this.handles, runtime.log);
  }

  read(state: GroupState, wanted: Wanted, memory: TakeMemory): Promise<Entry[]> {
    return whereverItIs(() => this.#read(state, wanted, memory));
  }

  seekOffset(state: GroupState, offset: number): Promise<number> {
    return whereverItIs(() => this.#seekOffset(state, offset));
  }

  seekTime(state: GroupState, timestampMs: number): Promise<number> {
    return whereverItIs(() => this.#seekTime(state, timestampMs));
  }

  seekSize(state: GroupState, bytes: number): Promise<number> {
    return whereverItIs(() => this.#seekSize(state, bytes));
  }

  /** When nothing is being read any more. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.handles.close();
  }

  async #read(state: GroupState, wanted: Wanted, memory: TakeMemory): Promise<Entry[]> {
    const { group } = state;
    const { fromIndex, toIndex, bytesMax } = wanted;
    const entries: Entry[] = [];
    let bytes = 0;
    const take: TakeEntry = (entry) => {
      entries.push(entry);
      bytes += entry.byteLength;
      return entry.index < toIndex && bytes < bytesMax;
    };
    const parts = this.#plan(state, wanted);
    try {
      for (const part of parts) {
        const next = entries.length === 0 ? fromIndex : entries.at(-1)!.index + 1;
        const pieces = await this.#piecesOf(part, group, { fromIndex: next, toIndex, bytesMax: bytesMax - bytes });
        if (!await this.#readPieces(group, part.file, pieces, next, take, memory)) break;
      }
    } catch (error) {
      // What came before the damage is good; who goes on from there meets it.
      if (entries.length === 0 || !(error instanceof LogError)) throw error;
    }
    if (entries.length === 0) throw lost(group, fromIndex);
    return entries;
  }

  async #seekOffset(state: GroupState, offset: number): Promise<number> {
    if (offset <= state.startOffset) return state.firstIndex;
    const after = state.lastIndex + 1;
    const { extents } = state;
    const at = extents.findLastIndex((extent) => extent.firstOffset <= offset);
    const following = extents[at + 1]?.firstIndex ?? after;
    const extent = extents[at];
    if (!extent) return Math.max(state.firstIndex, following);
    const { file, lastIndex } = extent;
    const table = await this.#tableOf(extent, state.group);
    const row = Math.max(0, table.rowOfOffset(offset));
    const next = row + 1 < table.count ? Math.min(table.firstIndexOf(row + 1), lastIndex + 1) : following;
    const found = await this.#find(state.group, file, table, row, lastIndex, (entry) => entry.nextOffset > offset);
    return Math.max(state.firstIndex, found ?? (next > lastIndex ? following : next));
  }

  async #seekTime(state: GroupState, timestampMs: number): Promise<number> {
    const { group, firstIndex } = state;
    const after = state.lastIndex + 1;
    const isLater = (entry: Entry) => entry.index >= firstIndex && entry.maxTimestampMs >= timestampMs;
    for (const extent of state.extents.filter((extent) => extent.maxTimestampMs >= timestampMs)) {
      const { file, lastIndex } = extent;
      const table = await this.#tableOf(extent, group);
      for (let row = 0; row < table.count && table.firstIndexOf(row) <= lastIndex; row++) {
        if (table.maxTimestampOf(row) < timestampMs) continue;
        const found = await this.#find(group, file, table, row, lastIndex, isLater);
        if (found !== undefined) return found;
      }
    }
    return after;
  }

  async #seekSize(state: GroupState, bytes: number): Promise<number> {
    let left = bytes;
    for (const extent of [...state.extents].reverse()) {
      if (extent.bytes <= left) {
        left -= extent.bytes;
        continue;
      }
      const table = await this.#tableOf(extent, state.group);
      let from = extent.lastIndex + 1;
      for (let row = table.rowOfIndex(extent.lastIndex); row >= 0 && table.bytesOf(row) <= left; row--) {
        left -= table.bytesOf(row);
        from = table.firstIndexOf(row);
      }
      return Math.max(state.firstIndex, from);
    }
    return state.firstIndex;
  }

  /** Which files are read; of those that may change while it goes on, which pieces. */
  #plan(state: GroupState, wanted: Wanted): Part[] {
    const { extents, group } = state;
    const first = state.extentOf(wanted.fromIndex);
    if (!first) throw lost(group, wanted.fromIndex);
    const parts: Part[] = [];
    let bytes = 0;
    let next = first.firstIndex;
    for (let at = extents.indexOf(first); at < extents.length; at++) {
      const extent = extents[at]!;
      const { file, firstIndex, lastIndex, runs: sealed } = extent;
      if (firstIndex !== next || firstIndex > wanted.toIndex || bytes >= wanted.bytesMax) break;
      const live = sealed ? undefined : this.#source.live(extent, group);
      parts.push({ file, lastIndex, pieces: live && piecesOf(live, lastIndex, wanted), sealed });
      // How much of the first one lies before `fromIndex` is not known here: then it does not count.
      if (firstIndex >= wanted.fromIndex) bytes += extent.bytes;
      next = lastIndex + 1;
    }
    return parts;
  }

  async #piecesOf(part: Part, group: GroupId, wanted: Wanted): Promise<readonly Piece[]> {
    if (part.pieces) return part.pieces;
    return piecesOf(await this.#source.sealed(part.file, part.sealed!, group), part.lastIndex, wanted);
  }

  /** For seeks, which take one run of it at once and nothing later. */
  async #tableOf(extent: Extent, group: GroupId): Promise<RunTable> {
    if (extent.runs) return await this.#source.sealed(extent.file, extent.runs, group);
    const live = this.#source.live(extent, group);
    if (!live) throw lost(group, extent.firstIndex);
    return live;
  }

  async #readPieces(
    group: GroupId,
    file: WalFile,
    pieces: readonly Piece[],
    fromIndex: number,
    take: TakeEntry,
    memory: TakeMemory = allocate,
  ): Promise<boolean> {
    const first = pieces[0];
    if (!first || first.firstIndex > fromIndex || first.lastIndex < fromIndex) throw lost(group, fromIndex);
    const limits = this.#limits;
    const reading = this.handles.with(file, (handle) => {
      const read = (into: Uint8Array, position: number) =>
        this.#lane.add(() => readOrUndefined(handle, into, position));
      return readPieces({ file, group, read, memory, limits }, pieces, fromIndex, take);
    });
    this.#underWay.add(reading);
    try {
      return await reading;
    } finally {
      this.#underWay.delete(reading);
    }
  }

  /** The first entry of a run, up to `lastIndex`, that `is` holds for. */
  async #find(
    group: GroupId,
    file: WalFile,
    table: RunTable,
    row: number,
    lastIndex: number,
    is: (entry: Entry) => boolean,
  ): Promise<number | undefined> {
    let found: number | undefined;
    const { pieces } = table.at(row);
    const visible = clipped(pieces, lastIndex);
    if (visible.length === 0) return undefined;
    await this.#readPieces(group, file, visible, visible[0]!.firstIndex, (entry) => {
      if (is(entry)) found = entry.index;
      return found === undefined;
    });
    return found;
  }
}

/** A file may be replaced between the plan of a read and the read: then it is planned again. */
async function whereverItIs<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FileMovedError)) throw error;
      await error.done;
    }
  }
}

/** The pieces that hold what is wanted, without a gap, and not many more. */
function piecesOf(table: RunTable, lastIndex: number, { fromIndex, toIndex, bytesMax }: Wanted): Piece[] {
  const wanted: Piece[] = [];
  const last = Math.min(toIndex, lastIndex);
  let bytes = 0;
  for (let row = Math.max(0, table.rowOfIndex(fromIndex)); row < table.count; row++) {
    if (table.firstIndexOf(row) > last || bytes >= bytesMax) break;
    for (const piece of clipped(table.at(row).pieces, lastIndex)) {
      if (piece.lastIndex < fromIndex) continue;
      if (piece.firstIndex > last || bytes >= bytesMax) break;
      if (wanted.length > 0 && piece.firstIndex !== wanted.at(-1)!.lastIndex + 1) return wanted;
      if (piece.firstIndex >= fromIndex) bytes += piece.bytes;
      wanted.push(piece);
    }
  }
  return wanted;
}

/** Without what was cut off behind `lastIndex` after the file was sealed. */
function clipped(pieces: readonly Piece[], lastIndex: number): Piece[] {
  return pieces
    .filter((piece) => piece.firstIndex <= lastIndex)
    .map((piece) => piece.lastIndex <= lastIndex ? piece : { ...piece, lastIndex });
}

function lost(group: GroupId, index: number): LogError {
  return new LogError("CORRUPT", `entry ${index} of group ${group} is lost: the blocks that held it are damaged`);
}

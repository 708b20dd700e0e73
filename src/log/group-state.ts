/** What the engine keeps in memory of one group: bounds, terms, state, and which files hold its entries. */
import type { HardState } from "../raft/types.ts";
import type { Checkpoint, GroupId, GroupLog, IndexRange } from "./types.ts";
import type { Trim } from "./record.ts";
import type { WalFile } from "./wal-file.ts";

/** A group's entries in one file; where each lies is in the file's index. */
export interface Extent {
  readonly file: WalFile;
  readonly firstIndex: number;
  lastIndex: number;
  readonly firstOffset: number;
  maxTimestampMs: number;
  bytes: number;
  /** Of `bytes`, those of entries that are not trimmed: about. */
  liveBytes: number;
  /** Where the runs are in a sealed file; an unsealed one has them in memory. */
  runs: RunsPlace | undefined;
}

export interface SealedCheckpoint {
  readonly file: WalFile;
  readonly bytes: number;
}

export interface RunsPlace {
  readonly position: number;
  /** How many. */
  readonly runs: number;
  readonly pieces: number;
  readonly crc: number;
}

/** Entries back to back in index, as they are added. */
export interface Appended {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly firstOffset: number;
  readonly maxTimestampMs: number;
  readonly bytes: number;
}

const NEW_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/** Invariant: extents ascend, do not overlap, and end at `lastIndex` unless the log is empty. */
export class GroupState implements GroupLog {
  readonly group: GroupId;
  hardState: HardState = NEW_HARD_STATE;
  checkpoint: Checkpoint | undefined = undefined;
  lastIndex = 0;
  suspect = false;
  /** Something was destroyed since its last entries: it may have cut them, and put others in their place. */
  unsure = false;
  /** Its last checkpoint in a sealed file: there it is twice, so those before it are not needed any more. */
  sealedCheckpoint: SealedCheckpoint | undefined = undefined;
  /** Numbers of the files that hold the latest of each: when one is freed they are written again. */
  readonly heldBy = { hardState: 0, checkpoint: 0, start: 0 };
  readonly extents: Extent[] = [];
  #terms: [number, number][] = [];
  #damage: IndexRange[] = [];
  #firstIndex = 1;
  #startOffset = 0;
  #previousTerm = 0;

  constructor(group: GroupId) {
    this.group = group;
  }

  get firstIndex(): number {
    return this.#firstIndex;
  }

  get previousTerm(): number {
    return this.#previousTerm;
  }

  get startOffset(): number {
    return this.#startOffset;
  }

  get terms(): readonly (readonly [number, number])[] {
    return this.#terms;
  }

  get damage(): readonly IndexRange[] {
    return this.#damage;
  }

  /** Of an extent that was cut at one end, the share of the entries that are left. */
  get sizeBytes(): number {
    return this.extents.reduce((bytes, extent) => bytes + extent.liveBytes, 0);
  }

  get newestTimestampMs(): number {
    return this.extents.reduce((newest, extent) => Math.max(newest, extent.maxTimestampMs), 0);
  }

  /** A file that is sealed has a checkpoint; undefined: the group is gone. */
  setSealedCheckpoint(next: SealedCheckpoint | undefined): void {
    const before = this.sealedCheckpoint;
    if (before && next && before.file.number > next.file.number) return;
    if (before) before.file.keptBytes = Math.max(0, before.file.keptBytes - before.bytes);
    this.sealedCheckpoint = next;
  }

  /** The log is empty and starts where this says. */
  reset({ firstIndex, startOffset, previousTerm }: Trim): void {
    this.dropAll();
    this.lastIndex = firstIndex - 1;
    this.#firstIndex = firstIndex;
    this.#startOffset = startOffset;
    this.#previousTerm = previousTerm;
  }

  dropAll(): void {
    for (const extent of this.extents) drop(extent);
    this.extents.length = 0;
    this.#terms = [];
    this.#damage = [];
    this.lastIndex = 0;
    this.#firstIndex = 1;
    this.#startOffset = 0;
    this.#previousTerm = 0;
  }

  truncateFrom(index: number): void {
    if (index > this.lastIndex) return;
    this.lastIndex = index - 1;
    for (let last = this.extents.at(-1); last && last.lastIndex >= index; last = this.extents.at(-1)) {
      // Something of it can be read still.
      if (Math.max(last.firstIndex, this.#firstIndex) < index) {
        last.bytes = Math.round(last.bytes * (index - last.firstIndex) / (last.lastIndex - last.firstIndex + 1));
        last.lastIndex = index - 1;
        this.#measure(last);
        break;
      }
      drop(last);
      this.extents.pop();
    }
    while (this.#terms.length > 0 && this.#terms.at(-1)![0] >= index) this.#terms.pop();
    this.#damage = clip(this.#damage, 1, index - 1);
    if (this.#firstIndex > index) this.#begin(index);
  }

  /**
   * Adds entries after the last one. A gap can only come from damage: what is missing is noted.
   * `runs`: where a sealed file has their runs.
   */
  append(file: WalFile, added: Appended, term: number, runs?: RunsPlace): void {
    const { firstIndex, lastIndex } = added;
    this.truncateFrom(firstIndex);
    if (this.unsure) this.#judgeEnd(firstIndex, term);
    if (firstIndex > this.lastIndex + 1) {
      if (this.lastIndex > 0) this.addDamage({ first: this.lastIndex + 1, last: firstIndex - 1 });
    }
    if (this.extents.length === 0 && this.lastIndex < this.#firstIndex && this.#damage.length === 0) {
      if (firstIndex !== this.#firstIndex) this.#begin(firstIndex);
      this.#startOffset = added.firstOffset;
    }
    const last = this.extents.at(-1);
    if (last?.file === file && runs === undefined) {
      last.lastIndex = lastIndex;
      last.bytes += added.bytes;
      last.liveBytes += added.bytes;
      file.liveBytes += added.bytes;
      if (added.maxTimestampMs > last.maxTimestampMs) last.maxTimestampMs = added.maxTimestampMs;
    } else {
      const extent = { file, ...pick(added), liveBytes: 0, runs };
      this.extents.push(extent);
      this.#measure(extent);
      file.extents++;
    }
    this.lastIndex = lastIndex;
  }

  /** What `from` says of the group, `to` says now. */
  checkpointMoved(from: ReadonlySet<WalFile>, to: WalFile): void {
    const { sealedCheckpoint } = this;
    if (sealedCheckpoint && from.has(sealedCheckpoint.file)) this.sealedCheckpoint = { ...sealedCheckpoint, file: to };
  }

  /** What was left of the entries in `from`, which follow each other, is in `to` now. */
  moved(from: ReadonlySet<WalFile>, to: WalFile, entries: Appended, runs: RunsPlace): void {
    const at = this.extents.findIndex(({ file }) => from.has(file));
    if (at < 0) return;
    const old = this.extents.filter(({ file }) => from.has(file));
    for (const extent of old) drop(extent);
    const lastIndex = Math.min(entries.lastIndex, old.at(-1)!.lastIndex);
    const extent: Extent = { file: to, ...pick(entries), lastIndex, liveBytes: 0, runs };
    this.extents.splice(at, old.length, extent);
    this.#measure(extent);
    to.extents++;
  }

  /** How much of it is still needed: as if all entries were of the same size. */
  #measure(extent: Extent): void {
    const { firstIndex, lastIndex, bytes, file } = extent;
    const hidden = Math.max(0, this.#firstIndex - firstIndex);
    const liveBytes = Math.max(0, Math.round(bytes * (1 - hidden / (lastIndex - firstIndex + 1))));
    file.liveBytes += liveBytes - extent.liveBytes;
    extent.liveBytes = liveBytes;
  }

  /**
   * What stands in front of the entries that follow a destroyed place: known to be right if its term is the same (log
   * matching, Raft §5.3) or if it was committed; the rest may be what was cut off there.
   */
  #judgeEnd(firstIndex: number, term: number): void {
    this.unsure = false;
    const sureUpTo = Math.max(this.hardState.commit, this.checkpoint?.index ?? 0, this.#firstIndex - 1);
    const isSame = this.#terms.at(-1)?.[1] === term;
    if (!isSame && this.lastIndex > sureUpTo && this.lastIndex < firstIndex) {
      this.addDamage({ first: sureUpTo + 1, last: this.lastIndex });
    }
  }

  /** The entry at `index` and those after it have this term. */
  addTerm(index: number, term: number): void {
    if (this.#terms.at(-1)?.[1] !== term) this.#terms.push([index, term]);
  }

  /** Of the entry at `index`, if it is in the log or just before it; 0: not known. */
  termOf(index: number): number {
    if (index < this.#firstIndex) return index === this.#firstIndex - 1 ? this.#previousTerm : 0;
    return index > this.lastIndex ? 0 : this.#terms.findLast(([first]) => first <= index)?.[1] ?? 0;
  }

  trim({ firstIndex, startOffset, previousTerm }: Trim): void {
    // Of a log whose first file is gone the entries are met before the trim that says what was before them.
    if (firstIndex === this.#firstIndex) this.#previousTerm ||= previousTerm;
    if (firstIndex <= this.#firstIndex) return;
    this.#previousTerm = previousTerm || this.termOf(firstIndex - 1);
    this.#firstIndex = firstIndex;
    this.#startOffset = Math.max(this.#startOffset, startOffset);
    if (this.lastIndex < firstIndex - 1) this.lastIndex = firstIndex - 1;
    let gone = 0;
    while (gone < this.extents.length && this.extents[gone]!.lastIndex < firstIndex) gone++;
    for (const extent of this.extents.splice(0, gone)) drop(extent);
    const [first] = this.extents;
    if (first) this.#measure(first);
    const terms = this.#terms;
    while (terms.length > 1 && terms[1]![0] <= firstIndex) terms.shift();
    if (firstIndex > this.lastIndex) terms.length = 0;
    else if (terms[0] && terms[0][0] < firstIndex) terms[0] = [firstIndex, terms[0][1]];
    this.#damage = clip(this.#damage, firstIndex, Infinity);
  }

  /** Of what is before nothing is known. */
  #begin(firstIndex: number): void {
    this.#firstIndex = firstIndex;
    this.#previousTerm = 0;
  }

  addDamage(range: IndexRange): void {
    const [visible] = clip([range], this.#firstIndex, Infinity);
    if (visible) this.#damage.push(visible);
  }

  /**
   * What it may have lost it was given again, up to `lastIndex` (-1 or 0: nothing is said of that). Entries that are
   * missing nevertheless were lost later than that.
   */
  repaired(lastIndex: number): void {
    this.suspect = false;
    if (lastIndex > this.lastIndex) this.addDamage({ first: this.lastIndex + 1, last: lastIndex });
  }

  hasEntriesIn(file: WalFile): boolean {
    return this.extents.some((extent) => extent.file === file);
  }

  /** The extent that holds `index`; undefined if that entry is lost. */
  extentOf(index: number): Extent | undefined {
    let low = 0;
    let high = this.extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.extents[middle]!.firstIndex <= index) low = middle + 1;
      else high = middle;
    }
    const extent = this.extents[low - 1];
    return extent && index <= extent.lastIndex ? extent : undefined;
  }
}

/** Nothing of it is needed any more. If it could not be read, the rest of the file may be written anew now. */
function drop({ file, liveBytes }: Extent): void {
  file.extents--;
  file.liveBytes -= liveBytes;
  file.unfit = false;
}

function pick({ firstIndex, lastIndex, firstOffset, maxTimestampMs, bytes }: Appended): Appended {
  return { firstIndex, lastIndex, firstOffset, maxTimestampMs, bytes };
}

/** The parts of the ranges from `first` to `last`. */
export function clip(ranges: readonly IndexRange[], first: number, last: number): IndexRange[] {
  return ranges
    .map((range) => ({ first: Math.max(range.first, first), last: Math.min(range.last, last) }))
    .filter((range) => range.first <= range.last);
}

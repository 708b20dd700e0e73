/** What one file says of each group: the net effect of its records, and where its entries lie. */
import type { HardState } from "../raft/types.ts";
import { clip } from "./group-state.ts";
import type { Appended } from "./group-state.ts";
import type { LogLimits } from "./limits.ts";
import type { PlacedRecord, RecordHead, Trim } from "./record.ts";
import { RunTable } from "./run-table.ts";
import type { Checkpoint, GroupId, IndexRange } from "./types.ts";

/**
 * The net effect of one file's records on one group. As a record: `remove` means that nothing of earlier files counts,
 * `truncateFrom` cuts what earlier files hold.
 */
export interface GroupDelta extends RecordHead {
  /** The group is removed at the end of the file. */
  readonly gone: boolean;
  readonly entries: Appended | undefined;
  /** Of `entries`. */
  readonly terms: readonly (readonly [number, number])[];
  readonly damage: readonly IndexRange[];
}

export class LiveDelta implements GroupDelta {
  readonly group: GroupId;
  remove = false;
  gone = false;
  reset = false;
  truncateFrom = 0;
  checkpoint: Checkpoint | undefined = undefined;
  hardState: HardState | undefined = undefined;
  trim: Trim | undefined = undefined;
  repaired = false;
  suspect = false;
  /** Something was destroyed since its last entries. */
  unsure = false;
  terms: [number, number][] = [];
  damage: IndexRange[] = [];
  readonly runs = new RunTable();

  constructor(group: GroupId) {
    this.group = group;
  }

  get entries(): Appended | undefined {
    const { runs } = this;
    if (runs.count === 0) return undefined;
    const { firstIndex, lastIndex, firstOffset, maxTimestampMs, bytes } = runs;
    return { firstIndex, lastIndex, firstOffset, maxTimestampMs, bytes };
  }

  apply(record: PlacedRecord, limits: LogLimits): void {
    if (record.remove) return this.#forget();
    this.gone = false;
    if (record.repaired) this.#repair();
    if (record.reset) this.#reset();
    if (record.truncateFrom > 0) this.#truncate(record.truncateFrom);
    for (const run of record.runs) {
      this.#truncate(run.firstIndex);
      if (this.unsure) this.#judgeEnd(run.term);
      const next = this.runs.lastIndex + 1;
      if (next > 1 && run.firstIndex > next) this.damage.push({ first: next, last: run.firstIndex - 1 });
      this.runs.add(run, limits);
      if (this.terms.at(-1)?.[1] !== run.term) this.terms.push([run.firstIndex, run.term]);
    }
    if (record.checkpoint) this.checkpoint = record.checkpoint;
    if (record.hardState) this.hardState = record.hardState;
    if (record.trim) this.#trim(record.trim, record.reset);
    if (record.suspect) this.suspect = true;
  }

  /** As in GroupState, of what this file holds itself. */
  #judgeEnd(term: number): void {
    this.unsure = false;
    const { firstIndex, lastIndex } = this.runs;
    const sureUpTo = Math.max(this.hardState?.commit ?? 0, this.checkpoint?.index ?? 0, firstIndex - 1);
    if (this.runs.count === 0 || this.terms.at(-1)?.[1] === term || lastIndex <= sureUpTo) return;
    this.damage.push({ first: sureUpTo + 1, last: lastIndex });
  }

  #forget(): void {
    this.#reset();
    this.remove = true;
    this.gone = true;
    this.reset = false;
    this.truncateFrom = 0;
    this.checkpoint = undefined;
    this.hardState = undefined;
    this.trim = undefined;
    this.repaired = false;
    this.suspect = false;
  }

  #repair(): void {
    this.repaired = true;
    this.suspect = false;
  }

  #reset(): void {
    this.reset = true;
    this.truncateFrom = 0;
    this.trim = undefined;
    this.runs.clear();
    this.terms = [];
    this.damage = [];
  }

  #truncate(index: number): void {
    if (this.runs.count > 0 && index > this.runs.lastIndex) return;
    // What this file holds itself does not reach down to `index`: the cut goes into earlier files.
    if (this.runs.count === 0 || index <= this.runs.firstIndex) {
      if (this.truncateFrom === 0 || index < this.truncateFrom) this.truncateFrom = index;
    }
    this.runs.truncateFrom(index);
    while (this.terms.length > 0 && this.terms.at(-1)![0] >= index) this.terms.pop();
    this.damage = clip(this.damage, 1, index - 1);
  }

  #trim(trim: Trim, reset: boolean): void {
    if (reset || this.trim === undefined || trim.firstIndex > this.trim.firstIndex) this.trim = trim;
  }
}

export class FileIndex {
  readonly #groups = new Map<GroupId, LiveDelta>();
  readonly #limits: LogLimits;

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  get(group: GroupId): LiveDelta | undefined {
    return this.#groups.get(group);
  }

  deltas(): IterableIterator<LiveDelta> {
    return this.#groups.values();
  }

  apply(record: PlacedRecord): void {
    this.#deltaOf(record.group).apply(record, this.#limits);
  }

  addDamage(group: GroupId, range: IndexRange): void {
    this.#deltaOf(group).damage.push(range);
  }

  /** Something was lost here that may have concerned any group. */
  loseUnknown(): void {
    for (const delta of this.#groups.values()) {
      delta.suspect = true;
      delta.unsure = true;
    }
  }

  #deltaOf(group: GroupId): LiveDelta {
    let delta = this.#groups.get(group);
    if (!delta) this.#groups.set(group, delta = new LiveDelta(group));
    return delta;
  }
}

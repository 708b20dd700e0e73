/** All groups of a log, and how a record or a sealed file's summary changes them. */
import type { GroupDelta } from "./file-index.ts";
import { GroupState, type RunsPlace } from "./group-state.ts";
import type { PlacedRecord, RecordHead } from "./record.ts";
import type { GroupId } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

export class GroupTable {
  readonly #groups = new Map<GroupId, GroupState>();
  #suspectAll = false;

  get(group: GroupId): GroupState | undefined {
    return this.#groups.get(group);
  }

  values(): IterableIterator<GroupState> {
    return this.#groups.values();
  }

  /** A part of the log is lost that may have concerned any group: those that appear later too. */
  get suspectAll(): boolean {
    return this.#suspectAll;
  }

  loseUnknown(): void {
    this.#suspectAll = true;
    for (const state of this.#groups.values()) {
      state.suspect = true;
      state.unsure = true;
    }
  }

  applyRecord(record: PlacedRecord, file: WalFile): void {
    if (record.remove) return this.#forget(record.group);
    const state = this.#stateOf(record.group);
    this.#applyBefore(state, record);
    for (const run of record.runs) {
      state.append(file, run, run.term);
      state.addTerm(run.firstIndex, run.term);
    }
    this.#applyAfter(state, record, file);
  }

  /** The net effect of a whole file, which is sealed: the same as that of all its records, one by one. */
  applyDelta(delta: GroupDelta, file: WalFile, runs: RunsPlace | undefined): void {
    if (delta.remove) this.#forget(delta.group);
    if (delta.gone) return;
    const state = this.#stateOf(delta.group);
    this.#applyBefore(state, delta);
    if (delta.entries) {
      state.append(file, delta.entries, delta.terms[0]?.[1] ?? 0, runs);
      for (const [index, term] of delta.terms) state.addTerm(index, term);
    }
    this.#applyAfter(state, delta, file);
    this.sealed(delta, file);
    for (const range of delta.damage) state.addDamage(range);
  }

  /** The file has its index now, and with it each checkpoint a second time. */
  sealed({ group, checkpoint }: GroupDelta, file: WalFile): void {
    if (checkpoint) this.#groups.get(group)?.setSealedCheckpoint({ file, bytes: checkpoint.state.length });
  }

  #forget(group: GroupId): void {
    const state = this.#groups.get(group);
    state?.dropAll();
    state?.setSealedCheckpoint(undefined);
    this.#groups.delete(group);
  }

  #applyBefore(state: GroupState, head: RecordHead): void {
    if (head.repaired) state.repaired(head.reset ? 0 : head.truncateFrom - 1);
    if (head.reset && head.trim) state.reset(head.trim);
    if (head.truncateFrom > 0) state.truncateFrom(head.truncateFrom);
  }

  #applyAfter(state: GroupState, head: RecordHead, file: WalFile): void {
    if (head.checkpoint) {
      state.checkpoint = head.checkpoint;
      state.heldBy.checkpoint = file.number;
    }
    if (head.hardState) {
      state.hardState = head.hardState;
      state.heldBy.hardState = file.number;
    }
    if (head.trim) {
      state.trim(head.trim);
      state.heldBy.start = file.number;
    }
    if (head.suspect) state.suspect = true;
  }

  #stateOf(group: GroupId): GroupState {
    let state = this.#groups.get(group);
    if (!state) {
      state = new GroupState(group);
      state.suspect = this.#suspectAll;
      this.#groups.set(group, state);
    }
    return state;
  }
}

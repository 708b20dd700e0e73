/**
 * One group's log as consensus sees it: where it begins and ends, the term of every index, and the last entries. What
 * lies further back is on disk and comes through loads.
 */
import { EntryTail } from "./entry-tail.ts";
import { invariant, InvariantError } from "./invariant.ts";
import { TermRuns } from "./term-runs.ts";
import type { LogEnd, RaftEntry } from "./types.ts";

/** The log as it was found at the start. */
export interface LogStart<E extends RaftEntry> {
  /** First index that can be read; lastIndex + 1 when there is none. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Ascending `[first index of the term, term]`; covers firstIndex to lastIndex. */
  readonly terms: readonly (readonly [number, number])[];
  /** Term of firstIndex - 1; 0 if there is none or it is not known. */
  readonly previousTerm: number;
  /** The last entries, up to lastIndex, if they are at hand. */
  readonly tail?: readonly E[];
}

/** What is to be written since the last time it was asked. */
export interface Unsaved<E extends RaftEntry> {
  /** 0 for none: nothing that was handed out before is replaced. */
  readonly truncateFrom: number;
  readonly entries: readonly E[];
}

const NOTHING: readonly never[] = Object.freeze([]);

export class RaftLog<E extends RaftEntry> {
  #firstIndex: number;
  #lastIndex: number;
  /** Undefined if the entry before the first is not known. */
  #previousTerm: number | undefined;
  readonly #terms: TermRuns;
  readonly #tail: EntryTail<E>;
  /** First index that was not yet handed out to be written. */
  #unsavedFrom: number;
  #truncateFrom = 0;

  constructor(start: LogStart<E>) {
    const { firstIndex, lastIndex, terms, previousTerm, tail = [] } = start;
    invariant(firstIndex >= 1 && lastIndex >= firstIndex - 1, `a log from ${firstIndex} to ${lastIndex}`);
    invariant(tail.length === 0 || tail.at(-1)?.index === lastIndex, "the tail does not end where the log does");
    this.#firstIndex = firstIndex;
    this.#lastIndex = lastIndex;
    this.#previousTerm = previousTerm > 0 || firstIndex === 1 ? previousTerm : undefined;
    this.#terms = new TermRuns(terms);
    this.#tail = new EntryTail(lastIndex + 1, tail);
    this.#unsavedFrom = lastIndex + 1;
    invariant(lastIndex < firstIndex || this.term(firstIndex) !== undefined, "a log without the terms of its entries");
  }

  get firstIndex(): number {
    return this.#firstIndex;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** 0 for an empty log at the very start. */
  get lastTerm(): number {
    return this.term(this.#lastIndex) ?? 0;
  }

  /** Index of the first entry in memory; of the next one when there is none. */
  get tailFirstIndex(): number {
    return this.#tail.firstIndex;
  }

  get hasUnsaved(): boolean {
    return this.#truncateFrom > 0 || this.#unsavedFrom <= this.#lastIndex;
  }

  /** Undefined outside of the log; the entry just before its start counts as inside. */
  term(index: number): number | undefined {
    if (index > this.#lastIndex || index < this.#firstIndex - 1) return undefined;
    return index === this.#firstIndex - 1 ? this.#previousTerm : this.#terms.termOf(index);
  }

  /** The last entry, if it is in memory; to be looked at now, not kept. */
  lastEntry(): E | undefined {
    return this.#tail.get(this.#lastIndex);
  }

  /** To be looked at now, not kept: its bytes may lie in memory that is used again. */
  entry(index: number): E | undefined {
    return this.#tail.get(index);
  }

  /** An entry in memory, the same with its bytes elsewhere. */
  replace(entry: E): void {
    this.#tail.replace(entry);
  }

  /** Entries `from` to `to`, at least one, until `bytesMax` is passed; undefined if they are not in memory. */
  slice(from: number, to: number, bytesMax: number): E[] | undefined {
    return this.#tail.slice(from, to, bytesMax);
  }

  get end(): LogEnd {
    return { index: this.#lastIndex, term: this.lastTerm };
  }

  /** Largest index, not after `index`, where a log with an entry of `term` there could agree with this one. */
  lastAtMost(index: number, term: number): number {
    const at = Math.max(Math.min(index, this.#lastIndex), this.#firstIndex - 1);
    return this.#terms.lastAtMost(at, term, this.#firstIndex - 1);
  }

  append(entry: E): void {
    this.#tail.push(entry);
    this.#terms.append(entry.index, entry.term);
    this.#lastIndex = entry.index;
  }

  /** Cuts `index` and all after it. The caller answers for nothing committed being cut. */
  truncateFrom(index: number): void {
    if (index < this.#firstIndex || index > this.#lastIndex) {
      throw new InvariantError(`truncation at ${index} of a log from ${this.#firstIndex} to ${this.#lastIndex}`);
    }
    this.#tail.truncateFrom(index);
    this.#terms.truncateFrom(index);
    this.#lastIndex = index - 1;
    if (index >= this.#unsavedFrom) return;
    this.#unsavedFrom = index;
    // Lower than any cut before it: those lowered `#unsavedFrom`.
    this.#truncateFrom = index;
  }

  /** The whole log is replaced by a snapshot up to `index`. */
  restore(index: number, term: number): void {
    this.#tail.reset(index + 1);
    this.#terms.clear();
    this.#firstIndex = index + 1;
    this.#lastIndex = index;
    this.#previousTerm = term;
    this.#unsavedFrom = index + 1;
    this.#truncateFrom = 0;
  }

  /** The log before `firstIndex` is gone. A start that is not after the present one changes nothing. */
  compact(firstIndex: number): void {
    if (firstIndex <= this.#firstIndex) return;
    invariant(firstIndex <= this.#unsavedFrom, `compaction to ${firstIndex}, past what was written`);
    this.#previousTerm = this.term(firstIndex - 1);
    this.#terms.dropBefore(firstIndex);
    this.#tail.evictTo(firstIndex - 1);
    this.#firstIndex = firstIndex;
  }

  /** Lets go of entries in memory up to `index`, those that are yet to be written excepted. */
  evictTo(index: number): void {
    this.#tail.evictTo(Math.min(index, this.#unsavedFrom - 1));
  }

  /** Hands out what is new since the last call. */
  takeUnsaved(): Unsaved<E> {
    const truncateFrom = this.#truncateFrom;
    const from = this.#unsavedFrom;
    const entries = from > this.#lastIndex ? NOTHING : this.#tail.slice(from, this.#lastIndex, Infinity);
    if (entries === undefined) throw new InvariantError(`entries from ${from} are to be written and not in memory`);
    this.#truncateFrom = 0;
    this.#unsavedFrom = this.#lastIndex + 1;
    return { truncateFrom, entries };
  }
}

/** Whether a log is not behind another: the one with the later last term is ahead, then the longer one (Raft §5.4.1). */
export function isUpToDate(log: LogEnd, other: LogEnd): boolean {
  return log.term > other.term || (log.term === other.term && log.index >= other.index);
}

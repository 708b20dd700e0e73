/** The last entries of a log, in memory: indexes without gaps, dropped at the front, cut and added at the end. */
import { InvariantError } from "./invariant.ts";
import type { RaftEntry } from "./types.ts";

export class EntryTail<E extends RaftEntry> {
  /** Slots before `#head` are empty: their entries' bytes may be many, so they are let go at once. */
  #entries: (E | undefined)[] = [];
  #head = 0;
  #firstIndex: number;

  /** `nextIndex`: index of the entry that will be pushed first. */
  constructor(nextIndex: number, entries: readonly E[] = []) {
    this.#firstIndex = entries[0]?.index ?? nextIndex;
    for (const entry of entries) this.push(entry);
  }

  /** Index of the first entry held; of the next one when there is none. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  get nextIndex(): number {
    return this.#firstIndex + this.#entries.length - this.#head;
  }

  get(index: number): E | undefined {
    return index < this.#firstIndex ? undefined : this.#entries[this.#head + index - this.#firstIndex];
  }

  push(entry: E): void {
    if (entry.index !== this.nextIndex) throw new InvariantError(`entry ${entry.index} where ${this.nextIndex} is due`);
    this.#entries.push(entry);
  }

  /** The same entry, its bytes elsewhere. */
  replace(entry: E): void {
    if (this.get(entry.index)?.term !== entry.term) throw new InvariantError(`entry ${entry.index} is another one`);
    this.#entries[this.#head + entry.index - this.#firstIndex] = entry;
  }

  /**
   * Entries from `from` to `to`, at least one, until `bytesMax` is passed; undefined if `from` is not held. They may be
   * kept: they are detached.
   */
  slice(from: number, to: number, bytesMax: number): E[] | undefined {
    if (from < this.#firstIndex || to >= this.nextIndex) return undefined;
    const start = this.#head + from - this.#firstIndex;
    const stop = this.#head + to - this.#firstIndex + 1;
    let end = start;
    let bytes = 0;
    while (end < stop) {
      bytes += this.#entries[end]!.byteLength;
      if (bytes > bytesMax && end > start) break;
      end += 1;
    }
    const entries = this.#entries.slice(start, end) as E[];
    for (let i = 0; i < entries.length; i++) entries[i] = entries[i]!.detached();
    return entries;
  }

  truncateFrom(index: number): void {
    if (index <= this.#firstIndex) return this.reset(index);
    while (this.nextIndex > index) this.#entries.pop();
  }

  /** Drops entries up to and with `index`. */
  evictTo(index: number): void {
    while (this.#firstIndex <= index && this.#head < this.#entries.length) {
      this.#entries[this.#head] = undefined;
      this.#head += 1;
      this.#firstIndex += 1;
    }
    if (this.#head * 2 < this.#entries.length) return;
    // In place: an array that is left behind would keep what is in it until the whole heap is marked.
    this.#entries.copyWithin(0, this.#head);
    this.#entries.length -= this.#head;
    this.#head = 0;
  }

  reset(nextIndex: number): void {
    this.#entries = [];
    this.#head = 0;
    this.#firstIndex = nextIndex;
  }
}

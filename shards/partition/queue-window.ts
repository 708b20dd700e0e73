/**
 * The stretch of the log that a queue gives out from: some batches in a row, read once for many leases, and read ahead of
 * them: while some records are leased the next ones are fetched. Bounded in bytes.
 */
import type { Entry } from "../../src/records/entry.ts";
import { EntryKind } from "../../src/records/entry.ts";

const READ_BYTES_MAX = 1024 * 1024;
/** No more is fetched while so much is here: a lease of small records, of which every second one is done, takes 2 MiB. */
const AHEAD_BYTES = 3 * 1024 * 1024;

/** Where a queue's records come from. */
export interface QueueSource {
  readonly startOffset: number;
  readonly highWatermark: number;
  readonly leads: boolean;
  read(offset: number, bytesMax: number): Entry[] | Promise<Entry[]>;
}

export class QueueWindow {
  readonly #source: QueueSource;
  #batches: Entry[] = [];
  /** Where the next batch begins, if this goes on. */
  #end = -1;
  /** What is being fetched ahead. */
  #ahead: Promise<void> | undefined;

  constructor(source: QueueSource) {
    this.#source = source;
  }

  clear(): void {
    this.#batches = [];
    this.#end = -1;
  }

  /** The batch with this offset, if it is here. */
  at(offset: number): Entry | undefined {
    const batches = this.#batches;
    let low = 0;
    let high = batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (batches[middle]!.nextOffset <= offset) low = middle + 1;
      else high = middle;
    }
    const batch = batches[low];
    return batch !== undefined && batch.baseOffset <= offset ? batch : undefined;
  }

  /** Fetches the batch with this offset if it is not here; false: there is none. Rejects as the source does. */
  load(offset: number): boolean | Promise<boolean> {
    if (this.at(offset) !== undefined) return true;
    if (this.#ahead !== undefined) return this.#ahead.then(() => this.load(offset));
    const found = this.#source.read(offset, READ_BYTES_MAX);
    const fill = (entries: readonly Entry[]) => {
      this.#batches = [];
      this.#append(entries);
      return this.at(offset) !== undefined;
    };
    return found instanceof Promise ? found.then(fill) : fill(found);
  }

  /** `offset` is the next to be given out: what is before it goes, and what comes after what is here is fetched. */
  advance(offset: number): void {
    if (offset !== this.#end && this.at(offset) === undefined) return;
    let before = 0;
    while (before < this.#batches.length && this.#batches[before]!.nextOffset <= offset) before += 1;
    if (before > 0) this.#batches.splice(0, before);
    this.#fetchAhead();
  }

  #fetchAhead(): void {
    let bytes = 0;
    for (const { byteLength } of this.#batches) bytes += byteLength;
    while (this.#ahead === undefined && bytes < AHEAD_BYTES && this.#end < this.#source.highWatermark) {
      const from = this.#end;
      const found = this.#source.read(from, READ_BYTES_MAX);
      if (found instanceof Promise) {
        // What goes wrong with it will be heard when it is wanted.
        this.#ahead = found.catch(() => []).then((entries) => {
          this.#ahead = undefined;
          // Unless this is elsewhere by now.
          if (this.#end === from && this.#append(entries)) this.#fetchAhead();
        });
        return;
      }
      if (!this.#append(found)) return;
      for (const { byteLength } of found) bytes += byteLength;
    }
  }

  /** Whether there was anything. */
  #append(entries: readonly Entry[]): boolean {
    const batches = entries.filter(isBatch);
    this.#batches.push(...batches);
    this.#end = batches.at(-1)?.nextOffset ?? -1;
    return batches.length > 0;
  }
}

function isBatch({ kind }: Entry): boolean {
  return kind === EntryKind.batch;
}

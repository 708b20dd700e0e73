/** The stretch of the log that a queue gives out from: some batches in a row, read once for many leases. */
import type { Entry } from "../../src/records/entry.ts";
import { EntryKind } from "../../src/records/entry.ts";

export class QueueWindow {
  #batches: readonly Entry[] = [];

  /** Replaces what was there. */
  fill(entries: readonly Entry[]): void {
    this.#batches = entries.filter(({ kind }) => kind === EntryKind.batch);
  }

  clear(): void {
    this.#batches = [];
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
}

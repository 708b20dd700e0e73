/** Records that wait to be leased again, or were passed over: kept by how often they were delivered so far. */
import type { OnPart } from "./leases.ts";
import { type EncodedOffsets, OffsetSet } from "./offset-set.ts";

export type EncodedReady = [deliveries: number, offsets: EncodedOffsets][];

/** Invariant: no offset has two counts, and no set is empty. */
export class ReadyRecords {
  readonly #byDeliveries = new Map<number, OffsetSet>();

  get size(): number {
    let size = 0;
    for (const offsets of this.#byDeliveries.values()) size += offsets.size;
    return size;
  }

  add(start: number, end: number, deliveries: number): void {
    if (end > start) this.of(deliveries).add(start, end);
  }

  /** The set of those delivered so often, to add to. */
  of(deliveries: number): OffsetSet {
    let offsets = this.#byDeliveries.get(deliveries);
    if (offsets === undefined) this.#byDeliveries.set(deliveries, offsets = new OffsetSet());
    return offsets;
  }

  has(offset: number): boolean {
    for (const offsets of this.#byDeliveries.values()) if (offsets.has(offset)) return true;
    return false;
  }

  /** The first one at `from` or after it; Infinity if there is none. */
  next(from: number): number {
    let next = Infinity;
    for (const offsets of this.#byDeliveries.values()) next = Math.min(next, offsets.nextIn(from));
    return next;
  }

  /** Where the ones in a row from `start` on, which is one, end; at `limit` at the latest. */
  endOf(start: number, limit: number): number {
    for (const offsets of this.#byDeliveries.values()) if (offsets.has(start)) return offsets.nextOut(start, limit);
    return start;
  }

  /** Takes out what there is of `start` to `end`, in the order of the offsets. */
  take(start: number, end: number, onPart: OnPart): void {
    if (start >= end) return;
    const parts: [number, number, number][] = [];
    for (const [deliveries, offsets] of this.#byDeliveries) {
      for (let at = offsets.nextIn(start); at < end; at = offsets.nextIn(at)) {
        const to = offsets.nextOut(at, end);
        parts.push([at, to, deliveries]);
        offsets.remove(at, to);
        at = to;
      }
      if (offsets.size === 0) this.#byDeliveries.delete(deliveries);
    }
    if (parts.length > 1) parts.sort((a, b) => a[0] - b[0]);
    for (const [from, to, deliveries] of parts) onPart(from, to, deliveries);
  }

  clear(): void {
    this.#byDeliveries.clear();
  }

  encode(): EncodedReady {
    const sets = [...this.#byDeliveries].filter(([, { size }]) => size > 0).sort(([a], [b]) => a - b);
    return sets.map(([deliveries, offsets]) => [deliveries, offsets.encode()]);
  }

  /** Only for what {@link encode} gave. */
  load(encoded: EncodedReady): void {
    this.clear();
    for (const [deliveries, offsets] of encoded) this.of(deliveries).load(offsets);
  }
}

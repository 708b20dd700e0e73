/** Records that wait to be leased again, or were passed over: kept by how often they were delivered so far. */
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { packOffsets } from "../../../src/records/packed-offsets.ts";
import { unpackCommitted } from "./committed-offsets.ts";
import type { OnPart } from "./leases.ts";

export type EncodedReady = [deliveries: number, offsets: Uint8Array][];

/** Invariant: no offset has two counts. */
export class ReadyRecords {
  readonly #byDeliveries = new Map<number, OffsetSet>();

  get size(): number {
    let size = 0;
    for (const offsets of this.#byDeliveries.values()) size += offsets.size;
    return size;
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

  /** The first one at `from` or after it that is not in `except`; Infinity if there is none. */
  next(from: number, except: OffsetSet): number {
    let next = Infinity;
    for (const offsets of this.#byDeliveries.values()) next = Math.min(next, offsets.nextIn(from, except));
    return next;
  }

  /** A copy of those from `start` to `end`, whatever their count. */
  within(start: number, end: number): OffsetSet {
    const found = new OffsetSet();
    for (const offsets of this.#byDeliveries.values()) found.addAll(offsets.slice(start, end));
    return found;
  }

  /** Takes out what there is of `wanted`. */
  take(wanted: OffsetSet, onPart: OnPart): void {
    for (const [deliveries, offsets] of this.#byDeliveries) {
      const taken = offsets.take(wanted);
      if (offsets.size === 0) this.#byDeliveries.delete(deliveries);
      if (taken.size > 0) onPart(taken, deliveries);
    }
  }

  dropBelow(offset: number): void {
    for (const [deliveries, offsets] of this.#byDeliveries) {
      offsets.remove(0, offset);
      if (offsets.size === 0) this.#byDeliveries.delete(deliveries);
    }
  }

  clear(): void {
    this.#byDeliveries.clear();
  }

  encode(): EncodedReady {
    const sets = [...this.#byDeliveries].filter(([, { size }]) => size > 0).sort(([a], [b]) => a - b);
    return sets.map(([deliveries, offsets]) => [deliveries, packOffsets(offsets)]);
  }

  /** Only for what {@link encode} gave. */
  load(encoded: EncodedReady): void {
    this.clear();
    for (const [deliveries, offsets] of encoded) this.#byDeliveries.set(deliveries, unpackCommitted(offsets));
  }
}

/** What one consumer holds for a while: offsets, by the number of their deliveries, this one included. */
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { packOffsets } from "../../../src/records/packed-offsets.ts";
import { unpackCommitted } from "./committed-offsets.ts";

/** Records that were all delivered so often. */
export interface DeliveredRecords {
  readonly deliveries: number;
  readonly offsets: OffsetSet;
}

/** Told of a part of a lease; the set is the listener's. */
export type OnPart = (offsets: OffsetSet, deliveries: number) => void;

/** As captured. */
export type EncodedLease = [
  leaseId: number,
  consumer: string,
  leaseMs: number,
  parts: [deliveries: number, offsets: Uint8Array][],
];

/** Invariant: parts ascend by their deliveries, none is empty, and no offset is in two. */
export class Lease {
  readonly leaseId: number;
  readonly consumer: string;
  leaseMs: number;
  #parts: readonly DeliveredRecords[];
  #size = 0;

  constructor(leaseId: number, consumer: string, leaseMs: number, parts: readonly DeliveredRecords[]) {
    this.leaseId = leaseId;
    this.consumer = consumer;
    this.leaseMs = leaseMs;
    this.#parts = parts;
    for (const { offsets } of parts) this.#size += offsets.size;
  }

  /** Records that it still holds. */
  get size(): number {
    return this.#size;
  }

  get parts(): readonly DeliveredRecords[] {
    return this.#parts;
  }

  /** What it holds now, whatever becomes of it later. */
  copyParts(): DeliveredRecords[] {
    return this.#parts.map(({ deliveries, offsets }) => ({ deliveries, offsets: offsets.slice(0) }));
  }

  /** Takes out what it holds of `wanted`; returns how many that were. */
  take(wanted: OffsetSet, onPart: OnPart): number {
    return this.#takeBy((offsets) => offsets.take(wanted), onPart);
  }

  /** Forgets what is below `offset`; returns how many that were. */
  dropBelow(offset: number): number {
    return this.#takeBy((offsets) => {
      const below = offsets.slice(0, offset);
      offsets.remove(0, offset);
      return below;
    }, () => {});
  }

  takeAll(onPart: OnPart): void {
    for (const { offsets, deliveries } of this.#parts) onPart(offsets, deliveries);
    this.#parts = [];
    this.#size = 0;
  }

  encode(): EncodedLease {
    const parts = this.#parts.map((
      { deliveries, offsets },
    ): [number, Uint8Array] => [deliveries, packOffsets(offsets)]);
    return [this.leaseId, this.consumer, this.leaseMs, parts];
  }

  /** Only for what {@link encode} gave. */
  static decode([leaseId, consumer, leaseMs, encoded]: EncodedLease): Lease {
    const parts = encoded.map(([deliveries, bytes]) => ({ deliveries, offsets: unpackCommitted(bytes) }));
    return new Lease(leaseId, consumer, leaseMs, parts);
  }

  #takeBy(takeOf: (offsets: OffsetSet) => OffsetSet, onPart: OnPart): number {
    let count = 0;
    let emptied = false;
    for (const { offsets, deliveries } of this.#parts) {
      const taken = takeOf(offsets);
      if (taken.size === 0) continue;
      count += taken.size;
      emptied ||= offsets.size === 0;
      onPart(taken, deliveries);
    }
    if (emptied) this.#parts = this.#parts.filter(({ offsets }) => offsets.size > 0);
    this.#size -= count;
    return count;
  }
}

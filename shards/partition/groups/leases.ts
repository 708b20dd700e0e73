/** What one consumer holds for a while: offsets, each with the number of its deliveries, this one included. */
import type { Ranges } from "../../../src/records/offset-ranges.ts";

/** Told of a part of a lease: `start` to `end`, all delivered `deliveries` times. */
export type OnPart = (start: number, end: number, deliveries: number) => void;

/** As captured. `held` is flat: start, end, deliveries of each part. */
export type EncodedLease = [leaseId: number, consumer: string, leaseMs: number, held: number[]];

/** Invariant: parts ascend and do not overlap. */
export class Lease {
  readonly leaseId: number;
  readonly consumer: string;
  leaseMs: number;
  #held: number[];
  #size = 0;

  constructor(leaseId: number, consumer: string, leaseMs: number, held: number[]) {
    this.leaseId = leaseId;
    this.consumer = consumer;
    this.leaseMs = leaseMs;
    this.#held = held;
    for (let i = 0; i < held.length; i += 3) this.#size += held[i + 1]! - held[i]!;
  }

  /** Records that it still holds. */
  get size(): number {
    return this.#size;
  }

  /** Flat: start, end, deliveries of each part. */
  get held(): readonly number[] {
    return this.#held;
  }

  /** Takes out what it holds of `start` to `end`; returns how many that were. */
  take(start: number, end: number, onPart: OnPart): number {
    const held = this.#held;
    let taken = 0;
    for (let i = this.#firstEndingAfter(start); i < held.length && held[i]! < end;) {
      const partStart = held[i]!;
      const partEnd = held[i + 1]!;
      const deliveries = held[i + 2]!;
      const from = Math.max(start, partStart);
      const to = Math.min(end, partEnd);
      if (from === partStart && to === partEnd) held.splice(i, 3);
      else {
        if (from === partStart) held[i] = to;
        else held[i + 1] = from;
        if (from > partStart && to < partEnd) held.splice(i + 3, 0, to, partEnd, deliveries);
        i += 3;
      }
      taken += to - from;
      onPart(from, to, deliveries);
    }
    this.#size -= taken;
    return taken;
  }

  takeAll(onPart: OnPart): void {
    const held = this.#held;
    this.#held = [];
    this.#size = 0;
    for (let i = 0; i < held.length; i += 3) onPart(held[i]!, held[i + 1]!, held[i + 2]!);
  }

  holdsAll(ranges: Readonly<Ranges>): boolean {
    for (let i = 0; i < ranges.length; i += 2) {
      let at = ranges[i]!;
      for (let part = this.#firstEndingAfter(at); at < ranges[i + 1]!; part += 3) {
        if (part >= this.#held.length || this.#held[part]! > at) return false;
        at = this.#held[part + 1]!;
      }
    }
    return true;
  }

  encode(): EncodedLease {
    return [this.leaseId, this.consumer, this.leaseMs, [...this.#held]];
  }

  /** Position of the first part that ends after `offset`. */
  #firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.#held.length / 3;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#held[middle * 3 + 1]! > offset) high = middle;
      else low = middle + 1;
    }
    return low * 3;
  }
}

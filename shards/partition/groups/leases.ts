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

  /** Takes out what it holds of the ranges, which ascend; returns how many that were. */
  take(ranges: Readonly<Ranges>, onPart: OnPart): number {
    const held = this.#held;
    const from = ranges.length > 0 ? this.#firstEndingAfter(ranges[0]!) : held.length;
    // What is not touched stays as it is; the rest is gone through once, however many ranges there are.
    const kept: number[] = [];
    let taken = 0;
    let range = 0;
    let i = from;
    for (; i < held.length && range < ranges.length; i += 3) {
      let at = held[i]!;
      const partEnd = held[i + 1]!;
      const deliveries = held[i + 2]!;
      while (range < ranges.length && ranges[range + 1]! <= at) range += 2;
      while (range < ranges.length && ranges[range]! < partEnd) {
        const start = Math.max(at, ranges[range]!);
        const end = Math.min(partEnd, ranges[range + 1]!);
        if (start > at) kept.push(at, start, deliveries);
        onPart(start, end, deliveries);
        taken += end - start;
        at = end;
        if (ranges[range + 1]! > partEnd) break;
        range += 2;
      }
      if (at < partEnd) kept.push(at, partEnd, deliveries);
    }
    this.#held = kept.length === i - from
      ? overwrite(held, from, kept)
      : held.slice(0, from).concat(kept, held.slice(i));
    this.#size -= taken;
    return taken;
  }

  takeAll(onPart: OnPart): void {
    const held = this.#held;
    this.#held = [];
    this.#size = 0;
    for (let i = 0; i < held.length; i += 3) onPart(held[i]!, held[i + 1]!, held[i + 2]!);
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

function overwrite(held: number[], from: number, parts: readonly number[]): number[] {
  for (let i = 0; i < parts.length; i++) held[from + i] = parts[i]!;
  return held;
}

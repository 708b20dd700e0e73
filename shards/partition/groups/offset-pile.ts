/**
 * Offsets that are put together and taken out together: those that wait for one moment. A list of ranges while they are
 * few or far apart, a set of bitmaps once that is smaller.
 */
import type { Ranges } from "../../../src/records/offset-ranges.ts";
import { CHUNK_OFFSETS, type EncodedOffsets, OffsetSet } from "./offset-set.ts";

/** Of a range in the list: two numbers. */
const RANGE_BYTES = 16;
/** Of a chunk in the set: its bits and what is around them. */
const CHUNK_BYTES = 640;

export class OffsetPile {
  #ranges: Ranges = [];
  /** How often the list steps to another chunk: not fewer than the chunks it would take. */
  #steps = 0;
  #set: OffsetSet | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The offsets are not in it yet. */
  add(start: number, end: number): void {
    this.#size += end - start;
    if (this.#set !== undefined) return void this.#set.add(start, end);
    const ranges = this.#ranges;
    const last = ranges.length - 1;
    if (last > 0 && ranges[last] === start) ranges[last] = end;
    else {
      const chunk = Math.floor(start / CHUNK_OFFSETS);
      if (last < 0 || chunk !== Math.floor((ranges[last]! - 1) / CHUNK_OFFSETS)) this.#steps += 1;
      ranges.push(start, end);
      if ((ranges.length / 2) * RANGE_BYTES > (this.#steps + 1) * CHUNK_BYTES) this.#toSet();
    }
  }

  /** Puts all that is at `from` or above it into `target`. */
  moveTo(target: OffsetSet, from: number): void {
    const all = this.#asSet();
    for (let at = all.nextIn(from); at < Infinity; at = all.nextIn(at)) {
      const end = all.nextOut(at);
      target.add(at, end);
      at = end;
    }
  }

  /** The same bytes for the same offsets, however they are held: every replica captures the same state. */
  encode(): EncodedOffsets {
    return this.#asSet().encode();
  }

  /** Only for what {@link encode} gave. */
  load(encoded: EncodedOffsets): void {
    this.#set = new OffsetSet();
    this.#set.load(encoded);
    this.#size = this.#set.size;
  }

  #asSet(): OffsetSet {
    if (this.#set !== undefined) return this.#set;
    const set = new OffsetSet();
    for (let i = 0; i < this.#ranges.length; i += 2) set.add(this.#ranges[i]!, this.#ranges[i + 1]!);
    return set;
  }

  #toSet(): void {
    this.#set = this.#asSet();
    this.#ranges = [];
  }
}

/**
 * Offsets that are put together and taken out together: those that wait for one moment. A list of ranges while they are
 * few or far apart, a set of bitmaps once that is smaller.
 */
import { CHUNK_OFFSETS } from "../../../src/records/offset-chunk.ts";
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { packOffsets } from "../../../src/records/packed-offsets.ts";
import { unpackCommitted } from "./committed-offsets.ts";

/** Of a range in the list: two numbers. */
const RANGE_BYTES = 16;
/** Of a chunk in the set: its bits and what is around them. */
const CHUNK_BYTES = 640;

export class OffsetPile {
  /** Flat: start and end of each. */
  #ranges: number[] = [];
  /** How often the list steps to another chunk: not fewer than the chunks it would take. */
  #steps = 0;
  #set: OffsetSet | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The offsets are not in it yet. */
  add(offsets: OffsetSet): void {
    this.#size += offsets.size;
    if (this.#set === undefined && offsets.size > (offsets.chunkCount * CHUNK_BYTES) / RANGE_BYTES) this.#toSet();
    if (this.#set !== undefined) return void this.#set.addAll(offsets);
    for (const [start, end] of offsets.ranges()) this.#addRange(start, end);
  }

  /** Puts all that is at `from` or above it into `target`. */
  moveTo(target: OffsetSet, from: number): void {
    target.addAll(this.#asSet().slice(from));
  }

  /** The same bytes for the same offsets, however they are held: every replica captures the same state. */
  encode(): Uint8Array {
    return packOffsets(this.#asSet());
  }

  /** Only for what {@link encode} gave. */
  load(encoded: Uint8Array): void {
    this.#set = unpackCommitted(encoded);
    this.#size = this.#set.size;
  }

  #addRange(start: number, end: number): void {
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

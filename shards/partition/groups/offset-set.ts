/**
 * A set of offsets that are close together: bitmaps of 4,096 offsets each, and nothing where there are none. A record
 * costs a bit, or less where whole chunks are in the set.
 */
import type { Ranges } from "../../../src/records/offset-ranges.ts";

export const CHUNK_OFFSETS = 4_096;
const WORD_BITS = 32;
const CHUNK_WORDS = CHUNK_OFFSETS / WORD_BITS;
const CHUNK_BYTES = CHUNK_OFFSETS / 8;
const ALL_BITS = 0xffff_ffff;
/** A chunk with more ranges than this is smaller as a bitmap: a range takes four bytes, about. */
const CHUNK_RANGES_MAX = CHUNK_BYTES / 4;
/** Shared by all full chunks; copied before it is changed. */
const FULL = new Uint32Array(CHUNK_WORDS).fill(ALL_BITS);

interface Chunk {
  bits: Uint32Array;
  count: number;
}

/** As captured: ranges, and bitmaps (little-endian) of the chunks that are smaller so. */
export type EncodedOffsets = [ranges: Ranges, bitmaps: [chunk: number, bytes: Uint8Array][]];

/** Invariant: a chunk in the map has at least one member, and `#order` has its number, ascending. */
export class OffsetSet {
  readonly #chunks = new Map<number, Chunk>();
  readonly #order: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(offset: number): boolean {
    const chunk = this.#chunks.get(Math.floor(offset / CHUNK_OFFSETS));
    if (chunk === undefined) return false;
    const at = offset % CHUNK_OFFSETS;
    return (chunk.bits[at >>> 5]! & (1 << (at & 31))) !== 0;
  }

  /** Adds `start` to `end`, the latter excluded; returns how many were not in it. */
  add(start: number, end: number): number {
    let added = 0;
    for (let at = start; at < end;) {
      const number = Math.floor(at / CHUNK_OFFSETS);
      const base = number * CHUNK_OFFSETS;
      const to = Math.min(end, base + CHUNK_OFFSETS);
      const chunk = this.#chunks.get(number) ?? this.#insert(number);
      if (to - at === CHUNK_OFFSETS) {
        added += CHUNK_OFFSETS - chunk.count;
        chunk.bits = FULL;
        chunk.count = CHUNK_OFFSETS;
      } else if (chunk.count < CHUNK_OFFSETS) {
        const changed = change(chunk.bits, at - base, to - base, true);
        added += changed;
        chunk.count += changed;
        if (chunk.count === CHUNK_OFFSETS) chunk.bits = FULL;
      }
      at = to;
    }
    this.#size += added;
    return added;
  }

  /** Removes `start` to `end`, the latter excluded; returns how many were in it. */
  remove(start: number, end: number): number {
    let removed = 0;
    for (let position = this.#positionOf(Math.floor(start / CHUNK_OFFSETS)); position < this.#order.length;) {
      const number = this.#order[position]!;
      const base = number * CHUNK_OFFSETS;
      if (base >= end) break;
      const chunk = this.#chunks.get(number)!;
      if (chunk.bits === FULL) chunk.bits = FULL.slice();
      const changed = change(chunk.bits, Math.max(0, start - base), Math.min(CHUNK_OFFSETS, end - base), false);
      removed += changed;
      chunk.count -= changed;
      if (chunk.count > 0) position += 1;
      else {
        this.#chunks.delete(number);
        this.#order.splice(position, 1);
      }
    }
    this.#size -= removed;
    return removed;
  }

  clear(): void {
    this.#chunks.clear();
    this.#order.length = 0;
    this.#size = 0;
  }

  /** The first member at `from` or after it; Infinity if there is none. */
  nextIn(from: number): number {
    const first = Math.floor(from / CHUNK_OFFSETS);
    for (let position = this.#positionOf(first); position < this.#order.length; position++) {
      const number = this.#order[position]!;
      const base = number * CHUNK_OFFSETS;
      const at = nextBit(this.#chunks.get(number)!.bits, Math.max(0, from - base), true);
      if (at < CHUNK_OFFSETS) return base + at;
    }
    return Infinity;
  }

  /** The first offset at `from` or after it that is no member; `limit` if there is none before it. */
  nextOut(from: number, limit = Infinity): number {
    for (let at = from;;) {
      if (at >= limit) return limit;
      const number = Math.floor(at / CHUNK_OFFSETS);
      const chunk = this.#chunks.get(number);
      if (chunk === undefined) return at;
      const base = number * CHUNK_OFFSETS;
      const out = nextBit(chunk.bits, at - base, false);
      if (out < CHUNK_OFFSETS) return Math.min(base + out, limit);
      at = base + CHUNK_OFFSETS;
    }
  }

  encode(): EncodedOffsets {
    const ranges: Ranges = [];
    const bitmaps: [number, Uint8Array][] = [];
    for (const number of this.#order) {
      const base = number * CHUNK_OFFSETS;
      const inside: Ranges = [];
      for (let at = this.nextIn(base); at < base + CHUNK_OFFSETS; at = this.nextIn(at)) {
        const end = this.nextOut(at, base + CHUNK_OFFSETS);
        inside.push(at, end);
        at = end;
      }
      if (inside.length > 2 * CHUNK_RANGES_MAX) bitmaps.push([number, toBytes(this.#chunks.get(number)!.bits)]);
      else if (ranges.at(-1) === inside[0]) {
        ranges[ranges.length - 1] = inside[1]!;
        ranges.push(...inside.slice(2));
      } else ranges.push(...inside);
    }
    return [ranges, bitmaps];
  }

  /** Only for what {@link encode} gave. */
  load([ranges, bitmaps]: EncodedOffsets): void {
    this.clear();
    for (const [number, bytes] of bitmaps) {
      const chunk = this.#insert(number);
      fromBytes(bytes, chunk.bits);
      for (const word of chunk.bits) chunk.count += bitCount(word);
      this.#size += chunk.count;
    }
    for (let i = 0; i < ranges.length; i += 2) this.add(ranges[i]!, ranges[i + 1]!);
  }

  #insert(number: number): Chunk {
    const chunk = { bits: new Uint32Array(CHUNK_WORDS), count: 0 };
    this.#chunks.set(number, chunk);
    this.#order.splice(this.#positionOf(number), 0, number);
    return chunk;
  }

  /** Where in the order a chunk is, or would be. Most are the last. */
  #positionOf(number: number): number {
    const order = this.#order;
    let low = 0;
    let high = order.length;
    if (high > 0 && order[high - 1]! < number) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Sets or clears bits `from` to `to`; returns how many changed. */
function change(bits: Uint32Array, from: number, to: number, set: boolean): number {
  let changed = 0;
  for (let at = from; at < to;) {
    const word = at >>> 5;
    const first = at & 31;
    const width = Math.min(WORD_BITS - first, to - at);
    const mask = width === WORD_BITS ? ALL_BITS : ((2 ** width - 1) << first) >>> 0;
    const before = bits[word]!;
    const after = (set ? before | mask : before & ~mask) >>> 0;
    changed += bitCount((before ^ after) >>> 0);
    bits[word] = after;
    at += width;
  }
  return changed;
}

/** The first bit at `from` or after it that is set (or clear); the chunk's end if there is none. */
function nextBit(bits: Uint32Array, from: number, set: boolean): number {
  let word = from >>> 5;
  let value = (set ? bits[word]! : ~bits[word]!) & (ALL_BITS << (from & 31));
  while (value === 0) {
    word += 1;
    if (word === CHUNK_WORDS) return CHUNK_OFFSETS;
    value = set ? bits[word]! : ~bits[word]!;
  }
  return word * WORD_BITS + (31 - Math.clz32(value & -value));
}

function bitCount(word: number): number {
  let value = word - ((word >>> 1) & 0x5555_5555);
  value = (value & 0x3333_3333) + ((value >>> 2) & 0x3333_3333);
  return Math.imul((value + (value >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

function toBytes(bits: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(CHUNK_BYTES);
  for (let i = 0; i < CHUNK_BYTES; i++) bytes[i] = bits[i >>> 2]! >>> ((i & 3) * 8);
  return bytes;
}

function fromBytes(bytes: Uint8Array, bits: Uint32Array): void {
  for (let i = 0; i < CHUNK_BYTES; i++) bits[i >>> 2]! |= bytes[i]! << ((i & 3) * 8);
}

/** 4,096 offsets in a row, of which some are in a set: one stretch of them as two numbers, anything else as a bitmap. */

export const CHUNK_OFFSETS = 4_096;
export const CHUNK_BYTES = CHUNK_OFFSETS / 8;
const WORD_BITS = 32;
const CHUNK_WORDS = CHUNK_OFFSETS / WORD_BITS;
const ALL_BITS = 0xffff_ffff;
/** Where stretches are looked at as bitmaps, for the time of one call. */
const scratch = new Uint32Array(CHUNK_WORDS);
const otherScratch = new Uint32Array(CHUNK_WORDS);

/** Positions count from 0 within the chunk. Invariant: where `#bits` is undefined, `#from` to `#to` are all of it. */
export class OffsetChunk {
  #bits: Uint32Array | undefined;
  #from: number;
  #to: number;
  #count: number;

  constructor(from = 0, to = 0) {
    this.#from = from;
    this.#to = to;
    this.#count = to - from;
  }

  static ofBits(bits: Uint32Array): OffsetChunk {
    const chunk = new OffsetChunk();
    chunk.#setBits(bits, countBits(bits));
    return chunk;
  }

  get count(): number {
    return this.#count;
  }

  clone(): OffsetChunk {
    const chunk = new OffsetChunk(this.#from, this.#to);
    if (this.#bits !== undefined) chunk.#setBits(this.#bits.slice(), this.#count);
    return chunk;
  }

  has(at: number): boolean {
    if (this.#bits === undefined) return at >= this.#from && at < this.#to;
    return (this.#bits[at >>> 5]! & (1 << (at & 31))) !== 0;
  }

  /** Returns how many were not in it. */
  add(from: number, to: number): number {
    const before = this.#count;
    if (this.#bits === undefined && (before === 0 || (from <= this.#to && to >= this.#from))) {
      this.#setRun(before === 0 ? from : Math.min(from, this.#from), before === 0 ? to : Math.max(to, this.#to));
    } else {
      const bits = this.#asBits();
      this.#setBits(bits, before + change(bits, from, to, true));
    }
    return this.#count - before;
  }

  /** Returns how many were in it. */
  remove(from: number, to: number): number {
    const before = this.#count;
    if (this.#bits === undefined) {
      if (to <= this.#from || from >= this.#to) return 0;
      if (from <= this.#from) this.#setRun(Math.min(to, this.#to), this.#to);
      else if (to >= this.#to) this.#setRun(this.#from, from);
    }
    if (this.#count === before) {
      const bits = this.#asBits();
      this.#setBits(bits, before - change(bits, from, to, false));
    }
    return before - this.#count;
  }

  addAll(other: OffsetChunk): number {
    if (other.#bits === undefined) return this.add(other.#from, other.#to);
    const before = this.#count;
    const bits = this.#asBits();
    for (let i = 0; i < CHUNK_WORDS; i++) bits[i]! |= other.#bits[i]!;
    this.#setBits(bits, countBits(bits));
    return this.#count - before;
  }

  /** Takes out what is also in `wanted`, and returns it; undefined if nothing is. */
  take(wanted: OffsetChunk): OffsetChunk | undefined {
    if (this.#bits === undefined && wanted.#bits === undefined) {
      const from = Math.max(this.#from, wanted.#from);
      const to = Math.min(this.#to, wanted.#to);
      if (from >= to) return undefined;
      this.remove(from, to);
      return new OffsetChunk(from, to);
    }
    const others = wanted.#bits ?? fill(scratch, wanted.#from, wanted.#to);
    const own = this.#asBits();
    const common = new Uint32Array(CHUNK_WORDS);
    for (let i = 0; i < CHUNK_WORDS; i++) {
      common[i] = own[i]! & others[i]!;
      own[i]! &= ~others[i]!;
    }
    const taken = OffsetChunk.ofBits(common);
    if (taken.count === 0) return undefined;
    this.#setBits(own, this.#count - taken.count);
    return taken;
  }

  /** The first position at `from` or after it that is in it; the chunk's end if there is none. */
  nextIn(from: number): number {
    if (this.#bits !== undefined) return nextBit(this.#bits, from, true);
    return from < this.#to ? Math.max(from, this.#from) : CHUNK_OFFSETS;
  }

  /** As {@link nextIn}, of those that are not in `except`. */
  nextInBut(from: number, except: OffsetChunk): number {
    const own = this.#bits ?? fill(scratch, this.#from, this.#to);
    const others = except.#bits ?? fill(otherScratch, except.#from, except.#to);
    let mask = ALL_BITS << (from & 31);
    for (let word = from >>> 5; word < CHUNK_WORDS; word++, mask = ALL_BITS) {
      const value = own[word]! & ~others[word]! & mask;
      if (value !== 0) return word * WORD_BITS + lowestBit(value);
    }
    return CHUNK_OFFSETS;
  }

  /** The first position at `from` or after it that is not; the chunk's end if there is none. */
  nextOut(from: number): number {
    if (this.#bits !== undefined) return nextBit(this.#bits, from, false);
    return from < this.#from ? from : Math.max(from, this.#to);
  }

  /** Little-endian, one bit a position. */
  copyTo(target: Uint8Array, at: number): void {
    const bits = this.#bits ?? fill(scratch, this.#from, this.#to);
    for (let i = 0; i < CHUNK_BYTES; i++) target[at + i] = bits[i >>> 2]! >>> ((i & 3) * 8);
  }

  #setRun(from: number, to: number): void {
    this.#bits = undefined;
    this.#from = from;
    this.#to = to;
    this.#count = to - from;
  }

  /** A full chunk needs none. */
  #setBits(bits: Uint32Array, count: number): void {
    if (count === CHUNK_OFFSETS) return this.#setRun(0, CHUNK_OFFSETS);
    this.#bits = bits;
    this.#count = count;
  }

  #asBits(): Uint32Array {
    return this.#bits ?? fill(new Uint32Array(CHUNK_WORDS), this.#from, this.#to);
  }
}

/** Little-endian bytes as {@link OffsetChunk.copyTo} writes them. */
export function chunkOfBytes(bytes: Uint8Array, at: number): OffsetChunk {
  const bits = new Uint32Array(CHUNK_WORDS);
  for (let i = 0; i < CHUNK_BYTES; i++) bits[i >>> 2]! |= bytes[at + i]! << ((i & 3) * 8);
  return OffsetChunk.ofBits(bits);
}

function fill(bits: Uint32Array, from: number, to: number): Uint32Array {
  bits.fill(0);
  change(bits, from, to, true);
  return bits;
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
  if (from >= CHUNK_OFFSETS) return CHUNK_OFFSETS;
  let word = from >>> 5;
  let value = (set ? bits[word]! : ~bits[word]!) & (ALL_BITS << (from & 31));
  while (value === 0) {
    word += 1;
    if (word === CHUNK_WORDS) return CHUNK_OFFSETS;
    value = set ? bits[word]! : ~bits[word]!;
  }
  return word * WORD_BITS + lowestBit(value);
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

function countBits(bits: Uint32Array): number {
  let count = 0;
  for (let i = 0; i < CHUNK_WORDS; i++) count += bitCount(bits[i]!);
  return count;
}

function bitCount(word: number): number {
  let value = word - ((word >>> 1) & 0x5555_5555);
  value = (value & 0x3333_3333) + ((value >>> 2) & 0x3333_3333);
  return Math.imul((value + (value >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

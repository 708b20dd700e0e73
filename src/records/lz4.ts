/**
 * LZ4's block format (github.com/lz4/lz4, doc/lz4_Block_format.md): sequences of literals and matches, greedy, one hash of
 * four bytes. Written here because there is no kept library for it without native code, which nothing here may need.
 */
import { RecordsError } from "./errors.ts";

const MATCH_BYTES_MIN = 4;
/** The last bytes of a block are literals, and no match begins close to its end: the format's rules for the end. */
const LITERALS_AT_END = 5;
const MATCH_START_TO_END = 12;
const OFFSET_MAX = 65_535;
const HASH_BITS = 14;
/** After so many positions without a match the steps become longer: what does not shrink is left alone quickly. */
const SKIP_SHIFT = 6;

const table = new Int32Array(1 << HASH_BITS);

/** The most that {@link compressLz4} can make of `byteLength`. */
export function lz4BytesMax(byteLength: number): number {
  return byteLength + Math.ceil(byteLength / 255) + 16;
}

/** Writes the block to `target`, which has room for {@link lz4BytesMax}. Returns its length. */
export function compressLz4(source: Uint8Array, target: Uint8Array): number {
  table.fill(-1);
  const matchLimit = source.length - MATCH_START_TO_END;
  let anchor = 0;
  let out = 0;
  for (let at = 0, misses = 1 << SKIP_SHIFT; at <= matchLimit;) {
    const word = readU32(source, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
    const candidate = table[slot]!;
    table[slot] = at;
    if (candidate < 0 || at - candidate > OFFSET_MAX || readU32(source, candidate) !== word) {
      at += misses++ >> SKIP_SHIFT;
      continue;
    }
    misses = 1 << SKIP_SHIFT;
    const length = matchLength(source, candidate, at);
    out = writeSequence(target, out, source, anchor, at, at - candidate, length);
    at += length;
    anchor = at;
  }
  return writeLiterals(target, out, source, anchor, source.length, 0);
}

function matchLength(source: Uint8Array, candidate: number, at: number): number {
  const end = source.length - LITERALS_AT_END;
  let length = MATCH_BYTES_MIN;
  while (at + length < end && source[candidate + length] === source[at + length]) length += 1;
  return length;
}

function writeSequence(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  from: number,
  to: number,
  offset: number,
  length: number,
): number {
  const extra = length - MATCH_BYTES_MIN;
  let out = writeLiterals(target, at, source, from, to, Math.min(extra, 15));
  target[out++] = offset & 0xff;
  target[out++] = offset >>> 8;
  return extra >= 15 ? writeLength(target, out, extra - 15) : out;
}

function writeLiterals(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  from: number,
  to: number,
  matchNibble: number,
): number {
  const count = to - from;
  let out = at;
  target[out++] = (Math.min(count, 15) << 4) | matchNibble;
  if (count >= 15) out = writeLength(target, out, count - 15);
  target.set(source.subarray(from, to), out);
  return out + count;
}

function writeLength(target: Uint8Array, at: number, length: number): number {
  let left = length;
  let out = at;
  for (; left >= 255; left -= 255) target[out++] = 255;
  target[out++] = left;
  return out;
}

/**
 * Unpacks a block of unknown size into at most `bytesMax`.
 * @throws {RecordsError} `TOO_LARGE`, `CORRUPT`
 */
export function decompressLz4(block: Uint8Array, bytesMax: number): Uint8Array {
  const unpacked = new Unpacked(Math.min(bytesMax, block.length * 4), bytesMax);
  for (let at = 0; at < block.length;) {
    const token = block[at++]!;
    let literals = token >>> 4;
    if (literals === 15) [literals, at] = readLength(block, at, literals);
    if (at + literals > block.length) throw corrupt();
    unpacked.literals(block, at, literals);
    at += literals;
    if (at === block.length) return unpacked.whole;
    if (at + 2 > block.length) throw corrupt();
    const offset = block[at]! | (block[at + 1]! << 8);
    at += 2;
    let length = token & 15;
    if (length === 15) [length, at] = readLength(block, at, length);
    unpacked.match(offset, length + MATCH_BYTES_MIN);
  }
  throw corrupt();
}

function readLength(block: Uint8Array, from: number, base: number): [length: number, at: number] {
  let length = base;
  for (let at = from; at < block.length; at++) {
    length += block[at]!;
    if (block[at] !== 255) return [length, at + 1];
  }
  throw corrupt();
}

/** Grows as it is filled: what a block claims costs nothing before it is there. */
class Unpacked {
  readonly #bytesMax: number;
  #bytes: Uint8Array;
  #length = 0;

  constructor(bytesExpected: number, bytesMax: number) {
    this.#bytes = new Uint8Array(bytesExpected);
    this.#bytesMax = bytesMax;
  }

  get whole(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  literals(block: Uint8Array, from: number, count: number): void {
    this.#reserve(count);
    this.#bytes.set(block.subarray(from, from + count), this.#length);
    this.#length += count;
  }

  match(offset: number, count: number): void {
    const from = this.#length - offset;
    if (offset === 0 || from < 0) throw corrupt();
    this.#reserve(count);
    const bytes = this.#bytes;
    if (offset >= count) bytes.copyWithin(this.#length, from, from + count);
    // It overlaps itself: a run, repeated as it is written.
    else for (let i = 0; i < count; i++) bytes[this.#length + i] = bytes[from + i]!;
    this.#length += count;
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted > this.#bytesMax) {
      throw new RecordsError("TOO_LARGE", `a batch unpacks to more than ${this.#bytesMax} bytes`);
    }
    if (wanted <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.min(this.#bytesMax, Math.max(wanted, this.#bytes.length * 2)));
    larger.set(this.whole);
    this.#bytes = larger;
  }
}

function corrupt(): RecordsError {
  return new RecordsError("CORRUPT", "a batch's payload cannot be unpacked");
}

function readU32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

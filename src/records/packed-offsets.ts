/**
 * A set of offsets as bytes, in messages, log entries and checkpoints: one form for one set. A row of stretches and bitmaps,
 * ascending, each with a number before it (LEB128: seven bits a byte, the lowest first):
 *
 *     gap × 2, length       a stretch: so far behind the one before, so many
 *     gap × 2 + 1, bitmap   a chunk of 4,096 offsets as 512 bytes, little-endian: so many chunks behind what was before
 *
 * A chunk is a bitmap where its stretches would take more than that, so every second of a million takes 125 KB. Stretches
 * that touch are one, through any number of chunks.
 */
import { CHUNK_BYTES, CHUNK_OFFSETS, chunkOfBytes, type OffsetChunk } from "./offset-chunk.ts";
import { OffsetSet } from "./offset-set.ts";

/** Of a stretch, about. */
const STRETCH_BYTES = 4;
/** A chunk with more stretches than this is smaller as a bitmap. */
const CHUNK_STRETCHES_MAX = CHUNK_BYTES / STRETCH_BYTES;
/** Of a number below 2^54, and of what a chunk takes in either form. */
const NUMBER_BYTES_MAX = 8;
const CHUNK_PACKED_BYTES_MAX = CHUNK_BYTES + NUMBER_BYTES_MAX * 2;
const PACKER_BYTES_FIRST = 64;

/** No set of so many chunks takes more. */
export function packedBytesMax(offsets: OffsetSet): number {
  return offsets.chunkCount * CHUNK_PACKED_BYTES_MAX;
}

export function packOffsets(offsets: OffsetSet): Uint8Array {
  const packer = new Packer();
  for (const [number, chunk] of offsets.chunks()) packer.add(number * CHUNK_OFFSETS, chunk);
  return packer.finish();
}

/**
 * Undefined where it is no such form, or has more than `countMax` offsets: work and memory are bounded by the bytes and by
 * that number. Bytes may come from anybody.
 */
export function unpackOffsets(bytes: Uint8Array, countMax: number): OffsetSet | undefined {
  const offsets = new OffsetSet();
  const reader = new NumberReader(bytes);
  let at = 0;
  while (reader.at < bytes.length) {
    const head = reader.next();
    const isBitmap = head % 2 === 1;
    const gap = Math.floor(head / 2);
    if (isBitmap) {
      const number = Math.ceil(at / CHUNK_OFFSETS) + gap;
      at = (number + 1) * CHUNK_OFFSETS;
      if (!(at <= Number.MAX_SAFE_INTEGER) || reader.at + CHUNK_BYTES > bytes.length) return undefined;
      const chunk = chunkOfBytes(bytes, reader.at);
      if (chunk.count === 0) return undefined;
      offsets.addChunk(number, chunk);
      reader.at += CHUNK_BYTES;
    } else {
      const length = reader.next();
      const start = at + gap;
      at = start + length;
      // Also where a number was cut off: NaN passes no comparison.
      if (!(length > 0 && at <= Number.MAX_SAFE_INTEGER && length <= countMax)) return undefined;
      offsets.add(start, at);
    }
    if (offsets.size > countMax) return undefined;
  }
  return Number.isNaN(at) ? undefined : offsets;
}

class Packer {
  #bytes = new Uint8Array(PACKER_BYTES_FIRST);
  #length = 0;
  /** Written up to this offset. */
  #at = 0;
  /** A stretch that the next one may touch. */
  #start = 0;
  #end = 0;

  add(base: number, chunk: OffsetChunk): void {
    const stretches = stretchesOf(chunk);
    if (stretches === undefined) {
      this.#flush();
      this.#number((base / CHUNK_OFFSETS - Math.ceil(this.#at / CHUNK_OFFSETS)) * 2 + 1);
      this.#reserve(CHUNK_BYTES);
      chunk.copyTo(this.#bytes, this.#length);
      this.#length += CHUNK_BYTES;
      this.#at = base + CHUNK_OFFSETS;
      return;
    }
    for (let i = 0; i < stretches.length; i += 2) {
      if (base + stretches[i]! !== this.#end) {
        this.#flush();
        this.#start = base + stretches[i]!;
      }
      this.#end = base + stretches[i + 1]!;
    }
  }

  finish(): Uint8Array {
    this.#flush();
    return this.#bytes.subarray(0, this.#length);
  }

  #flush(): void {
    if (this.#end > this.#start) {
      this.#number((this.#start - this.#at) * 2);
      this.#number(this.#end - this.#start);
      this.#at = this.#end;
    }
    this.#start = this.#end;
  }

  #number(value: number): void {
    this.#reserve(NUMBER_BYTES_MAX);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Flat, start and end of each; undefined if there are too many. */
function stretchesOf(chunk: OffsetChunk): number[] | undefined {
  const stretches: number[] = [];
  for (let at = chunk.nextIn(0); at < CHUNK_OFFSETS;) {
    const end = chunk.nextOut(at);
    stretches.push(at, end);
    if (stretches.length > CHUNK_STRETCHES_MAX * 2) return undefined;
    at = chunk.nextIn(end);
  }
  return stretches;
}

class NumberReader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** NaN where it is cut off or too long. */
  next(): number {
    let value = 0;
    for (let factor = 1, i = 0; i < NUMBER_BYTES_MAX; i++, factor *= 0x80) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) return NaN;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    return NaN;
  }
}

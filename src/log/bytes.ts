/** Little-endian writing into one growing buffer, and bounded reading. u64 are Numbers, exact to 2^53 - 1. */
import { Buffer } from "node:buffer";
import { fromHalves } from "../records/entry.ts";

const TWO_32 = 2 ** 32;

/** Bytes that do not follow the format although nothing else was found wrong with them. */
export class FormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FormatError";
  }
}

/** One buffer, used again after `reset`: what was handed out by `written` must not be needed any more by then. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  u16(value: number): void {
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#take(8);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }

  bytes(source: Uint8Array): void {
    const at = this.#take(source.length);
    this.#bytes.set(source, at);
  }

  zeros(count: number): void {
    const at = this.#take(count);
    this.#bytes.fill(0, at, at + count);
  }

  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** A view: valid until the next write or `reset`. */
  written(from = 0, to = this.#length): Uint8Array {
    return this.#bytes.subarray(from, to);
  }

  #take(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return at;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** @throws {FormatError} from every method, past the end or above 2^53 - 1. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1fffff) throw new FormatError(`the number at byte ${at} exceeds 2^53 - 1`);
    return fromHalves(this.#view.getUint32(at, true), high);
  }

  /** A view. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  skip(count: number): void {
    this.#take(count);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new FormatError(`${count} bytes wanted at byte ${at}, beyond the end`);
    this.#at = at + count;
    return at;
  }
}

export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** Not zeroed. A plain Uint8Array: `slice` of a Buffer does not copy. */
export function allocate(lengthBytes: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(lengthBytes);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, lengthBytes);
}

/**
 * Builds a batch straight into the buffer that goes to the socket: 64 bytes for the entry's header, then a CBOR sequence
 * (RFC 8742) of records `[timestampDelta, key | null, value, headers | null]`.
 *
 * Timestamps need no second pass: the first record's delta is "max timestamp − its timestamp", in a fixed width that is
 * filled in at the end; every other record's is "its timestamp − the first's", and may be negative.
 */
import { Buffer } from "node:buffer";
import { compress } from "./codecs.ts";
import { Codec, Entry, ENTRY_HEADER_BYTES, EntryKind, RecordFormat } from "./entry.ts";
import { RecordsError } from "./errors.ts";
import { type BatchTiming, encodeTiming, UNTIMED } from "./timing.ts";

/** Text is stored as UTF-8. */
export type Bytes = Uint8Array | string;
export type Headers = Readonly<Record<string, Bytes>>;

export interface BatchWriterOptions {
  /** Of the whole batch, header included. One record alone may not exceed it either. */
  readonly bytesMax: number;
  /** A batch takes no second record beyond this size; a single large one may. Default: `bytesMax`. */
  readonly bytesTarget?: number;
  /** Of one record as it is stored: key, value, headers and a few bytes around them. Default: no bound of its own. */
  readonly recordBytesMax?: number;
  /** Room to reserve with the first record, where the size of the batch can be guessed. */
  readonly bytesExpected?: number;
  /** Of all its records. Default: at once, for ever. */
  readonly timing?: BatchTiming;
  /** Where buffers come from; of exactly the length asked for. Default: new ones. */
  readonly allocate?: (byteLength: number) => Uint8Array;
}

export interface BatchSeal {
  /** One of `Codec`; falls back to none where compression does not pay. */
  readonly codec?: number;
  /** 0 or absent: not idempotent. */
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

const ROOM_BYTES_FIRST = 512;
/** Room beyond the target, so that a full batch is not copied only to find out that one more record does not fit. */
const SPARE_BYTES = 16 * 1024;
const NO_BYTES = new Uint8Array(0);
const SMALL_BYTES = 32;
const SHORT_TEXT = 24;
/** Where the first record's delta is in it: after the array's header and the first byte of an 8-byte integer. */
const FIRST_DELTA_AT = 2;
const RECORD_HEADER = 0x84;
const NULL = 0xf6;
const MAJOR_UINT = 0x00;
const MAJOR_NEGATIVE = 0x20;
const MAJOR_BYTES = 0x40;
const MAJOR_TEXT = 0x60;
const MAJOR_MAP = 0xa0;
/** Longest header of an item. */
const ITEM_HEADER_BYTES = 9;
const FIRST_DELTA_BYTES = 9;
/** Of a record, what is neither key, value nor headers: the array's header, the delta and two items' headers. */
const FIXED_BYTES_MAX = 1 + FIRST_DELTA_BYTES + 2 * ITEM_HEADER_BYTES;

/**
 * @example
 * const writer = new BatchWriter({ bytesMax: 1_048_576 });
 * if (!writer.append(nowMs, "key", "value", null)) { send(writer.finish(seal)); writer.append(nowMs, "key", "value", null); }
 */
export class BatchWriter {
  readonly #bytesMax: number;
  readonly #bytesTarget: number;
  readonly #recordBytesMax: number;
  readonly #allocate: (byteLength: number) => Uint8Array;
  readonly #times: Uint8Array;
  /** Where the records begin. */
  readonly #start: number;
  #bytesExpected: number;
  #bytes: Uint8Array = NO_BYTES;
  #at: number;
  #count = 0;
  #firstTimestampMs = 0;
  #maxTimestampMs = 0;

  constructor(options: BatchWriterOptions) {
    this.#bytesMax = options.bytesMax;
    this.#recordBytesMax = options.recordBytesMax ?? Infinity;
    this.#bytesTarget = Math.min(options.bytesTarget ?? options.bytesMax, options.bytesMax);
    this.#bytesExpected = Math.max(options.bytesExpected ?? 0, ROOM_BYTES_FIRST);
    this.#allocate = options.allocate ?? allocate;
    this.#times = encodeTiming(options.timing ?? UNTIMED);
    this.#start = ENTRY_HEADER_BYTES + this.#times.length;
    this.#at = this.#start;
  }

  /** Records so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes so far, the header included, before compression. */
  get byteLength(): number {
    return this.#at;
  }

  /**
   * Adds a record. False if the batch has no room for it: finish this one and add it to the next. Bytes are copied.
   * @param timestampMs whole milliseconds since 1970
   * @throws {RecordsError} `TOO_LARGE` if it does not fit into an empty batch, `INVALID_RECORD`
   */
  append(timestampMs: number, key: Bytes | null, value: Bytes, headers: Headers | null): boolean {
    if (!(timestampMs >= 0 && Number.isSafeInteger(timestampMs))) throw invalidTimestamp(timestampMs);
    const start = this.#at;
    const headersBound = headers === null ? 1 : headersBytesMax(headers);
    const needed = start + FIXED_BYTES_MAX + (key === null ? 1 : bytesMaxOf(key)) + bytesMaxOf(value) + headersBound;
    if (needed > this.#bytes.length) this.#grow(needed);
    const bytes = this.#bytes;
    bytes[start] = RECORD_HEADER;
    let at = start + 1;
    if (this.#count === 0) {
      bytes[at] = 0x1b;
      at += 9;
    } else {
      const delta = timestampMs - this.#firstTimestampMs;
      at = delta >= 0 ? writeNumber(bytes, at, MAJOR_UINT, delta) : writeNumber(bytes, at, MAJOR_NEGATIVE, -1 - delta);
    }
    if (key === null) bytes[at++] = NULL;
    else at = writeBytes(bytes, at, key);
    at = writeBytes(bytes, at, value);
    if (headers === null) bytes[at++] = NULL;
    else at = writeHeaders(bytes, at, headers);
    if (at - start > this.#recordBytesMax) throw tooLarge(at - start, this.#recordBytesMax);
    if (at > this.#bytesTarget && (this.#count > 0 || at > this.#bytesMax)) {
      return this.#refuse(at - start, timestampMs);
    }
    this.#at = at;
    if (this.#count++ === 0) {
      this.#firstTimestampMs = timestampMs;
      this.#maxTimestampMs = timestampMs;
    } else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    return true;
  }

  /** The batch, ready to send; the writer is empty afterwards. There must be a record. */
  finish(seal: BatchSeal = {}): Entry {
    if (this.#count === 0) throw new RangeError("a batch has at least one record");
    const plain = this.#bytes.subarray(0, this.#at);
    plain.set(this.#times, ENTRY_HEADER_BYTES);
    writeU64BE(plain, this.#start + FIRST_DELTA_AT, this.#maxTimestampMs - this.#firstTimestampMs);
    const codec = seal.codec ?? Codec.none;
    const compressed = codec === Codec.none ? undefined : compress(codec, plain.subarray(this.#start));
    let bytes = plain;
    if (compressed !== undefined) {
      bytes = allocate(this.#start + compressed.length);
      bytes.set(this.#times, ENTRY_HEADER_BYTES);
      bytes.set(compressed, this.#start);
    }
    const entry = Entry.seal(bytes, {
      kind: EntryKind.batch,
      format: this.#times.length > 0 ? RecordFormat.cborTimed : RecordFormat.cbor,
      codec: compressed === undefined ? Codec.none : codec,
      maxTimestampMs: this.#maxTimestampMs,
      recordCount: this.#count,
      producerId: seal.producerId ?? 0,
      producerEpoch: seal.producerEpoch ?? 0,
      baseSequence: seal.baseSequence ?? 0,
    });
    // The next batch is likely to be as large: room for it at once.
    this.#bytesExpected = Math.max(ROOM_BYTES_FIRST, this.#at);
    this.#bytes = NO_BYTES;
    this.#at = this.#start;
    this.#count = 0;
    return entry;
  }

  #refuse(byteLength: number, timestampMs: number): false {
    const delta = timestampMs - this.#firstTimestampMs;
    // Alone in a batch its delta would take the full width.
    const deltaBytes = this.#count === 0 ? FIRST_DELTA_BYTES : numberWidth(delta < 0 ? -1 - delta : delta);
    const aloneBytes = this.#start + byteLength - deltaBytes + FIRST_DELTA_BYTES;
    if (aloneBytes <= this.#bytesMax) return false;
    throw new RecordsError("TOO_LARGE", `a record of ${byteLength} bytes; a batch has at most ${this.#bytesMax}`);
  }

  #grow(needed: number): void {
    // Few different lengths, so that whoever allocates can use buffers again.
    const likely = 2 ** Math.ceil(Math.log2(Math.max(this.#bytesExpected, needed, this.#bytes.length * 2)));
    const larger = this.#allocate(Math.max(needed, Math.min(likely, this.#bytesTarget + SPARE_BYTES)));
    if (this.#count > 0) larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

/** Not zeroed, and a plain Uint8Array: its `set` is faster than a Buffer's. */
function allocate(byteLength: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
}

/** @throws {RecordsError} `INVALID_RECORD` */
function bytesMaxOf(bytes: Bytes): number {
  if (typeof bytes === "string") return bytes.length * 3;
  if (bytes instanceof Uint8Array) return bytes.length;
  throw new RecordsError("INVALID_RECORD", `keys, values and headers are text or a Uint8Array, not ${typeof bytes}`);
}

/** @throws {RecordsError} `INVALID_RECORD` */
function headersBytesMax(headers: Headers): number {
  if (typeof headers !== "object" || Symbol.iterator in headers) {
    throw new RecordsError("INVALID_RECORD", "headers are an object of texts or Uint8Arrays by their names");
  }
  let total = ITEM_HEADER_BYTES;
  for (const name of Object.keys(headers)) {
    total += name.length * 3 + bytesMaxOf(headers[name]!) + 2 * ITEM_HEADER_BYTES;
  }
  return total;
}

/** All of these write at `at`, where there is room, and return where they ended. */
function writeHeaders(target: Uint8Array, start: number, headers: Headers): number {
  const names = Object.keys(headers);
  let at = writeNumber(target, start, MAJOR_MAP, names.length);
  for (const name of names) at = writeBytes(target, writeText(target, at, name), headers[name]!);
  return at;
}

function writeBytes(target: Uint8Array, start: number, bytes: Bytes): number {
  if (typeof bytes === "string") return writeText(target, start, bytes);
  const { length } = bytes;
  const at = writeNumber(target, start, MAJOR_BYTES, length);
  if (length < SMALL_BYTES) { for (let i = 0; i < length; i++) target[at + i] = bytes[i]!; }
  else target.set(bytes, at);
  return at + length;
}

/** The item's header is written for ASCII; should the text be longer in UTF-8, it is moved to make room. */
function writeText(target: Uint8Array, start: number, text: string): number {
  const { length } = text;
  const at = writeNumber(target, start, MAJOR_TEXT, length);
  const byteLength = writeUtf8(target, at, text);
  if (byteLength === length) return at + length;
  const shift = numberWidth(byteLength) - numberWidth(length);
  if (shift > 0) target.copyWithin(at + shift, at, at + byteLength);
  return writeNumber(target, start, MAJOR_TEXT, byteLength) + byteLength;
}

function numberWidth(value: number): number {
  return value < 24 ? 1 : value < 0x100 ? 2 : value < 0x10000 ? 3 : value < 0x1_0000_0000 ? 5 : 9;
}

/** An item's header: its major type and a number. */
function writeNumber(target: Uint8Array, at: number, major: number, value: number): number {
  if (value < 24) {
    target[at] = major | value;
    return at + 1;
  }
  if (value < 0x100) {
    target[at] = major | 24;
    target[at + 1] = value;
    return at + 2;
  }
  return writeLongNumber(target, at, major, value);
}

function writeLongNumber(target: Uint8Array, at: number, major: number, value: number): number {
  if (value < 0x10000) {
    target[at] = major | 25;
    target[at + 1] = value >>> 8;
    target[at + 2] = value;
    return at + 3;
  }
  if (value < 0x1_0000_0000) {
    target[at] = major | 26;
    writeU32BE(target, at + 1, value);
    return at + 5;
  }
  target[at] = major | 27;
  writeU64BE(target, at + 1, value);
  return at + 9;
}

function invalidTimestamp(timestampMs: number): RecordsError {
  return new RecordsError("INVALID_RECORD", `a timestamp is whole milliseconds since 1970, not ${timestampMs}`);
}

const utf8 = new TextEncoder();

/** Writes `text` at `at`; returns its length in bytes. There must be room for 3 bytes a character. */
export function writeUtf8(target: Uint8Array, at: number, text: string): number {
  const { length } = text;
  if (length <= SHORT_TEXT) {
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) break;
      target[at + i] = code;
    }
    if (i === length) return length;
  }
  return utf8.encodeInto(text, target.subarray(at)).written;
}

function writeU32BE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function writeU64BE(bytes: Uint8Array, at: number, value: number): void {
  writeU32BE(bytes, at, Math.floor(value / 2 ** 32));
  writeU32BE(bytes, at + 4, value % 2 ** 32);
}

function tooLarge(bytes: number, bytesMax: number): RecordsError {
  return new RecordsError("TOO_LARGE", `a record of ${bytes} bytes; the topic takes ${bytesMax}`);
}

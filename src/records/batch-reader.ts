/**
 * Reads the records of a batch. The bytes may come from anybody: every length is checked against what is there, nothing is
 * allocated from a declared count, and what is wrong is a `RecordsError`.
 */
import { decompress } from "./codecs.ts";
import { type Entry, EntryKind, RecordFormat } from "./entry.ts";
import { RecordsError } from "./errors.ts";
import { BatchRecord } from "./record.ts";
import { type BatchTiming, timingOf } from "./timing.ts";

/** What a batch may unpack to if the reader does not say otherwise. */
export const UNPACKED_BYTES_MAX = 64 * 1024 * 1024;

const RECORD_HEADER = 0x84;
/** `[0, null, "", null]` is the shortest. */
const RECORD_BYTES_MIN = 5;
const NULL = 0xf6;
const MAJOR_NEGATIVE = 1;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_MAP = 5;

/**
 * A cursor over one batch: `next()` steps to a record and fills the fields; no allocation per record. The positions
 * are in {@link bytes}.
 *
 * @example
 * const reader = new BatchReader(entry);
 * while (reader.next()) total += reader.valueEnd - reader.valueStart;
 */
export class BatchReader {
  /** The batch's records, unpacked. */
  readonly bytes: Uint8Array;
  readonly recordCount: number;
  /** Of all its records. */
  readonly timing: BatchTiming;
  offset = 0;
  timestampMs = 0;
  /** -1: the record has no key. */
  keyStart = -1;
  keyEnd = -1;
  valueStart = 0;
  valueEnd = 0;
  /** The map of headers, its own header included; -1: none. Checked: see `BatchRecord.headers`. */
  headersStart = -1;
  headersEnd = -1;

  readonly #baseOffset: number;
  readonly #maxTimestampMs: number;
  #firstTimestampMs = 0;
  #at = 0;
  #read = 0;

  /**
   * `entry` has been checked: its header on parsing, its payload with `verifyPayload`, or whoever sent it is trusted.
   * @throws {RecordsError} `UNSUPPORTED_FORMAT`, `UNSUPPORTED_CODEC`, `TOO_LARGE`, `CORRUPT`
   */
  constructor(entry: Entry, unpackedBytesMax = UNPACKED_BYTES_MAX) {
    const { kind, format } = entry;
    if (kind !== EntryKind.batch || (format !== RecordFormat.cbor && format !== RecordFormat.cborTimed)) {
      throw new RecordsError(
        "UNSUPPORTED_FORMAT",
        `an entry of kind ${entry.kind}, format ${entry.format} is no CBOR batch`,
      );
    }
    const { deliverAtMs, expiresAtMs, byteLength } = timingOf(entry);
    this.timing = { deliverAtMs, expiresAtMs };
    this.bytes = decompress(entry.codec, entry.payload.subarray(byteLength), unpackedBytesMax);
    this.recordCount = entry.recordCount;
    this.#baseOffset = entry.baseOffset;
    this.#maxTimestampMs = entry.maxTimestampMs;
    if (this.recordCount * RECORD_BYTES_MIN > this.bytes.length) {
      throw corrupt(`${this.recordCount} records in ${this.bytes.length} bytes`);
    }
  }

  /** Steps to the next record; false after the last. @throws {RecordsError} `CORRUPT` */
  next(): boolean {
    const { bytes } = this;
    if (this.#read === this.recordCount) {
      if (this.#at !== bytes.length) throw corrupt(`${bytes.length - this.#at} bytes after the last record`);
      return false;
    }
    if (bytes[this.#at] !== RECORD_HEADER) throw corrupt(`no record begins at byte ${this.#at}`);
    this.#at++;
    this.#readTimestamp();
    if (bytes[this.#at] === NULL) {
      this.#at++;
      this.keyStart = this.keyEnd = -1;
    } else {
      this.keyEnd = this.#skipBytes();
      this.keyStart = this.#start;
    }
    this.valueEnd = this.#skipBytes();
    this.valueStart = this.#start;
    if (bytes[this.#at] === NULL) {
      this.#at++;
      this.headersStart = this.headersEnd = -1;
    } else this.#skipHeaders();
    this.offset = this.#baseOffset + this.#read++;
    return true;
  }

  /** The next record is the first with this offset or a later one. @throws {RecordsError} `CORRUPT` */
  skipTo(offset: number): void {
    while (this.#baseOffset + this.#read < offset && this.next());
  }

  /** The record under the cursor, as an object that outlives it. A view: it pins the batch's bytes. */
  record(): BatchRecord {
    return new BatchRecord(this);
  }

  #readTimestamp(): void {
    const major = this.bytes[this.#at]! >> 5;
    if (!(major <= MAJOR_NEGATIVE)) throw corrupt(`no timestamp at byte ${this.#at}`);
    const argument = this.#readArgument();
    const delta = major === MAJOR_NEGATIVE ? -1 - argument : argument;
    if (this.#read === 0) {
      this.#firstTimestampMs = this.#maxTimestampMs - delta;
      this.timestampMs = this.#firstTimestampMs;
    } else this.timestampMs = this.#firstTimestampMs + delta;
    if (!(this.timestampMs >= 0 && this.timestampMs <= this.#maxTimestampMs)) {
      throw corrupt(`a record's timestamp ${this.timestampMs} is outside the batch's`);
    }
  }

  #start = 0;

  /** Steps over a byte or text string: it is from `#start` to the returned position. */
  #skipBytes(): number {
    const major = this.bytes[this.#at]! >> 5;
    if (major !== MAJOR_BYTES && major !== MAJOR_TEXT) throw corrupt(`no bytes and no text at byte ${this.#at}`);
    const length = this.#readArgument();
    const start = this.#at;
    const end = start + length;
    if (end > this.bytes.length) throw corrupt(`${length} bytes declared where ${this.bytes.length - start} are left`);
    this.#start = start;
    this.#at = end;
    return end;
  }

  #skipHeaders(): void {
    const start = this.#at;
    if (this.bytes[start]! >> 5 !== MAJOR_MAP) throw corrupt(`no headers at byte ${start}`);
    const count = this.#readArgument();
    for (let i = 0; i < count; i++) {
      if (this.bytes[this.#at]! >> 5 !== MAJOR_TEXT) throw corrupt(`a header's name at byte ${this.#at} is not text`);
      this.#skipBytes();
      this.#skipBytes();
    }
    this.headersStart = start;
    this.headersEnd = this.#at;
  }

  /** The number in an item's header. Reading past the end gives NaN or undefined, which no check accepts. */
  #readArgument(): number {
    const { bytes } = this;
    const at = this.#at;
    const info = bytes[at]! & 31;
    if (info < 24) {
      this.#at = at + 1;
      return info;
    }
    if (info === 24) {
      this.#at = at + 2;
      if (at + 2 > bytes.length) throw corrupt("a number is cut off");
      return bytes[at + 1]!;
    }
    if (info > 27) throw corrupt(`an item of indefinite length at byte ${at}`);
    const width = 1 << (info - 24);
    this.#at = at + 1 + width;
    if (this.#at > bytes.length) throw corrupt("a number is cut off");
    let value = 0;
    for (let i = 1; i <= width; i++) value = value * 256 + bytes[at + i]!;
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt("a number exceeds 2^53 - 1");
    return value;
  }
}

/**
 * All records of a batch at once: either every one is well-formed, or it throws before giving any.
 * @throws {RecordsError} as {@link BatchReader}
 */
export function readBatch(entry: Entry, unpackedBytesMax = UNPACKED_BYTES_MAX): BatchRecord[] {
  const reader = new BatchReader(entry, unpackedBytesMax);
  const records: BatchRecord[] = [];
  while (reader.next()) records.push(reader.record());
  return records;
}

function corrupt(what: string): RecordsError {
  return new RecordsError("CORRUPT", `a batch's records are damaged: ${what}`);
}

/** One record as it was read: positions in its batch's bytes, made into views and text only when asked. */
import { Buffer } from "node:buffer";
import type { BatchReader } from "./batch-reader.ts";

/** Values as they were given: text as strings, bytes as views. */
export type RecordHeaders = Readonly<Record<string, string | Uint8Array>>;

const NO_HEADERS: RecordHeaders = Object.freeze({});
const MAJOR_TEXT = 3;

export class BatchRecord {
  /** Its number in the partition. */
  readonly offset: number;
  /** Milliseconds since 1970, as the producer said. */
  readonly timestamp: number;
  /** Queues give it out from then on: milliseconds since 1970; null: at once. Readers of the log see it before. */
  readonly deliverAt: number | null;
  /** It is given to nobody from then on; null: never. */
  readonly expiresAt: number | null;
  readonly #bytes: Uint8Array;
  readonly #keyStart: number;
  readonly #keyEnd: number;
  readonly #valueStart: number;
  readonly #valueEnd: number;
  readonly #headersStart: number;

  /** The record under the reader's cursor. */
  constructor(reader: BatchReader) {
    this.offset = reader.offset;
    this.timestamp = reader.timestampMs;
    this.deliverAt = reader.timing.deliverAtMs;
    this.expiresAt = reader.timing.expiresAtMs;
    this.#bytes = reader.bytes;
    this.#keyStart = reader.keyStart;
    this.#keyEnd = reader.keyEnd;
    this.#valueStart = reader.valueStart;
    this.#valueEnd = reader.valueEnd;
    this.#headersStart = reader.headersStart;
  }

  /** A view of the batch: copy it (`key.slice()`) to keep it without the rest. */
  get key(): Uint8Array | null {
    return this.#keyStart < 0 ? null : this.#bytes.subarray(this.#keyStart, this.#keyEnd);
  }

  /** A view of the batch: copy it (`value.slice()`) to keep it without the rest. */
  get value(): Uint8Array {
    return this.#bytes.subarray(this.#valueStart, this.#valueEnd);
  }

  get headers(): RecordHeaders {
    return this.#headersStart < 0 ? NO_HEADERS : readHeaders(this.#bytes, this.#headersStart);
  }

  /** The key as UTF-8 text. */
  keyText(): string | null {
    return this.#keyStart < 0 ? null : utf8(this.#bytes, this.#keyStart, this.#keyEnd);
  }

  /** The value as UTF-8 text. */
  text(): string {
    return utf8(this.#bytes, this.#valueStart, this.#valueEnd);
  }

  /** The value parsed as JSON. @throws {SyntaxError} */
  json(): unknown {
    return JSON.parse(this.text());
  }
}

/** A map that the reader has checked: definite lengths, text names, nothing past the end. */
function readHeaders(bytes: Uint8Array, start: number): RecordHeaders {
  const headers: Record<string, string | Uint8Array> = {};
  let at = start;
  let itemStart = 0;
  const readLength = () => {
    const info = bytes[at]! & 31;
    const width = info < 24 ? 0 : 1 << (info - 24);
    let value = width === 0 ? info : 0;
    for (let i = 1; i <= width; i++) value = value * 256 + bytes[at + i]!;
    at += 1 + width;
    itemStart = at;
    return value;
  };
  for (let left = readLength(); left > 0; left--) {
    const nameLength = readLength();
    at += nameLength;
    const name = utf8(bytes, itemStart, at);
    const isText = bytes[at]! >> 5 === MAJOR_TEXT;
    const valueLength = readLength();
    at += valueLength;
    const value = isText ? utf8(bytes, itemStart, at) : bytes.subarray(itemStart, at);
    // Not an assignment: a header may be called "__proto__".
    Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return headers;
}

function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8");
}

/**
 * One log entry: 64 bytes of header, then the payload. A batch is such an entry, built once by the producer; the same
 * bytes go to the socket, every replica's disk and the consumer. All integers little-endian.
 *
 *   0 u32 crc32 of bytes 4..64    4 u32 payload length   8 u32 crc32 of the payload
 *  12 u8 kind  13 u8 record format  14 u8 codec  15 u8 header version
 *  16 u64 term  24 u64 index  32 u64 base offset  40 u64 max timestamp (ms since 1970)
 *  48 u32 record count  52 u32 base sequence  56 u48 producer id  62 u16 producer epoch
 *
 * The producer leaves term, index and base offset 0; the leader stamps them in place and renews the header's checksum.
 * The payload's checksum stays the producer's. u64 are Numbers: exact to 2^53 - 1, more is refused.
 */
import { crc32 } from "node:zlib";
import type { RaftEntry } from "../raft/types.ts";
import { RecordsError } from "./errors.ts";

export const ENTRY_HEADER_BYTES = 64;
const HEADER_VERSION = 1;

/** What an entry is for. Only batches carry records. */
export const EntryKind = {
  noOp: 0,
  batch: 1,
  configuration: 2,
  /** A command of a state machine that is not a batch: metadata, trims, cursors. */
  command: 3,
} as const;

/** How a batch's records are encoded. */
export const RecordFormat = { none: 0, cbor: 1, cborTimed: 2 } as const;

/** How a batch's payload is compressed; brokers never look. */
export const Codec = { none: 0, deflate: 1, zstd: 2, lz4: 3 } as const;

export interface EntryFields {
  readonly kind: number;
  readonly payload: Uint8Array;
  readonly format?: number;
  readonly codec?: number;
  readonly maxTimestampMs?: number;
  readonly recordCount?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

/** A view of one entry's bytes. The bytes belong to whoever made the buffer; nobody changes them but {@link stamp}. */
export class Entry implements RaftEntry {
  readonly bytes: Uint8Array;
  /** Its bytes are somebody's who will use them for others. */
  #lent = false;
  readonly kind: number;
  readonly recordCount: number;
  term: number;
  index: number;
  baseOffset: number;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.kind = bytes[12]!;
    this.recordCount = readU32(bytes, 48);
    this.term = readU64(bytes, 16);
    this.index = readU64(bytes, 24);
    this.baseOffset = readU64(bytes, 32);
  }

  get byteLength(): number {
    return this.bytes.length;
  }

  get isConfiguration(): boolean {
    return this.kind === EntryKind.configuration;
  }

  /** First offset after this entry's records. */
  get nextOffset(): number {
    return this.baseOffset + this.recordCount;
  }

  get payload(): Uint8Array {
    return this.bytes.subarray(ENTRY_HEADER_BYTES);
  }

  get headerCrc(): number {
    return readU32(this.bytes, 0);
  }

  get payloadCrc(): number {
    return readU32(this.bytes, 8);
  }

  get format(): number {
    return this.bytes[13]!;
  }

  get codec(): number {
    return this.bytes[14]!;
  }

  get maxTimestampMs(): number {
    return readU64(this.bytes, 40);
  }

  get baseSequence(): number {
    return readU32(this.bytes, 52);
  }

  /** 0: not idempotent. */
  get producerId(): number {
    return fromHalves(readU32(this.bytes, 56), readU16(this.bytes, 60));
  }

  get producerEpoch(): number {
    return readU16(this.bytes, 62);
  }

  /** Builds an entry, its place still open. */
  static create(fields: EntryFields): Entry {
    const { payload } = fields;
    const bytes = new Uint8Array(ENTRY_HEADER_BYTES + payload.length);
    bytes.set(payload, ENTRY_HEADER_BYTES);
    return Entry.seal(bytes, fields);
  }

  /** Fills in the header in front of a payload that is already in place at byte 64. No copy. */
  static seal(bytes: Uint8Array, fields: Omit<EntryFields, "payload">): Entry {
    writeU32(bytes, 4, bytes.length - ENTRY_HEADER_BYTES);
    writeU32(bytes, 8, crc32(bytes.subarray(ENTRY_HEADER_BYTES)));
    bytes[12] = fields.kind;
    bytes[13] = fields.format ?? RecordFormat.none;
    bytes[14] = fields.codec ?? Codec.none;
    bytes[15] = HEADER_VERSION;
    bytes.fill(0, 16, 40);
    writeU64(bytes, 40, fields.maxTimestampMs ?? 0);
    writeU32(bytes, 48, fields.recordCount ?? 0);
    writeU32(bytes, 52, fields.baseSequence ?? 0);
    const producerId = fields.producerId ?? 0;
    writeU32(bytes, 56, producerId % 2 ** 32);
    writeU16(bytes, 60, Math.floor(producerId / 2 ** 32));
    writeU16(bytes, 62, fields.producerEpoch ?? 0);
    writeU32(bytes, 0, crc32(bytes.subarray(4, ENTRY_HEADER_BYTES)));
    return new Entry(bytes);
  }

  /**
   * Reads the entry that starts at `position`, as a view. Checks the header's checksum; the payload's with
   * {@link verifyPayload}, which is paid once per replica.
   * @throws {RecordsError} `TRUNCATED`, `CORRUPT`, `UNSUPPORTED_VERSION`
   */
  static parse(source: Uint8Array, position = 0): Entry {
    const available = source.length - position;
    if (available < ENTRY_HEADER_BYTES) {
      throw new RecordsError("TRUNCATED", `an entry's header has ${ENTRY_HEADER_BYTES} bytes; there are ${available}`);
    }
    const header = source.subarray(position + 4, position + ENTRY_HEADER_BYTES);
    if (crc32(header) !== readU32(source, position)) {
      throw new RecordsError("CORRUPT", `the entry's header at byte ${position} does not match its checksum`);
    }
    if (source[position + 15] !== HEADER_VERSION) {
      throw new RecordsError("UNSUPPORTED_VERSION", `entry header version ${source[position + 15]} is not known`);
    }
    const byteLength = ENTRY_HEADER_BYTES + readU32(source, position + 4);
    if (byteLength > available) {
      throw new RecordsError("TRUNCATED", `the entry has ${byteLength} bytes; there are ${available}`);
    }
    for (let at = position + 16; at < position + 48; at += 8) {
      if (readU32(source, at + 4) > 0x1fffff) throw new RecordsError("CORRUPT", "a header field exceeds 2^53 - 1");
    }
    return new Entry(source.subarray(position, position + byteLength));
  }

  /** @throws {RecordsError} `CORRUPT` */
  verifyPayload(): void {
    if (crc32(this.payload) !== this.payloadCrc) {
      throw new RecordsError(
        "CORRUPT",
        `the payload of entry ${this.index} (term ${this.term}) does not match its checksum`,
      );
    }
  }

  /** The same entry, its bytes copied to the start of `memory`, which will be used for others: who keeps it detaches it. */
  lentIn(memory: Uint8Array): Entry {
    const bytes = memory.subarray(0, this.bytes.length);
    bytes.set(this.bytes);
    const copy = new Entry(bytes);
    copy.#lent = true;
    return copy;
  }

  detached(): this {
    return this.#lent ? new Entry(this.bytes.slice()) as this : this;
  }

  /** The leader's act: gives the entry its place in the log, in place. */
  stamp(term: number, index: number, baseOffset: number): void {
    const { bytes } = this;
    this.term = term;
    this.index = index;
    this.baseOffset = baseOffset;
    writeU64(bytes, 16, term);
    writeU64(bytes, 24, index);
    writeU64(bytes, 32, baseOffset);
    writeU32(bytes, 0, crc32(bytes.subarray(4, ENTRY_HEADER_BYTES)));
  }
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function readU64(bytes: Uint8Array, at: number): number {
  return fromHalves(readU32(bytes, at), readU32(bytes, at + 4));
}

/**
 * One number of its two unsigned 32-bit halves. A small one stays a small integer to the runtime: the product would make it a
 * float, and with it every field it is ever put in, which costs each record memory and time (V8: heap numbers).
 */
export function fromHalves(low: number, high: number): number {
  return high === 0 ? low : low + high * 2 ** 32;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 2 ** 32);
  writeU32(bytes, at + 4, Math.floor(value / 2 ** 32));
}

/** Makes the chunks of one block out of the records of one group commit. */
import type { LogLimits } from "./limits.ts";
import { BLOCK_HEADER_BYTES, blockBytes, sealHeader } from "./block.ts";
import { ByteWriter } from "./bytes.ts";
import { encodeHead, encodeRuns, type LogRecord, type PlacedRecord, type PlacedRun, placeRecord } from "./record.ts";
import type { WalFile } from "./wal-file.ts";

export interface Block {
  /** Header and table, then the entries, then padding. Valid until the next block is built. */
  readonly chunks: Uint8Array[];
  readonly bytes: number;
  /** Without padding. */
  readonly filledBytes: number;
  readonly position: number;
  readonly oldestFile: number;
  /** Positions are right only at `position`. */
  readonly records: readonly PlacedRecord[];
}

const NO_RUNS: PlacedRun[] = [];
const PADDING = new Uint8Array(8);

/**
 * Buffers are used again from block to block: one block is written at a time.
 * The runs' places depend on the table's length, which is known last: they are counted from the first entry, then moved.
 */
export class BlockBuilder {
  readonly #limits: LogLimits;
  readonly #table = new ByteWriter(64 * 1024);
  readonly #zeros: Uint8Array;
  #copies = new Uint8Array(256 * 1024);

  constructor(limits: LogLimits) {
    this.#limits = limits;
    this.#zeros = new Uint8Array(limits.zeroLeadBytes);
  }

  build(records: readonly LogRecord[], file: WalFile, position: number, sequence: number, oldestFile: number): Block {
    const table = this.#table;
    table.reset();
    table.zeros(BLOCK_HEADER_BYTES);
    const placed: PlacedRecord[] = [];
    let dataBytes = 0;
    for (const record of records) {
      const { entries } = record;
      encodeHead(table, record, entries.length > 0);
      const runs = entries.length > 0 ? encodeRuns(table, entries, dataBytes, this.#limits.runBytesMax) : NO_RUNS;
      const last = runs.at(-1);
      if (last) dataBytes = last.position + last.bytes;
      placed.push(placeRecord(record, runs));
    }
    const dataAt = position + table.length;
    for (const { runs } of placed) for (const run of runs) run.position += dataAt;
    const { identity } = file;
    const header = sealHeader(table, { identity, sequence, dataBytes, records: records.length, oldestFile });
    const chunks = [table.written()];
    this.#gather(records, chunks);
    const bytes = blockBytes(header);
    const filledBytes = table.length + dataBytes;
    if (filledBytes < bytes) chunks.push(PADDING.subarray(0, bytes - filledBytes));
    return { chunks, bytes, filledBytes, position, oldestFile, records: placed };
  }

  /** Zeros, to be written behind a block. */
  zeros(bytes: number): Uint8Array {
    return this.#zeros.subarray(0, bytes);
  }

  /**
   * The entries' bytes in order: small ones copied together, those that lie side by side in one buffer (as they came
   * in one frame) as one chunk, the others by reference.
   */
  #gather(records: readonly LogRecord[], chunks: Uint8Array[]): void {
    const { copyBytesMax } = this.#limits;
    let copied = 0;
    let copiedFrom = 0;
    let last: Uint8Array | undefined;
    const flush = () => {
      if (copied > copiedFrom) chunks.push(this.#copies.subarray(copiedFrom, copied));
      copiedFrom = copied;
    };
    for (const { entries } of records) {
      for (const { bytes } of entries) {
        if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
          last = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
          chunks[chunks.length - 1] = last;
        } else if (bytes.length <= copyBytesMax) {
          if (copied + bytes.length > this.#copies.length) {
            flush();
            this.#copies = new Uint8Array(Math.max(this.#copies.length * 2, bytes.length));
            copied = copiedFrom = 0;
          }
          this.#copies.set(bytes, copied);
          copied += bytes.length;
          last = undefined;
        } else {
          flush();
          chunks.push(bytes);
          last = bytes;
        }
      }
    }
    flush();
  }
}

/** What a consumer yields: records, or whole batches of them. */
import { BatchReader } from "../records/batch-reader.ts";
import type { Entry } from "../records/entry.ts";
import { timingOf } from "../records/timing.ts";
import { BatchRecord } from "../records/record.ts";
import { asRaftlineError } from "./batch-errors.ts";

/** One record and where it came from. Key and value are views of its batch: copy them to keep them alone. */
export class ConsumerRecord extends BatchRecord {
  readonly topic: string;
  readonly partition: number;

  constructor(topic: string, partition: number, reader: BatchReader) {
    super(reader);
    this.topic = topic;
    this.partition = partition;
  }
}

/** A batch as its producer built it, from the first record that was asked for. */
export class ConsumerBatch {
  readonly topic: string;
  readonly partition: number;
  /** Of the first record here. */
  readonly firstOffset: number;
  /** The record after this batch has this offset, or a later one. */
  readonly nextOffset: number;
  /** First offset that was not committed when this was read: `highWatermark - nextOffset` records follow. */
  readonly highWatermark: number;
  readonly #entry: Entry;

  constructor(topic: string, partition: number, entry: Entry, firstOffset: number, highWatermark: number) {
    this.topic = topic;
    this.partition = partition;
    this.firstOffset = firstOffset;
    this.nextOffset = entry.nextOffset;
    this.highWatermark = highWatermark;
    this.#entry = entry;
  }

  get recordCount(): number {
    return this.nextOffset - this.firstOffset;
  }

  /** Its records are given to nobody from then on: milliseconds since 1970; null: never. @throws {RaftlineError} `CORRUPT` */
  get expiresAt(): number | null {
    try {
      return timingOf(this.#entry).expiresAtMs;
    } catch (error) {
      throw asRaftlineError(error);
    }
  }

  /** Bytes on the wire. */
  get byteLength(): number {
    return this.#entry.byteLength;
  }

  /**
   * All its records.
   * @throws {RaftlineError} `CORRUPT`; `UNSUPPORTED_CODEC`: compressed in a way that this runtime does not know
   */
  records(): ConsumerRecord[] {
    try {
      const reader = new BatchReader(this.#entry);
      const records: ConsumerRecord[] = [];
      while (reader.next()) {
        if (reader.offset >= this.firstOffset) records.push(new ConsumerRecord(this.topic, this.partition, reader));
      }
      return records;
    } catch (error) {
      throw asRaftlineError(error);
    }
  }

  /**
   * A cursor, the quickest way to read: no object per record.
   *
   * @example for (const reader = batch.cursor(); reader.next();) bytes += reader.valueEnd - reader.valueStart;
   * @throws {RaftlineError} as {@link records}; its `next` throws a `RecordsError` of the same codes
   */
  cursor(): BatchReader {
    try {
      const reader = new BatchReader(this.#entry);
      reader.skipTo(this.firstOffset);
      return reader;
    } catch (error) {
      throw asRaftlineError(error);
    }
  }
}

/** One lease as it arrived: its batches, read record by record as messages are given out. */
import { BatchReader } from "../records/batch-reader.ts";
import { Entry, EntryKind } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { appendRange, type Ranges } from "../records/offset-ranges.ts";
import type { ClientLease } from "./queue-leases.ts";
import { QueueMessage, type Settling } from "./queue-message.ts";

export class LeasedRecords {
  readonly lease: ClientLease;
  readonly receivedMs: number;
  readonly #settling: Settling;
  readonly #entries: readonly Entry[];
  /** Flat: start, end, deliveries of each stretch. */
  readonly #held: readonly number[];
  #part = 0;
  /** The next one to give out. */
  #offset: number;
  #entry = -1;
  #reader: BatchReader | undefined;

  /** @throws {RecordsError} `CORRUPT`, … */
  constructor(
    lease: ClientLease,
    held: readonly number[],
    chunks: readonly Uint8Array[],
    receivedMs: number,
    settling: Settling,
  ) {
    this.lease = lease;
    this.receivedMs = receivedMs;
    this.#settling = settling;
    this.#held = held;
    this.#offset = held[0] ?? 0;
    this.#entries = chunks.flatMap(entriesIn);
  }

  get empty(): boolean {
    return this.#part >= this.#held.length;
  }

  /** The next message; only when not {@link empty}. @throws {RecordsError} `CORRUPT`, `UNSUPPORTED_CODEC` */
  next(): QueueMessage {
    const offset = this.#offset;
    const deliveries = this.#held[this.#part + 2]!;
    const reader = this.#readerAt(offset);
    this.#offset += 1;
    if (this.#offset >= this.#held[this.#part + 1]!) {
      this.#part += 3;
      this.#offset = this.#held[this.#part] ?? 0;
    }
    return new QueueMessage(this.lease, deliveries, reader, this.#settling);
  }

  /** What was not given out, and will not be. */
  takeRest(): number[] {
    const rest: Ranges = [];
    for (; this.#part < this.#held.length; this.#part += 3) {
      appendRange(rest, Math.max(this.#offset, this.#held[this.#part]!), this.#held[this.#part + 1]!);
    }
    const offsets: number[] = [];
    for (let i = 0; i < rest.length; i += 2) {
      for (let offset = rest[i]!; offset < rest[i + 1]!; offset++) offsets.push(offset);
    }
    return offsets;
  }

  #readerAt(offset: number): BatchReader {
    while (this.#reader === undefined || offset >= this.#entries[this.#entry]!.nextOffset) {
      this.#entry += 1;
      const entry = this.#entries[this.#entry];
      if (entry === undefined) throw new RecordsError("CORRUPT", `the leased record ${offset} did not come along`);
      if (offset < entry.nextOffset) {
        entry.verifyPayload();
        this.#reader = new BatchReader(entry);
      }
    }
    this.#reader.skipTo(offset);
    if (!this.#reader.next()) throw new RecordsError("CORRUPT", `the leased record ${offset} did not come along`);
    return this.#reader;
  }
}

function entriesIn(chunk: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < chunk.length;) {
    const entry = Entry.parse(chunk, at);
    at += entry.byteLength;
    if (entry.kind === EntryKind.batch) entries.push(entry);
  }
  return entries;
}

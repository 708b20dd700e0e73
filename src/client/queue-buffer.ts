/** One lease as it arrived: its batches, read record by record as messages are given out. */
import { BatchReader } from "../records/batch-reader.ts";
import { Entry, EntryKind } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { OffsetSet } from "../records/offset-set.ts";
import type { LeasedRecords } from "../wire/group-responses.ts";
import type { ClientLease } from "./queue-leases.ts";
import { QueueMessage, type Settling } from "./queue-message.ts";

/** Goes through the offsets of one number of deliveries. */
class HeldCursor {
  readonly deliveries: number;
  readonly offsets: OffsetSet;
  /** The next one; Infinity after the last. */
  at: number;
  #rowEnd: number;

  constructor({ deliveries, offsets }: LeasedRecords) {
    this.deliveries = deliveries;
    this.offsets = offsets;
    this.at = offsets.nextIn(0);
    this.#rowEnd = this.at < Infinity ? offsets.nextOut(this.at) : Infinity;
  }

  step(): void {
    this.at += 1;
    if (this.at < this.#rowEnd) return;
    this.at = this.offsets.nextIn(this.at);
    if (this.at < Infinity) this.#rowEnd = this.offsets.nextOut(this.at);
  }
}

export class LeaseBuffer {
  readonly lease: ClientLease;
  readonly receivedMs: number;
  readonly #settling: Settling;
  readonly #entries: readonly Entry[];
  readonly #held: readonly HeldCursor[];
  /** The one whose turn it is: its record is the next to be given out. */
  #next: HeldCursor | undefined;
  #entry = -1;
  #reader: BatchReader | undefined;

  /** @throws {RecordsError} `CORRUPT`, … */
  constructor(
    lease: ClientLease,
    held: readonly LeasedRecords[],
    chunks: readonly Uint8Array[],
    receivedMs: number,
    settling: Settling,
  ) {
    this.lease = lease;
    this.receivedMs = receivedMs;
    this.#settling = settling;
    this.#held = held.map((records) => new HeldCursor(records));
    this.#next = this.#lowest();
    this.#entries = chunks.flatMap(entriesIn);
  }

  get empty(): boolean {
    return this.#next === undefined;
  }

  /** The next message; only when not {@link empty}. @throws {RecordsError} `CORRUPT`, `UNSUPPORTED_CODEC` */
  next(): QueueMessage {
    const next = this.#next!;
    const { deliveries } = next;
    const reader = this.#readerAt(next.at);
    next.step();
    if (this.#held.length > 1 || next.at === Infinity) this.#next = this.#lowest();
    return new QueueMessage(this.lease, deliveries, reader, this.#settling);
  }

  /** What was not given out, and will not be. */
  takeRest(): OffsetSet {
    const rest = new OffsetSet();
    for (const { offsets, at } of this.#held) if (at < Infinity) rest.addAll(offsets.slice(at));
    this.#next = undefined;
    return rest;
  }

  /** In the order of the log, however often records were delivered. */
  #lowest(): HeldCursor | undefined {
    let lowest: HeldCursor | undefined;
    for (const cursor of this.#held) if (cursor.at < (lowest?.at ?? Infinity)) lowest = cursor;
    return lowest;
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

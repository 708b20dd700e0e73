/** A consumer's place in one partition: what it has fetched ahead, and what it gave out. */
import { Entry, EntryKind } from "../records/entry.ts";
import type { RaftlineError } from "../wire/errors.ts";
import { ConsumerBatch } from "./consumer-records.ts";
import type { FrameMemory } from "./frame-memory.ts";
import type { Route } from "./topic-view.ts";

interface Held {
  readonly batch: ConsumerBatch;
  readonly from: ArrayBufferLike;
}

/**
 * Invariant: `position` ≤ first offset of the first batch held ≤ … ≤ `fetchOffset`. A seek begins a new epoch: what was
 * asked before it is dropped when it arrives.
 */
export class PartitionCursor {
  readonly route: Route;
  /** Next offset to give out; -1: not known yet. */
  position = -1;
  /** Next offset to fetch. */
  fetchOffset = -1;
  /** Of a group: below it all was given out and is done with. */
  processed = -1;
  /** Nothing of it is fetched or given out for now. */
  paused = false;
  /** First offset that must not be given out: the end, where one is wanted. */
  endOffset = Infinity;
  highWatermark = 0;
  heldBytes = 0;
  epoch = 0;
  /** A fetch that asks for it is under way. */
  fetching = false;
  /** No fetch before. */
  retryAtMs = 0;
  failures = 0;
  /** It is to be read from where nothing can be: a seek mends that. */
  error: RaftlineError | undefined;
  /** Told what of it is held; undefined: what was given out stays as it is. */
  memory: FrameMemory | undefined;
  /** Where the batch that `next` gave last lies. */
  givenFrom: ArrayBufferLike | undefined;
  readonly #held: Held[] = [];

  constructor(route: Route) {
    this.route = route;
  }

  /** Committed records that are still to be given out, as far as is known. */
  get lag(): number {
    return this.position < 0 ? 0 : Math.max(0, this.highWatermark - this.position);
  }

  get hasBatch(): boolean {
    return this.#held.length > 0;
  }

  /** All that was wanted has been given out. */
  get finished(): boolean {
    return this.position >= 0 && this.position >= this.endOffset;
  }

  /** All that is wanted has been fetched. */
  get fetchedAll(): boolean {
    return this.fetchOffset >= this.endOffset;
  }

  seek(offset: number): void {
    this.epoch++;
    this.position = offset;
    this.fetchOffset = offset;
    this.fetching = false;
    this.retryAtMs = 0;
    this.error = undefined;
    this.#held.length = 0;
    this.heldBytes = 0;
  }

  /**
   * Takes the entries of an answer; returns the bytes held now that were not before. Checks every checksum.
   * @throws {RecordsError} `CORRUPT`, `TRUNCATED`, `UNSUPPORTED_VERSION`: nothing of the damaged rest was taken
   */
  take(chunks: readonly Uint8Array[], highWatermark: number): number {
    this.highWatermark = highWatermark;
    const heldBefore = this.heldBytes;
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const entry = Entry.parse(chunk, at);
        at += entry.byteLength;
        // What begins before the asked offset was asked for by its middle; all else must follow what came before.
        if (entry.nextOffset <= this.fetchOffset) continue;
        if (entry.kind === EntryKind.batch) this.#hold(entry);
        this.fetchOffset = entry.nextOffset;
      }
    }
    return this.heldBytes - heldBefore;
  }

  /** The next batch to give out; its bytes are no longer held. */
  next(): ConsumerBatch | undefined {
    const held = this.#held.shift();
    if (held !== undefined) this.heldBytes -= held.batch.byteLength;
    this.givenFrom = held?.from;
    return held?.batch;
  }

  #hold(entry: Entry): void {
    entry.verifyPayload();
    const { topic, partition } = this.route;
    const firstOffset = Math.max(entry.baseOffset, this.fetchOffset);
    const from = entry.bytes.buffer;
    this.memory?.hold(from);
    this.#held.push({ batch: new ConsumerBatch(topic, partition, entry, firstOffset, this.highWatermark), from });
    this.heldBytes += entry.byteLength;
  }
}

/**
 * What a producer has for one partition, in order. Invariant: batches are sent in the order of their sequences, and after a
 * failure nothing new is sent until every batch in flight is answered; then what failed goes again, in order, under
 * the sequences it had. So the broker either recognises a batch or finds it next in line (KIP-98).
 */
import type { Bytes, Headers } from "../records/batch-writer.ts";
import { type BatchTiming, sameTiming, UNTIMED } from "../records/timing.ts";
import { RaftlineError } from "../wire/errors.ts";
import { PRODUCER_WINDOW_BATCHES } from "../wire/limits.ts";
import type { BufferPool } from "./buffer-pool.ts";
import { type Completion, type Identity, PendingBatch, type RecordCallback } from "./pending-batch.ts";
import type { Route } from "./topic-view.ts";

const BACK_OFF_MS_FIRST = 10;
const BACK_OFF_MS_MAX = 250;
/** How often the first batch in line may be called out of order before that is believed. */
const HEAD_REFUSALS_MAX = 3;

export interface QueueSettings {
  readonly batchBytesMax: number;
  /** The topic's bound, as it is now. */
  readonly recordBytesMax: () => number;
  readonly codec: number;
  readonly deliveryTimeoutMs: number;
  readonly nowMs: () => number;
  /** A batch is settled: its bytes are free. */
  readonly onReleased: (bytes: number) => void;
  /** Of a batch with records that nobody asks about. */
  readonly onUnaskedFailed: (error: RaftlineError) => void;
  /** Batches are built in these. */
  readonly buffers: BufferPool;
}

export class PartitionQueue {
  readonly route: Route;
  /** What its batches are sealed with; undefined: the next that is offered. */
  identity: Identity | undefined;
  /** No attempt before. */
  retryAtMs = 0;

  readonly #settings: QueueSettings;
  #nextSequence = 0;
  #order = 0;
  #open: PendingBatch | undefined;
  /** To be sent, oldest first: sealed ones (sent before) come first. */
  #waiting: PendingBatch[] = [];
  #inFlight: PendingBatch[] = [];
  /** Failed while others are in flight. */
  #returned: PendingBatch[] = [];
  /** The first of the batches given up although they had a sequence: what comes after it must be renumbered. */
  #gap: PendingBatch | undefined;
  /** Its sequences do not lead on: the rest goes under another producer id. */
  #identityLost = false;
  #lostProducerId = 0;
  #ended: RaftlineError | undefined;
  #failures = 0;
  #headRefusals = 0;
  #lastBatchBytes = 0;

  constructor(route: Route, settings: QueueSettings) {
    this.route = route;
    this.#settings = settings;
  }

  get empty(): boolean {
    return this.#open === undefined && this.#waiting.length === 0 && this.#inFlight.length === 0 &&
      this.#returned.length === 0;
  }

  /** Batches so far, the one being filled included. */
  get batchesBegun(): number {
    return this.#order;
  }

  /** Of the batch being filled; 0 if there is none. */
  get openBytes(): number {
    return this.#open?.byteLength ?? 0;
  }

  /** Whether it is getting along: not repeating, not without a leader. */
  get healthy(): boolean {
    return this.route.leader !== 0 && this.#failures === 0;
  }

  get sendableBytes(): number {
    let bytes = this.#open?.byteLength ?? 0;
    for (const batch of this.#waiting) bytes += batch.byteLength;
    return bytes;
  }

  /** Whether {@link take} would give a batch. */
  sendable(nowMs: number): boolean {
    const next = this.#waiting[0] ?? this.#open;
    if (next === undefined || nowMs < this.retryAtMs || this.#returned.length > 0) return false;
    if (this.#identityLost || this.#gap !== undefined) return false;
    // Counted from the oldest, whatever of the later ones is answered: it must still be in the broker's window.
    const oldest = this.#inFlight[0];
    return oldest === undefined || next.order - oldest.order < PRODUCER_WINDOW_BATCHES;
  }

  /** Whether its batches may be sent under this identity; not under one whose sequences it has lost. */
  accepts(identity: Identity): boolean {
    return this.identity !== undefined || identity.producerId !== this.#lostProducerId;
  }

  /** Returns the bytes it took. @throws {RecordsError} `TOO_LARGE`, `INVALID_RECORD` */
  append(
    timestampMs: number,
    key: Bytes | null,
    value: Bytes,
    headers: Headers | null,
    told: RecordCallback | Completion | undefined,
    timing: BatchTiming = UNTIMED,
  ): number {
    // A batch has one time for all its records.
    if (this.#open !== undefined && !sameTiming(this.#open.timing, timing)) this.closeOpen();
    for (;;) {
      const open = this.#open ?? this.#begin(timing);
      const before = open.recordCount === 0 ? 0 : open.byteLength;
      if (open.append(timestampMs, key, value, headers, told)) {
        this.#open = open;
        return open.byteLength - before;
      }
      this.closeOpen();
    }
  }

  /** The next record begins a new batch. */
  closeOpen(): void {
    if (this.#open === undefined) return;
    this.#waiting.push(this.#open);
    this.#lastBatchBytes = this.#open.byteLength;
    this.#open = undefined;
  }

  /** The next batch to send, sealed and counted as in flight. Only when {@link sendable}, and what it {@link accepts}. */
  take(identity: Identity): PendingBatch {
    let batch = this.#waiting.shift();
    if (batch === undefined) {
      batch = this.#open!;
      this.#open = undefined;
      this.#lastBatchBytes = batch.byteLength;
    }
    if (!batch.sealed) {
      this.identity ??= identity;
      const bytesBefore = batch.byteLength;
      batch.seal(this.identity, this.#nextSequence);
      // Unsigned 32-bit: sequences come round.
      this.#nextSequence = (this.#nextSequence + batch.recordCount) >>> 0;
      // Compression may have made it smaller.
      if (batch.byteLength !== bytesBefore) this.#settings.onReleased(bytesBefore - batch.byteLength);
    }
    batch.attempts++;
    this.#inFlight.push(batch);
    return batch;
  }

  stored(batch: PendingBatch, baseOffset: number): void {
    this.#failures = 0;
    if (this.#inFlight[0] === batch) this.#headRefusals = 0;
    this.#removeInFlight(batch);
    this.#settings.onReleased(batch.byteLength);
    // Who has answered the only request that held its bytes has read them all. After a second attempt the first
    // connection may still hold them: written over, they would be another batch on the wire.
    if (batch.attempts === 1) this.#settings.buffers.give(batch.bytes.buffer);
    batch.resolve(baseOffset);
    this.#settle();
  }

  /** `certain`: the node says that it did not store it. */
  failed(batch: PendingBatch, error: RaftlineError, certain: boolean): void {
    batch.lastError = error;
    if (!certain) batch.uncertain = true;
    const isHead = this.#inFlight[0] === batch && this.#returned.length === 0;
    this.#removeInFlight(batch);
    if (this.#ended !== undefined) this.#giveUp(batch, this.#ended);
    else if (error.code === "OUT_OF_ORDER_SEQUENCE" && isHead && ++this.#headRefusals >= HEAD_REFUSALS_MAX) {
      this.#giveUp(batch, error);
      this.#identityLost = true;
    } else if (error.code === "UNKNOWN_PRODUCER_ID" && isHead) {
      this.#identityLost = true;
      if (batch.uncertain) this.#giveUp(batch, error);
      else this.#returned.push(batch);
    } else if (error.retriable || error.code === "UNKNOWN_PRODUCER_ID") {
      // The id is unknown as long as the partition's first batch is not stored; that one goes first now.
      // A node that asks for patience gets some the first time.
      if (error.code === "THROTTLED") this.#failures = Math.max(this.#failures, 2);
      this.#returned.push(batch);
    } else {
      this.#giveUp(batch, error);
      this.#identityLost ||= batch.uncertain || error.code === "PRODUCER_FENCED";
    }
    this.#settle();
  }

  /** Gives up what is not in flight and too old. Returns whether it did. */
  expire(nowMs: number): boolean {
    const expired = (batch: PendingBatch | undefined) =>
      batch !== undefined && nowMs - batch.createdMs >= this.#settings.deliveryTimeoutMs;
    if (this.#inFlight.length > 0 || !expired(this.#waiting[0] ?? this.#open)) return false;
    const batch = this.#waiting.shift() ?? this.#open!;
    if (batch === this.#open) this.#open = undefined;
    if (batch.sealed && batch.uncertain) this.#identityLost = true;
    this.#giveUp(batch, this.#expiry(batch));
    this.#settle();
    return true;
  }

  /** Everything fails with this, but what in flight turns out to be stored. */
  rejectAll(error: RaftlineError): void {
    this.#ended = error;
    const batches = [...this.#returned, ...this.#waiting];
    if (this.#open !== undefined) batches.push(this.#open);
    this.#open = undefined;
    this.#returned = [];
    this.#waiting = [];
    for (const batch of batches) this.#giveUp(batch, error);
  }

  /** `completion` waits for all that is here now. */
  join(completion: Completion): void {
    for (const batch of [...this.#inFlight, ...this.#returned, ...this.#waiting]) batch.join(completion);
    this.#open?.join(completion);
  }

  #begin(timing: BatchTiming): PendingBatch {
    return new PendingBatch({
      partition: this.route.partition,
      createdMs: this.#settings.nowMs(),
      order: this.#order++,
      codec: this.#settings.codec,
      bytesTarget: this.#settings.batchBytesMax,
      recordBytesMax: this.#settings.recordBytesMax(),
      bytesExpected: this.#lastBatchBytes,
      timing,
      allocate: this.#settings.buffers.take,
    });
  }

  /** Where a full disk refused it every time, the outcome is known, and somebody has something to do about it. */
  #expiry({ lastError, uncertain }: PendingBatch): RaftlineError {
    const { deliveryTimeoutMs } = this.#settings;
    const { topic, partition } = this.route;
    const code = lastError?.code === "DISK_FULL" && !uncertain ? "DISK_FULL" : "TIMED_OUT";
    const last = lastError === undefined ? "no leader was found" : lastError.message;
    const message = `not acknowledged by ${topic}/${partition} in ${deliveryTimeoutMs} ms: ${last}`;
    return new RaftlineError(code, message, { cause: lastError });
  }

  #removeInFlight(batch: PendingBatch): void {
    const at = this.#inFlight.indexOf(batch);
    if (at >= 0) this.#inFlight.splice(at, 1);
  }

  #giveUp(batch: PendingBatch, error: RaftlineError): void {
    if (batch.sealed && (this.#gap === undefined || batch.order < this.#gap.order)) this.#gap = batch;
    this.#settings.onReleased(batch.byteLength);
    if (batch.hasUnasked) this.#settings.onUnaskedFailed(error);
    batch.reject(error);
  }

  /** When nothing is in flight any more: what came back goes to the front, and the sequences are put right. */
  #settle(): void {
    if (this.#inFlight.length > 0) return;
    if (this.#returned.length > 0) {
      this.#returned.sort((a, b) => a.order - b.order);
      this.#waiting.unshift(...this.#returned);
      this.#returned = [];
      this.#backOff();
    }
    if (this.#gap !== undefined || this.#identityLost) this.#renumber();
  }

  /**
   * After a gap no sequence would fit. What certainly is not stored gets new ones. What may be stored cannot be sent under
   * another number without storing it twice: it is given up too, as "not known", and the rest goes under a new identity.
   */
  #renumber(): void {
    const gap = this.#gap;
    const after = this.#waiting.filter((batch) => batch.sealed && (gap === undefined || batch.order > gap.order));
    if (this.#identityLost || after.some((batch) => batch.uncertain)) this.#changeIdentity();
    else {
      this.#nextSequence = gap!.baseSequence;
      for (const batch of after) batch.unseal();
    }
    this.#gap = undefined;
    this.#headRefusals = 0;
  }

  #changeIdentity(): void {
    this.#lostProducerId = this.identity?.producerId ?? this.#lostProducerId;
    this.identity = undefined;
    this.#identityLost = false;
    this.#nextSequence = 0;
    const unknown = this.#waiting.filter((batch) => batch.sealed && batch.uncertain);
    this.#waiting = this.#waiting.filter((batch) => !unknown.includes(batch));
    for (const batch of this.#waiting) batch.unseal();
    for (const batch of unknown) {
      const message = "a batch before this one failed; whether this one is stored is not known";
      this.#giveUp(batch, new RaftlineError("TIMED_OUT", message, { cause: batch.lastError }));
    }
  }

  #backOff(): void {
    const failures = this.#failures++;
    if (failures === 0) return;
    const delayMs = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_FIRST * 2 ** (failures - 1));
    this.retryAtMs = this.#settings.nowMs() + delayMs;
  }
}

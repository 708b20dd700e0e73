/** A batch on its way: filled, sealed when it is first sent, then sent until it is settled. */
import { BatchWriter, type Bytes, type Headers } from "../records/batch-writer.ts";
import { Entry } from "../records/entry.ts";
import type { BatchTiming } from "../records/timing.ts";
import { RaftlineError } from "../wire/errors.ts";
import { BATCH_BYTES_MAX } from "../wire/limits.ts";

/** Called once per record: with an error, or with where the record is. */
export type RecordCallback = (error: RaftlineError | undefined, partition: number, offset: number) => void;

/**
 * What it throws is its own: a rejection that nobody handles, and neither the producer's business nor that of whoever is told
 * next.
 */
export function tell(told: RecordCallback, error: RaftlineError | undefined, partition: number, offset: number): void {
  try {
    told(error, partition, offset);
  } catch (thrown) {
    void Promise.reject(thrown);
  }
}

/** Who wrote a batch, for the broker's recognition of what it has already. */
export interface Identity {
  readonly producerId: number;
  readonly epoch: number;
}

/** One promise for records in many batches. */
export class Completion {
  readonly promise: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: RaftlineError) => void;
  #batches = 0;
  #allAdded = false;
  #error: RaftlineError | undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever made it may still be adding when the first batch fails.
    this.promise.catch(() => {});
  }

  batchAdded(): void {
    this.#batches++;
  }

  /** No batch is added any more. */
  allAdded(): void {
    this.#allAdded = true;
    this.#check();
  }

  batchSettled(error: RaftlineError | undefined): void {
    this.#batches--;
    this.#error ??= error;
    this.#check();
  }

  #check(): void {
    if (!this.#allAdded || this.#batches > 0) return;
    if (this.#error === undefined) this.#resolve();
    else this.#reject(this.#error);
  }
}

export class PendingBatch {
  readonly partition: number;
  readonly createdMs: number;
  /** Its place among the partition's batches: they are sent in this order, always. */
  readonly order: number;
  /** Of all its records. */
  readonly timing: BatchTiming;
  /** Some attempt ended without an answer: it may be stored already. */
  uncertain = false;
  lastError: RaftlineError | undefined;
  attempts = 0;

  readonly #writer: BatchWriter;
  readonly #codec: number;
  #entry: Entry | undefined;
  #sealed = false;
  /** Only of records somebody asks about. */
  readonly #positions: number[] = [];
  readonly #callbacks: RecordCallback[] = [];
  readonly #completions: Completion[] = [];
  #hasUnasked = false;

  constructor(options: PendingBatchOptions) {
    this.partition = options.partition;
    this.createdMs = options.createdMs;
    this.order = options.order;
    this.#codec = options.codec;
    const { bytesTarget, bytesExpected, recordBytesMax, allocate, timing } = options;
    this.timing = timing;
    this.#writer = new BatchWriter({
      timing,
      bytesMax: BATCH_BYTES_MAX,
      bytesTarget,
      bytesExpected,
      recordBytesMax,
      allocate,
    });
  }

  get byteLength(): number {
    return this.#entry?.byteLength ?? this.#writer.byteLength;
  }

  get recordCount(): number {
    return this.#entry?.recordCount ?? this.#writer.count;
  }

  /** Whether it has records that nobody asks about: `flush` tells of them. */
  get hasUnasked(): boolean {
    return this.#hasUnasked;
  }

  /** Whether it has a sequence. */
  get sealed(): boolean {
    return this.#sealed;
  }

  get bytes(): Uint8Array {
    return this.#entry!.bytes;
  }

  get baseSequence(): number {
    return this.#entry!.baseSequence;
  }

  /** False: it has no room; the record goes to the next batch. @throws {RecordsError} `TOO_LARGE`, `INVALID_RECORD` */
  append(
    timestampMs: number,
    key: Bytes | null,
    value: Bytes,
    headers: Headers | null,
    told: RecordCallback | Completion | undefined,
  ): boolean {
    const position = this.#writer.count;
    if (!this.#writer.append(timestampMs, key, value, headers)) return false;
    if (told instanceof Completion) this.join(told);
    else if (told !== undefined) {
      this.#positions.push(position);
      this.#callbacks.push(told);
    } else this.#hasUnasked = true;
    return true;
  }

  /** `completion` waits for this batch too. */
  join(completion: Completion): void {
    if (this.#completions.at(-1) === completion) return;
    this.#completions.push(completion);
    completion.batchAdded();
  }

  /** Takes its sequence away: it certainly was not stored under it. */
  unseal(): void {
    this.#sealed = false;
  }

  /** Gives it its sequence, to be sent. */
  seal({ producerId, epoch: producerEpoch }: Identity, baseSequence: number): void {
    const entry = this.#entry;
    this.#sealed = true;
    if (entry === undefined) {
      this.#entry = this.#writer.finish({ codec: this.#codec, producerId, producerEpoch, baseSequence });
      return;
    }
    const { kind, format, codec, maxTimestampMs, recordCount } = entry;
    const fields = { kind, format, codec, maxTimestampMs, recordCount, producerId, producerEpoch, baseSequence };
    // A copy: the system may still hold the bytes of the last attempt.
    this.#entry = Entry.seal(entry.bytes.slice(), fields);
  }

  resolve(baseOffset: number): void {
    this.#callbacks.forEach((told, i) => tell(told, undefined, this.partition, baseOffset + this.#positions[i]!));
    for (const completion of this.#completions) completion.batchSettled(undefined);
    this.#letGo();
  }

  reject(error: RaftlineError): void {
    for (const told of this.#callbacks) tell(told, error, this.partition, -1);
    for (const completion of this.#completions) completion.batchSettled(error);
    this.#letGo();
  }

  /**
   * Of whom it has told: once a batch has become old, dead or not, what it holds lives until the whole heap is marked. That
   * was 4 MB/s of a producer that calls `sendAll`, and a marking every four seconds.
   */
  #letGo(): void {
    this.#callbacks.length = 0;
    this.#completions.length = 0;
  }
}

export interface PendingBatchOptions {
  readonly partition: number;
  readonly createdMs: number;
  readonly order: number;
  readonly codec: number;
  readonly bytesTarget: number;
  readonly recordBytesMax: number;
  readonly bytesExpected: number;
  readonly timing: BatchTiming;
  readonly allocate: (byteLength: number) => Uint8Array;
}

/** Publishing: records in, acknowledgements out; idempotent, in order per partition, bounded in memory. */
import type { Bytes, Headers } from "../records/batch-writer.ts";
import { hasCodec } from "../records/codecs.ts";
import { Codec } from "../records/entry.ts";
import { type BatchTiming, UNTIMED } from "../records/timing.ts";
import { RaftlineError } from "../wire/errors.ts";
import { BATCH_BYTES_MAX } from "../wire/limits.ts";
import { asRaftlineError } from "./batch-errors.ts";
import { BufferPool } from "./buffer-pool.ts";
import { checkBound, checkMs, checkOneOf, checkWhole, invalid, TIMER_MS_MAX } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { Dispatcher } from "./dispatcher.ts";
import { PartitionQueue, type QueueSettings } from "./partition-queue.ts";
import { Partitioner } from "./partitioner.ts";
import { Completion, type RecordCallback, tell } from "./pending-batch.ts";
import type { Route, TopicView } from "./topic-view.ts";

export interface ProducerOptions {
  /** A batch takes no further record beyond this size. Default: 128 KiB; at most 4 MiB. */
  readonly batchBytesMax?: number;
  /** Records that are not acknowledged yet; above it `send` waits. Default: 64 MiB. */
  readonly bufferBytesMax?: number;
  /**
   * How long a record may take, retries included; then `TIMED_OUT`: whether it is stored is not known, or `DISK_FULL`: it is
   * not, for the leader's disk was full all the time. A request under way is awaited, so that it may take one request's
   * time longer. Default: 30,000.
   */
  readonly deliveryTimeoutMs?: number;
  /** Batches that shrink by it are compressed: "lz4" fastest, "deflate" smaller, "zstd" where the runtime has it. Default: "none". */
  readonly compression?: "none" | "lz4" | "deflate" | "zstd";
}

export interface ProducerRecord {
  /** Records of one key keep their order: they go to one partition. */
  readonly key?: Bytes | null;
  /** Text is stored as UTF-8. Bytes are copied before `send` returns. */
  readonly value: Bytes;
  readonly headers?: Headers;
  /** Milliseconds since 1970. Default: now. */
  readonly timestamp?: number;
  /** Default: by the key's hash; without a key, spread in whole batches. */
  readonly partition?: number;
  /** Queues do not give it out before this: milliseconds since 1970. Readers of the log see it at once. */
  readonly deliverAt?: number;
  /** The same (and instead of it), from now on; kept to the next 10 ms, so that records sent together stay together. */
  readonly delayMs?: number;
  /** So long after it may be delivered it is given to nobody any more. Kept to the next 10 ms. */
  readonly ttlMs?: number;
}

/** Where a record is. */
export interface RecordPlace {
  readonly partition: number;
  readonly offset: number;
}

/** Records between two looks at the clock, and the most that are taken in one turn. */
const TURN_RECORDS = 4_096;
/** Records that may wait for their topic to be looked up. */
const LOADING_RECORDS_MAX = 10_000;

const TIMING_STEP_MS = 10;

/** Of buffers that wait to be used again. */
const KEPT_BYTES_MAX = 16 * 2 ** 20;
const BUFFER_BYTES_MAX = 64 * 2 ** 20;

interface Waiting {
  readonly record: ProducerRecord;
  readonly told: RecordCallback | undefined;
}

interface Topic {
  readonly name: string;
  view: TopicView | undefined;
  queues: PartitionQueue[];
  loading: Promise<void> | undefined;
  /** Taken, in order, before any later record of the topic: its topic is being looked up, or the buffer is full. */
  readonly waiting: Waiting[];
  /** There when `view` is. */
  partitioner: Partitioner | undefined;
}

/**
 * @example
 * const { partition, offset } = await producer.send("orders", { key: "42", value: "paid" });
 * await producer.sendAll("orders", records);
 * await producer.close();
 */
export class Producer {
  readonly #cluster: Cluster;
  readonly #dispatcher: Dispatcher;
  readonly #queueSettings: Omit<QueueSettings, "recordBytesMax">;
  readonly #batchBytesMax: number;
  readonly #bufferBytesMax: number;
  readonly #stopWatching: () => void;
  readonly #onClosed: () => void;
  readonly #topics = new Map<string, Topic>();
  #bufferedBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #draining = false;
  /** Of the first record since the last flush that failed without anybody being told. */
  #unaskedError: RaftlineError | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  /** Made by `client.producer()`. @throws {RaftlineError} `INVALID_REQUEST` */
  constructor(cluster: Cluster, options: ProducerOptions, onClosed: () => void) {
    const batchBytesMax = checkWhole("batchBytesMax", options.batchBytesMax ?? 128 * 1024, 1, BATCH_BYTES_MAX);
    const deliveryTimeoutMs = checkMs("deliveryTimeoutMs", options.deliveryTimeoutMs ?? 30_000, 1, TIMER_MS_MAX);
    this.#cluster = cluster;
    this.#onClosed = onClosed;
    this.#bufferBytesMax = checkBound("bufferBytesMax", options.bufferBytesMax ?? BUFFER_BYTES_MAX, 1);
    this.#batchBytesMax = batchBytesMax;
    this.#dispatcher = new Dispatcher(cluster, { deliveryTimeoutMs });
    this.#stopWatching = cluster.onChange(() => this.#followTopics());
    this.#queueSettings = {
      batchBytesMax,
      codec: codecOf(options.compression ?? "none"),
      deliveryTimeoutMs,
      nowMs: () => cluster.runtime.clock.monotonicMs(),
      onReleased: (bytes) => this.#release(bytes),
      onUnaskedFailed: (error) => this.#unaskedError ??= error,
      buffers: new BufferPool(Math.min(KEPT_BYTES_MAX, this.#bufferBytesMax)),
    };
  }

  /** Not acknowledged yet, in bytes. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** What was sent so far, repetitions included. */
  get statistics(): { readonly batches: number; readonly bytes: number } {
    return { batches: this.#dispatcher.batchesSent, bytes: this.#dispatcher.bytesSent };
  }

  /** Resolves when there is room: at once, or after `enqueue` returned false. */
  get ready(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (!this.#hasRoom()) return new Promise((resolve) => this.#roomWaiters.push(resolve));
    // With as many records as may wait for a topic: when that is known. Else whoever tries again would try for ever.
    return [...this.#topics.values()].find(isCrowded)?.loading ?? Promise.resolve();
  }

  /**
   * Publishes one record; resolves when it is on a majority's disks. Records of one partition keep the order of the calls.
   * @throws {RaftlineError} `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, `TOO_LARGE`, `INVALID_RECORD`, `NOT_AUTHORIZED`,
   * `CLOSED`; `TIMED_OUT`: it may be stored or not
   */
  send(topic: string, record: ProducerRecord): Promise<RecordPlace> {
    return new Promise((resolve, reject) => {
      this.#submit(topic, record, (error, partition, offset) => {
        if (error === undefined) resolve({ partition, offset });
        else reject(error);
      });
    });
  }

  /**
   * Publishes many; resolves when all are acknowledged. Cheaper than `send`: there is no promise per record. Waits for
   * room as it goes.
   * @throws {RaftlineError} as `send`, for the first record that failed; the others may be stored. `INVALID_REQUEST`: not
   * records
   */
  async sendAll(topic: string, records: Iterable<ProducerRecord> | AsyncIterable<ProducerRecord>): Promise<void> {
    const completion = new Completion();
    try {
      checkRecords(records);
      const state = await this.#loaded(topic);
      if (Array.isArray(records)) await this.#appendArray(state, records, completion);
      else if (Symbol.asyncIterator in records) await this.#appendFrom(state, records, completion);
      else await this.#appendAll(state, records, completion);
    } finally {
      completion.allAdded();
    }
    await completion.promise;
  }

  /**
   * Hands over one record without a promise. False: there is no room and it was not taken; await {@link ready} and try
   * again. `told` is called once, when it is acknowledged or failed; without it `flush` and `close` tell of a failure.
   * @throws {RaftlineError} `CLOSED`
   */
  enqueue(topic: string, record: ProducerRecord, told?: RecordCallback): boolean {
    if (this.#closing !== undefined) throw closed();
    const state = this.#topic(topic);
    if (state.view === undefined) {
      if (isCrowded(state)) return false;
    } else if (!this.#hasRoom() || state.waiting.length > 0) return false;
    this.#take(state, record, told);
    return true;
  }

  /**
   * Resolves when all records taken so far are settled.
   * @throws {RaftlineError} of the first that failed of those that were not settled when it was called, or that nobody was
   * told of since the last flush; `send` and `sendAll` tell each their own as well
   */
  async flush(): Promise<void> {
    const completion = new Completion();
    for (const topic of this.#topics.values()) {
      await topic.loading;
      while (topic.waiting.length > 0) await this.ready;
      for (const queue of topic.queues) queue.join(completion);
    }
    completion.allAdded();
    let unasked: RaftlineError | undefined;
    try {
      await completion.promise;
    } finally {
      unasked = this.#unaskedError;
      this.#unaskedError = undefined;
    }
    if (unasked !== undefined) throw unasked;
  }

  /** Flushes, then takes no more. @throws {RaftlineError} as `flush` */
  close(): Promise<void> {
    this.#closing ??= this.flush().finally(() => {
      this.#closed = true;
      this.#stopWatching();
      this.#dispatcher.close();
      for (const topic of this.#topics.values()) this.#rejectTopic(topic, closed());
      this.#tellRoom();
      this.#onClosed();
    });
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #submit(topic: string, record: ProducerRecord, told: RecordCallback): void {
    if (this.#closing !== undefined) return told(closed(), -1, -1);
    this.#take(this.#topic(topic), record, told);
  }

  #take(topic: Topic, record: ProducerRecord, told: RecordCallback | undefined): void {
    if (topic.view === undefined || topic.waiting.length > 0 || !this.#hasRoom()) topic.waiting.push({ record, told });
    else this.#appendTold(topic, record, told);
  }

  #appendTold(topic: Topic, record: ProducerRecord, told: RecordCallback | undefined): void {
    try {
      this.#append(topic, record, this.#cluster.runtime.clock.wallMs(), told);
    } catch (error) {
      this.#tellFailed(told, error as RaftlineError);
    }
  }

  #tellFailed(told: RecordCallback | undefined, error: RaftlineError): void {
    if (told === undefined) this.#unaskedError ??= error;
    else tell(told, error, -1, -1);
  }

  async #appendAll(topic: Topic, records: Iterable<ProducerRecord>, completion: Completion): Promise<void> {
    let left = 0;
    let nowMs = 0;
    for (const record of records) {
      if (left-- === 0) {
        if (nowMs !== 0) await this.#turn();
        left = TURN_RECORDS;
        nowMs = this.#cluster.runtime.clock.wallMs();
      }
      if (this.#mustWait(topic)) await this.#room(topic);
      this.#append(topic, record, nowMs, completion);
    }
  }

  /** As any other iterable, but without an iterator's object for each record. */
  async #appendArray(topic: Topic, records: readonly ProducerRecord[], completion: Completion): Promise<void> {
    for (let at = 0; at < records.length;) {
      if (this.#mustWait(topic)) await this.#room(topic);
      at = this.#appendTurn(topic, records, at, completion);
      if (at < records.length && !this.#mustWait(topic)) await this.#turn();
    }
  }

  /** From `from` on what one turn takes, as long as there is room. Returns where it stopped. */
  #appendTurn(topic: Topic, records: readonly ProducerRecord[], from: number, completion: Completion): number {
    const nowMs = this.#cluster.runtime.clock.wallMs();
    const to = Math.min(records.length, from + TURN_RECORDS);
    let at = from;
    for (; at < to && !this.#mustWait(topic); at++) {
      this.#append(topic, records[at]!, nowMs, completion);
    }
    return at;
  }

  async #appendFrom(topic: Topic, records: AsyncIterable<ProducerRecord>, completion: Completion): Promise<void> {
    for await (const record of records) {
      if (this.#mustWait(topic)) await this.#room(topic);
      this.#append(topic, record, this.#cluster.runtime.clock.wallMs(), completion);
    }
  }

  #mustWait(topic: Topic): boolean {
    return !this.#hasRoom() || topic.waiting.length > 0 || topic.view!.gone || this.#closing !== undefined;
  }

  async #room(topic: Topic): Promise<void> {
    while (this.#mustWait(topic)) {
      if (this.#closing !== undefined) throw closed();
      if (topic.view!.gone) throw this.#cluster.whyGone(topic.name);
      await this.ready;
      if (topic.waiting.length > 0) await this.#turn();
    }
  }

  /** @throws {RaftlineError} `TOO_LARGE`, `INVALID_RECORD`, `UNKNOWN_PARTITION` */
  #append(
    topic: Topic,
    record: ProducerRecord,
    nowMs: number,
    told: RecordCallback | Completion | undefined,
  ): void {
    try {
      const { key = null, value, headers = null, partition, timestamp } = record;
      // No function and no other object is made for a record: at a million a second that was two thirds of all garbage.
      const timing = isTimed(record) ? timingOf(record, this.#cluster.runtime.clock.wallMs()) : UNTIMED;
      const queue = topic.partitioner!.queueFor(key, value, partition);
      this.#bufferedBytes += queue.append(timestamp ?? nowMs, key, value, headers, told, timing);
      this.#dispatcher.add(queue);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  #topic(name: string): Topic {
    this.#dispatcher.prepare();
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, view: undefined, queues: [], loading: undefined, waiting: [], partitioner: undefined };
      this.#topics.set(name, topic);
      this.#load(topic);
    }
    return topic;
  }

  /** Topics that were deleted, or replaced by others of their names, go; those with more partitions get more queues. */
  #followTopics(): void {
    for (const topic of [...this.#topics.values()]) {
      const { view, queues } = topic;
      if (!view) continue;
      if (!view.gone) queues.push(...view.routes.slice(queues.length).map((route) => this.#queueOf(view, route)));
      else {
        this.#topics.delete(topic.name);
        this.#rejectTopic(topic, this.#cluster.whyGone(topic.name));
      }
    }
  }

  #queueOf(view: TopicView, route: Route): PartitionQueue {
    return new PartitionQueue(route, { ...this.#queueSettings, recordBytesMax: () => view.recordBytesMax });
  }

  #load(topic: Topic): void {
    topic.loading = this.#cluster.loadTopic(topic.name).then(
      (view) => {
        topic.view = view;
        topic.queues = view.routes.map((route) => this.#queueOf(view, route));
        const first = this.#cluster.runtime.random.integer(topic.queues.length);
        topic.partitioner = new Partitioner(topic.name, topic.queues, this.#batchBytesMax, first);
        this.#drainWaiting(topic);
      },
      (error: RaftlineError) => {
        this.#topics.delete(topic.name);
        this.#rejectTopic(topic, error);
      },
    );
  }

  async #loaded(name: string): Promise<Topic> {
    if (this.#closing !== undefined) throw closed();
    const topic = this.#topic(name);
    if (topic.view === undefined) {
      await topic.loading;
      if (topic.view === undefined) await this.#cluster.loadTopic(name);
    }
    return topic;
  }

  #rejectTopic(topic: Topic, error: RaftlineError): void {
    for (const { told } of topic.waiting.splice(0)) this.#tellFailed(told, error);
    for (const queue of topic.queues) queue.rejectAll(error);
  }

  #hasRoom(): boolean {
    return this.#bufferedBytes < this.#bufferBytesMax;
  }

  #release(bytes: number): void {
    this.#bufferedBytes -= bytes;
    if (this.#draining || !this.#hasRoom()) return;
    this.#draining = true;
    for (const topic of this.#topics.values()) this.#drainWaiting(topic);
    this.#draining = false;
    if (this.#hasRoom()) this.#tellRoom();
  }

  #tellRoom(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #drainWaiting(topic: Topic): void {
    if (topic.view === undefined) return;
    let taken = 0;
    while (taken < topic.waiting.length && this.#hasRoom()) {
      const { record, told } = topic.waiting[taken++]!;
      this.#appendTold(topic, record, told);
    }
    topic.waiting.splice(0, taken);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#cluster.runtime.timers.defer(resolve));
  }
}

/** It is being looked up, and no more records may wait for that. */
function isCrowded({ view, waiting }: Topic): boolean {
  return view === undefined && waiting.length >= LOADING_RECORDS_MAX;
}

function isTimed({ deliverAt, delayMs, ttlMs }: ProducerRecord): boolean {
  return deliverAt !== undefined || delayMs !== undefined || ttlMs !== undefined;
}

/** Callers without types may pass anything. */
function refusalOf(thrown: unknown): RaftlineError {
  const error = asRaftlineError(thrown);
  if (error instanceof RaftlineError) return error;
  return new RaftlineError("INVALID_RECORD", error instanceof Error ? error.message : String(error), { cause: error });
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
function checkRecords(records: unknown): void {
  const isMany = typeof records === "object" && records !== null &&
    (Symbol.iterator in records || Symbol.asyncIterator in records);
  if (!isMany) throw invalid("sendAll takes an array of records, or what can be iterated");
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
function codecOf(compression: keyof typeof Codec): number {
  const codec = Codec[checkOneOf<keyof typeof Codec>("compression", compression, ["none", "lz4", "deflate", "zstd"])];
  if (!hasCodec(codec)) throw invalid(`compression "${compression}" is not to be had on this runtime`);
  return codec;
}

/** @throws {RaftlineError} `INVALID_RECORD` */
function timingOf({ deliverAt, delayMs, ttlMs }: ProducerRecord, nowMs: number): BatchTiming {
  for (const time of [deliverAt, delayMs, ttlMs]) {
    if (time === undefined || (time >= 0 && Number.isSafeInteger(time))) continue;
    throw new RaftlineError("INVALID_RECORD", `deliverAt, delayMs and ttlMs are whole milliseconds, not ${time}`);
  }
  if (deliverAt !== undefined && delayMs !== undefined) {
    throw new RaftlineError("INVALID_RECORD", "a record has either deliverAt or delayMs");
  }
  const deliverAtMs = delayMs === undefined ? deliverAt ?? null : roundUp(nowMs + delayMs);
  const expiresAtMs = ttlMs === undefined ? null : roundUp((deliverAtMs ?? nowMs) + ttlMs);
  if (!isTime(deliverAtMs) || !isTime(expiresAtMs)) {
    throw new RaftlineError("INVALID_RECORD", `deliverAt, delayMs and ttlMs lead past the largest time there is`);
  }
  return { deliverAtMs, expiresAtMs };
}

function isTime(ms: number | null): boolean {
  return ms === null || Number.isSafeInteger(ms);
}

function roundUp(timeMs: number): number {
  return Math.ceil(timeMs / TIMING_STEP_MS) * TIMING_STEP_MS;
}

function closed(): RaftlineError {
  return new RaftlineError("CLOSED", "the producer was closed");
}

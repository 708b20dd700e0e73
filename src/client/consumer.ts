/**
 * Reading topics by offset: every partition in its own order, fetched ahead, ended by `close` or at the end. With a group
 * the partitions are those that its coordinator gives to this member.
 */
import type { BatchReader } from "../records/batch-reader.ts";
import { endFor } from "../runtime/call-scope.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { Cluster } from "./cluster.ts";
import { closedError } from "./connections.ts";
import { asRaftlineError } from "./batch-errors.ts";
import { type ConsumerBatch, ConsumerRecord } from "./consumer-records.ts";
import { Fetcher } from "./fetcher.ts";
import { type ConsumerOptions, type ConsumerSettings, consumerSettings } from "./consumer-options.ts";
import { PartitionCursor } from "./partition-cursor.ts";
import type { TopicPartition } from "./group-options.ts";
import { GroupPartitions } from "./group-partitions.ts";
import { callHook, type HookError } from "./hooks.ts";
import { Signal } from "./signal.ts";
import { findStarts, type From } from "./start-offsets.ts";
import type { Route, TopicView } from "./topic-view.ts";

/** A batch being given out record by record: made one at a time, so that they can be forgotten as soon as they are read. */
interface Given {
  readonly cursor: PartitionCursor;
  readonly epoch: number;
  readonly reader: BatchReader;
}

/**
 * One reader: iterate records or batches, not both at once. Leaving the loop closes it.
 *
 * @example
 * for await (const record of client.consumer({ topics: ["orders"], from: "earliest" })) console.log(record.text());
 */
export class Consumer implements AsyncIterable<ConsumerRecord> {
  readonly #cluster: Cluster;
  readonly #onClosed: () => void;
  readonly #settings: ConsumerSettings;
  readonly #fetcher: Fetcher;
  readonly #cursors = new Map<string, PartitionCursor>();
  /** That there were when it began to read, and those that were added to be read since. */
  readonly #known = new Set<Route>();
  #stopWatching: () => void = () => {};
  /** Cursors that hold batches, each once; served in turn. */
  readonly #filled: PartitionCursor[] = [];
  readonly #group: GroupPartitions | undefined;
  /** Of a group: whose record is in the caller's hands. It is done with when the next one is asked for. */
  #inHand: PartitionCursor | undefined;
  /** Where the batch lies that was given out, if its memory is to be used again. */
  #lent: ArrayBufferLike | undefined;
  readonly #whenProcessed = new Signal();
  #given: Given | undefined;
  /** Cursors that had an `error`, and may have been mended since. */
  #stuck: PartitionCursor[] = [];
  #starting: Promise<void> | undefined;
  readonly #changed = new Signal();
  #error: RaftlineError | undefined;
  #closing: Promise<void> | undefined;

  /** Made by `client.consumer(…)`. @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME` */
  constructor(cluster: Cluster, options: ConsumerOptions, onClosed: () => void) {
    const settings = consumerSettings(options);
    this.#cluster = cluster;
    this.#settings = settings;
    this.#onClosed = onClosed;
    if (settings.reuseMemory) cluster.memory.enter();
    this.#group = settings.group && new GroupPartitions(cluster, settings.group, settings.topics, {
      startsOf: (cursors) => this.#startsOf(cursors),
      add: (cursors) => this.#add(cursors),
      read: (cursors) => this.#fetcher.add(cursors),
      remove: (cursor) => this.#remove(cursor),
      isInHand: (cursor) => this.#inHand === cursor && !this.closed,
      whenProcessed: () => this.#whenProcessed.next(),
      call: (hook) => callHook(this, "consumer", hook),
      onFailed: (error) => this.#fail(error),
    });
    this.#fetcher = new Fetcher(cluster, {
      maxWaitMs: settings.maxWaitMs,
      prefetchBytesMax: settings.prefetchBytesMax,
      onFilled: (cursor) => {
        this.#filled.push(cursor);
        this.#changed.tell();
      },
      onMoved: () => this.#changed.tell(),
      onFailed: (error) => this.#fail(error),
      onBeyondEnd: (cursor) => {
        this.#stuck.push(cursor);
        // A group's partitions are for others to read, where this one cannot.
        if (this.#group !== undefined) this.#fail(cursor.error!);
        this.#changed.tell();
      },
      onTrimmed: (cursor, fromOffset, toOffset) => {
        this.#trimmed(cursor, fromOffset, toOffset);
        // Where nothing of the partition is in hand, or waits to be given out, what was deleted is done with.
        if (cursor.position !== toOffset || this.#inHand === cursor) return;
        cursor.processed = toOffset;
        this.#group?.touch();
      },
    });
  }

  /**
   * Records one by one. `next` rejects with a `RaftlineError`: `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `OFFSET_OUT_OF_RANGE`
   * (beyond the end: without a group a `seek` mends it), `CORRUPT`, `UNSUPPORTED_CODEC`, `INTERNAL` (a hook threw: `cause`).
   */
  [Symbol.asyncIterator](): AsyncIterator<ConsumerRecord, undefined> {
    return this.#iterator((step) => this.#nextRecord(step));
  }

  /** Whole batches: the quick way for many records. Rejects as the iteration of records does. */
  batches(): AsyncIterableIterator<ConsumerBatch, undefined> {
    const iterator = this.#iterator((step) => this.#nextBatch(step));
    return { ...iterator, [Symbol.asyncIterator]: () => iterator as AsyncIterableIterator<ConsumerBatch, undefined> };
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Offset of the next record to be given out; undefined until that is known. */
  position(topic: string, partition: number): number | undefined {
    const position = this.#cursors.get(keyOf(topic, partition))?.position ?? -1;
    return position < 0 ? undefined : position;
  }

  /** First offset that was not committed when the partition was last read. */
  highWatermark(topic: string, partition: number): number | undefined {
    return this.#cursors.get(keyOf(topic, partition))?.highWatermark;
  }

  /**
   * The next record of this partition will be the one at `from`.
   * @throws {RaftlineError} `UNKNOWN_PARTITION`, `INVALID_REQUEST`, `CLOSED`
   */
  async seek(topic: string, partition: number, from: From): Promise<void> {
    await this.#start();
    const cursor = this.#mustRead(topic, partition);
    const [offset] = await this.#find([cursor], () => from);
    this.#move(cursor, offset!);
    cursor.processed = offset!;
    this.#group?.touch();
  }

  /** Nothing more of this partition is fetched or given out, until `resume` or until the group gives it to another. @throws {RaftlineError} `UNKNOWN_PARTITION`, `CLOSED` */
  pause(topic: string, partition: number): void {
    const cursor = this.#mustRead(topic, partition);
    cursor.paused = true;
    this.#move(cursor, cursor.position);
  }

  /** @throws {RaftlineError} as `pause` */
  resume(topic: string, partition: number): void {
    this.#mustRead(topic, partition).paused = false;
    this.#fetcher.schedule();
  }

  /** How the group and `admin.describeGroup` know it; undefined without a group. */
  get memberId(): string | undefined {
    return this.#group?.memberId;
  }

  /** What it reads now: of a group's topics, what was assigned to this member. */
  assignment(): TopicPartition[] {
    return [...this.#cursors.values()].map(({ route: { topic, partition } }) => ({ topic, partition }));
  }

  /** Committed records that are still to be given out, of one partition or of all, as of the last reading of each. */
  lag(topic?: string, partition?: number): number {
    let lag = 0;
    for (const cursor of this.#cursors.values()) {
      const { route } = cursor;
      if ((topic ?? route.topic) === route.topic && (partition ?? route.partition) === route.partition) {
        lag += cursor.lag;
      }
    }
    return lag;
  }

  /**
   * Everything given out so far is done with, the record in hand included; resolves when that is on a majority's disks.
   * @throws {RaftlineError} `STALE_GENERATION`: another member has some of it now; `TIMED_OUT`; `CLOSED`: all was let go;
   * `INVALID_REQUEST`: no group
   */
  async commit(): Promise<void> {
    if (this.#group === undefined) throw new RaftlineError("INVALID_REQUEST", "only a group has a place to commit");
    if (this.#group.hasLetGo || this.#cluster.closed) throw this.#error ?? closed();
    const inHand = this.#inHand;
    this.#processed();
    await this.#group.commit(inHand);
  }

  /**
   * Ends the iteration; what was fetched and not given out is dropped. A member of a group commits (if that is its way)
   * what was done with, and leaves: a record whose successor was not asked for, and that `commit` was not told of, comes
   * again. Within a hook it only begins: it ends when the hook has returned.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = (this.#group?.close() ?? Promise.resolve()).finally(this.#onClosed);
      this.#stopWatching();
      this.#fetcher.close();
      if (this.#settings.reuseMemory) this.#cluster.memory.leave();
      this.#changed.tell();
      this.#whenProcessed.tell();
    }
    return endFor(this, this.#closing);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #iterator<T>(nextOf: (step: Step) => T | undefined): AsyncIterator<T, undefined> {
    let last: Promise<unknown> | undefined;
    const inLine = (waiting: Promise<IteratorResult<T, undefined>>) => {
      last = waiting;
      const forget = () => {
        if (last === waiting) last = undefined;
      };
      waiting.then(forget, forget);
      return waiting;
    };
    return {
      next: () => {
        this.#processed();
        // A call while another waits stands in line; what is there needs no waiting.
        if (last !== undefined) return inLine(last.then(() => this.#wait(nextOf), () => this.#wait(nextOf)));
        try {
          this.#mustNotBeStuck();
          const value = this.#cursors.size > 0 ? nextOf({ done: false }) : undefined;
          if (value !== undefined) return Promise.resolve({ value, done: false });
        } catch (error) {
          return Promise.reject(error);
        }
        return inLine(this.#wait(nextOf));
      },
      return: async () => {
        await this.close();
        return { value: undefined, done: true };
      },
    };
  }

  /** @throws {RaftlineError} `OFFSET_OUT_OF_RANGE`, until a seek has mended it */
  #mustNotBeStuck(): void {
    if (this.#stuck.length === 0 || this.closed) return;
    this.#stuck = this.#stuck.filter(({ error }) => error !== undefined);
    if (this.#stuck.length > 0) throw this.#stuck[0]!.error;
  }

  async #wait<T>(nextOf: (step: Step) => T | undefined): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      await this.#start();
      this.#mustNotBeStuck();
      const step: Step = { done: false };
      const value = nextOf(step);
      if (value !== undefined) return { value, done: false };
      if (step.done) return { value: undefined, done: true };
      await this.#changed.next();
    }
  }

  #nextRecord(step: Step): ConsumerRecord | undefined {
    try {
      for (;;) {
        const given = this.#given;
        if (given !== undefined && !this.closed && given.cursor.epoch === given.epoch && given.reader.next()) {
          const { cursor, reader } = given;
          cursor.position = reader.offset + 1;
          this.#inHand = cursor;
          return new ConsumerRecord(cursor.route.topic, cursor.route.partition, reader);
        }
        this.#given = undefined;
        const taken = this.#takeBatch(step);
        if (taken === undefined) return undefined;
        const { cursor, batch } = taken;
        this.#given = { cursor, epoch: cursor.epoch, reader: batch.cursor() };
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #nextBatch(step: Step): ConsumerBatch | undefined {
    try {
      const taken = this.#takeBatch(step);
      if (taken === undefined) return undefined;
      taken.cursor.position = taken.batch.nextOffset;
      this.#inHand = taken.cursor;
      return taken.batch;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #takeBatch(step: Step): { readonly cursor: PartitionCursor; readonly batch: ConsumerBatch } | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (this.closed) {
      step.done = true;
      return undefined;
    }
    for (;;) {
      if (this.#lent !== undefined) this.#cluster.memory.letGo(this.#lent);
      const cursor = this.#filled.shift();
      const batch = cursor?.next();
      this.#lent = this.#settings.reuseMemory ? cursor?.givenFrom : undefined;
      if (cursor === undefined || batch === undefined) {
        step.done = this.#group === undefined && [...this.#cursors.values()].every((one) => one.finished);
        if (step.done) void this.close();
        return undefined;
      }
      if (cursor.hasBatch) this.#filled.push(cursor);
      this.#fetcher.schedule();
      const { expiresAt } = batch;
      if (expiresAt === null || expiresAt > this.#cluster.runtime.clock.wallMs()) return { cursor, batch };
      // Nothing is in hand while more is looked for.
      cursor.position = cursor.processed = batch.nextOffset;
      this.#group?.touch();
    }
  }

  #start(): Promise<void> {
    if (this.closed) return Promise.resolve();
    this.#starting ??= this.#begin().catch((error) => {
      if (!this.closed) throw error;
    });
    return this.#starting;
  }

  async #begin(): Promise<void> {
    if (this.#cluster.closed) throw closedError();
    const { topics, partitions, untilEnd, from } = this.#settings;
    const views = await Promise.all(topics.map((name) => this.#cluster.freshTopic(name)));
    const routes = views.flatMap((view) => view.routesOf(partitions));
    for (const route of routes) this.#known.add(route);
    if (this.#group !== undefined) return this.#group.start(views);
    const cursors = routes.map((route) => new PartitionCursor(route));
    const ends = untilEnd ? await this.#find(cursors, () => "latest") : undefined;
    const starts = await this.#find(cursors, from);
    if (this.closed) return;
    cursors.forEach((cursor, i) => {
      cursor.seek(starts[i]!);
      if (ends !== undefined) cursor.endOffset = ends[i]!;
    });
    this.#add(cursors);
    this.#fetcher.add(cursors);
    if (partitions === undefined && !untilEnd) this.#stopWatching = this.#cluster.onChange(() => this.#follow(views));
  }

  /** Partitions that were added since: all that is in them came later. */
  #follow(views: readonly TopicView[]): void {
    const added = views.flatMap(({ gone, routes }) => gone ? [] : routes.filter((route) => !this.#known.has(route)));
    if (added.length === 0 || this.closed) return;
    for (const route of added) this.#known.add(route);
    for (const route of added) {
      const cursor = new PartitionCursor(route);
      // Each by itself: one without a leader holds up no other.
      this.#find([cursor], () => "earliest").then(([start]) => {
        if (this.closed) return;
        cursor.seek(start!);
        this.#add([cursor]);
        this.#fetcher.add([cursor]);
      }, (error: unknown) => this.closed ? undefined : this.#failure(error));
    }
  }

  #add(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) {
      if (this.#settings.reuseMemory) cursor.memory = this.#cluster.memory;
      this.#cursors.set(keyOf(cursor.route.topic, cursor.route.partition), cursor);
    }
  }

  #trimmed({ route: { topic, partition } }: PartitionCursor, fromOffset: number, toOffset: number): void {
    const { onTrimmed } = this.#settings;
    if (onTrimmed === undefined) return;
    const told = callHook(this, "consumer", () => onTrimmed({ topic, partition, fromOffset, toOffset }));
    told.catch((error: HookError) => this.#fail(error));
  }

  #remove(cursor: PartitionCursor): void {
    const key = keyOf(cursor.route.topic, cursor.route.partition);
    if (this.#cursors.get(key) === cursor) this.#cursors.delete(key);
    this.#dropFilled(cursor);
    this.#fetcher.remove(cursor);
  }

  /** What was fetched of it is dropped, and fetched anew from `offset`. */
  #move(cursor: PartitionCursor, offset: number): void {
    cursor.seek(offset);
    this.#dropFilled(cursor);
    this.#fetcher.schedule();
    this.#changed.tell();
  }

  #dropFilled(cursor: PartitionCursor): void {
    const at = this.#filled.indexOf(cursor);
    if (at >= 0) this.#filled.splice(at, 1);
  }

  #mustRead(topic: string, partition: number): PartitionCursor {
    if (this.closed || this.#cluster.closed) throw closed();
    const cursor = this.#cursors.get(keyOf(topic, partition));
    if (cursor !== undefined) return cursor;
    throw new RaftlineError("UNKNOWN_PARTITION", `this consumer does not read ${topic}/${partition}`);
  }

  /** The caller asks for more: what it has is done with. */
  #processed(): void {
    const cursor = this.#inHand;
    if (cursor === undefined) return;
    this.#inHand = undefined;
    cursor.processed = cursor.position;
    this.#group?.touch();
    this.#whenProcessed.tell();
  }

  /** Of a group that reads them for the first time. What was added since this member began has nothing from before. */
  #startsOf(cursors: readonly PartitionCursor[]): Promise<number[]> {
    const added = new Set(
      cursors.filter(({ route }) => !this.#known.has(route)).map(({ route }) => keyOf(route.topic, route.partition)),
    );
    const { from } = this.#settings;
    return this.#find(
      cursors,
      (topic, partition) => added.has(keyOf(topic, partition)) ? "earliest" : from(topic, partition),
    );
  }

  async #find(
    cursors: readonly PartitionCursor[],
    from: (topic: string, partition: number) => From,
  ): Promise<number[]> {
    const wanted = cursors.map(({ route }) => ({ route, from: from(route.topic, route.partition) }));
    return await findStarts(this.#cluster, wanted, () => this.closed);
  }

  /** What was thrown while a batch was read, as it is to be thrown on. */
  #failure(thrown: unknown): unknown {
    const error = asRaftlineError(thrown);
    return error instanceof RaftlineError ? this.#fail(error) : error;
  }

  #fail(error: RaftlineError): RaftlineError {
    if (this.#error !== undefined) return this.#error;
    this.#error = error;
    // Others of the group go on where this one cannot; who closes it hears of what that brings.
    this.#group?.close().catch(() => {});
    this.#fetcher.close();
    this.#changed.tell();
    return this.#error;
  }
}

/** Whether there will be nothing more, as the caller wants to know beside a value. */
interface Step {
  done: boolean;
}

function closed(): RaftlineError {
  return new RaftlineError("CLOSED", "the consumer was closed");
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** Reading topics by offset: every partition in its own order, fetched ahead, ended by `close` or at the end. */
import type { BatchReader } from "../records/batch-reader.ts";
import { RecordsError } from "../records/errors.ts";
import { type ErrorCode, RaftlineError } from "../wire/errors.ts";
import type { Cluster } from "./cluster.ts";
import { type ConsumerBatch, ConsumerRecord } from "./consumer-records.ts";
import { Fetcher } from "./fetcher.ts";
import { PartitionCursor } from "./partition-cursor.ts";
import { findOffsets, type From } from "./start-offsets.ts";

export interface ConsumerOptions {
  readonly topics: readonly string[];
  /** Where to begin; a function decides for each partition. Default: "latest". */
  readonly from?: From | ((topic: string, partition: number) => From);
  /** Only these partitions of each topic. Default: all. */
  readonly partitions?: readonly number[];
  /** "end": stop where the partitions ended when reading began. Default: go on for ever. */
  readonly until?: "end";
  /** Fetched and not yet given out, in bytes, about. Default: 32 MiB. */
  readonly prefetchBytesMax?: number;
  /** How long a node may hold an empty answer back. Default: 1,000. */
  readonly maxWaitMs?: number;
  /** Records were deleted (by retention, or by hand) before they were read: reading goes on at `toOffset`. */
  readonly onTrimmed?: (gap: TrimmedGap) => void;
}

/** Records from `fromOffset` on, below `toOffset`, that were gone before this consumer came to them. */
export interface TrimmedGap {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
}

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
  readonly #options: ConsumerOptions;
  readonly #fetcher: Fetcher;
  readonly #cursors = new Map<string, PartitionCursor>();
  /** Cursors that hold batches, each once; served in turn. */
  readonly #filled: PartitionCursor[] = [];
  #given: Given | undefined;
  #starting: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #error: RaftlineError | undefined;
  #closed = false;

  /** Made by `client.consumer(…)`. @throws {RaftlineError} `INVALID_REQUEST` */
  constructor(cluster: Cluster, options: ConsumerOptions) {
    if (options.topics.length === 0) throw new RaftlineError("INVALID_REQUEST", "a consumer reads at least one topic");
    this.#cluster = cluster;
    this.#options = options;
    this.#fetcher = new Fetcher(cluster, {
      maxWaitMs: options.maxWaitMs ?? 1_000,
      prefetchBytesMax: options.prefetchBytesMax ?? 32 * 2 ** 20,
      onFilled: (cursor) => {
        this.#filled.push(cursor);
        this.#tell();
      },
      onMoved: () => this.#tell(),
      onFailed: (error) => this.#fail(error),
      onTrimmed: ({ route: { topic, partition }, fetchOffset: fromOffset }, toOffset) => {
        options.onTrimmed?.({ topic, partition, fromOffset, toOffset });
      },
    });
  }

  /**
   * Records one by one. `next` rejects with a `RaftlineError`: `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `OFFSET_OUT_OF_RANGE`
   * (beyond the end), `CORRUPT`, `UNSUPPORTED_CODEC`.
   */
  [Symbol.asyncIterator](): AsyncIterator<ConsumerRecord, undefined> {
    return this.#iterator((step) => this.#nextRecord(step));
  }

  /** Whole batches: the quick way for many records. Rejects as the iteration of records does. */
  batches(): AsyncIterableIterator<ConsumerBatch, undefined> {
    const iterator = this.#iterator((step) => this.#nextBatch(step));
    return { ...iterator, [Symbol.asyncIterator]: () => iterator as AsyncIterableIterator<ConsumerBatch, undefined> };
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

  /** The next record of this partition will be the one at `from`. @throws {RaftlineError} `UNKNOWN_PARTITION`, `INVALID_REQUEST` */
  async seek(topic: string, partition: number, from: From): Promise<void> {
    await this.#start();
    const cursor = this.#cursors.get(keyOf(topic, partition));
    if (cursor === undefined) {
      throw new RaftlineError("UNKNOWN_PARTITION", `this consumer does not read ${topic}/${partition}`);
    }
    const [offset] = await this.#find([cursor], () => from);
    cursor.seek(offset!);
    const at = this.#filled.indexOf(cursor);
    if (at >= 0) this.#filled.splice(at, 1);
    this.#fetcher.schedule();
    this.#tell();
  }

  /** Ends the iteration. What was fetched and not given out is dropped. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fetcher.close();
    this.#tell();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
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
        // A call while another waits stands in line; what is there needs no waiting.
        if (last !== undefined) return inLine(last.then(() => this.#wait(nextOf), () => this.#wait(nextOf)));
        try {
          const value = this.#cursors.size > 0 ? nextOf({ done: false }) : undefined;
          if (value !== undefined) return Promise.resolve({ value, done: false });
        } catch (error) {
          return Promise.reject(error);
        }
        return inLine(this.#wait(nextOf));
      },
      return: () => {
        this.close();
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }

  async #wait<T>(nextOf: (step: Step) => T | undefined): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      await this.#start();
      const step: Step = { done: false };
      const value = nextOf(step);
      if (value !== undefined) return { value, done: false };
      if (step.done) return { value: undefined, done: true };
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #nextRecord(step: Step): ConsumerRecord | undefined {
    try {
      for (;;) {
        const given = this.#given;
        if (given !== undefined && !this.#closed && given.cursor.epoch === given.epoch && given.reader.next()) {
          const { cursor, reader } = given;
          cursor.position = reader.offset + 1;
          return new ConsumerRecord(cursor.route.topic, cursor.route.partition, reader);
        }
        this.#given = undefined;
        const taken = this.#takeBatch(step);
        if (taken === undefined) return undefined;
        const { cursor, batch } = taken;
        this.#given = { cursor, epoch: cursor.epoch, reader: batch.cursor() };
      }
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error;
      throw this.#fail(new RaftlineError(error.code as ErrorCode, error.message, { cause: error }));
    }
  }

  #nextBatch(step: Step): ConsumerBatch | undefined {
    const taken = this.#takeBatch(step);
    if (taken !== undefined) taken.cursor.position = taken.batch.nextOffset;
    return taken?.batch;
  }

  #takeBatch(step: Step): { readonly cursor: PartitionCursor; readonly batch: ConsumerBatch } | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) {
      step.done = true;
      return undefined;
    }
    for (;;) {
      const cursor = this.#filled.shift();
      const batch = cursor?.next();
      if (cursor === undefined || batch === undefined) {
        step.done = [...this.#cursors.values()].every((one) => one.finished);
        if (step.done) this.close();
        return undefined;
      }
      if (cursor.hasBatch) this.#filled.push(cursor);
      this.#fetcher.schedule();
      const { expiresAt } = batch;
      if (expiresAt === null || expiresAt > this.#cluster.runtime.clock.wallMs()) return { cursor, batch };
      cursor.position = batch.nextOffset;
    }
  }

  #start(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#starting ??= this.#begin().catch((error) => {
      if (!this.#closed) throw error;
    });
    return this.#starting;
  }

  async #begin(): Promise<void> {
    const { topics, partitions, from = "latest", until } = this.#options;
    const views = await Promise.all(topics.map((name) => this.#cluster.loadTopic(name)));
    const cursors = views.flatMap((view) => view.routes)
      .filter((route) => partitions === undefined || partitions.includes(route.partition))
      .map((route) => new PartitionCursor(route));
    if (cursors.length === 0) throw new RaftlineError("UNKNOWN_PARTITION", "none of the partitions exists");
    const ends = until === "end" ? await this.#find(cursors, () => "latest") : undefined;
    const starts = await this.#find(cursors, typeof from === "function" ? from : () => from);
    cursors.forEach((cursor, i) => {
      cursor.seek(starts[i]!);
      if (ends !== undefined) cursor.endOffset = ends[i]!;
      this.#cursors.set(keyOf(cursor.route.topic, cursor.route.partition), cursor);
    });
    this.#fetcher.start(cursors);
  }

  async #find(
    cursors: readonly PartitionCursor[],
    from: (topic: string, partition: number) => From,
  ): Promise<number[]> {
    const wanted = cursors.map(({ route }) => ({ route, at: from(route.topic, route.partition) }));
    for (const { at } of wanted) {
      const number = typeof at === "number" ? at : typeof at === "object" ? at.timeMs : 0;
      if (Number.isSafeInteger(number) && number >= 0) continue;
      throw new RaftlineError("INVALID_REQUEST", `an offset or a time is a whole number from 0 on, not ${number}`);
    }
    const asked = wanted.flatMap(({ route, at }) => typeof at === "number" ? [] : [{ route, at }]);
    const found = asked.length === 0 ? [] : await findOffsets(this.#cluster, asked, () => this.#closed);
    let next = 0;
    return wanted.map(({ at }) => typeof at === "number" ? at : found[next++]!);
  }

  #fail(error: RaftlineError): RaftlineError {
    this.#error ??= error;
    this.#fetcher.close();
    this.#tell();
    return this.#error;
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** Whether there will be nothing more, as the caller wants to know beside a value. */
interface Step {
  done: boolean;
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

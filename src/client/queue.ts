/** A topic as a queue: records are leased, and done when they are acknowledged; what is not is delivered again. */
import PQueue from "p-queue";
import type { Timer } from "../runtime/runtime.ts";
import { within } from "../runtime/sleep.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { LeaseResult } from "../wire/group-responses.ts";
import { checkMs } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { closedError } from "./connections.ts";
import { asRaftlineError } from "./batch-errors.ts";
import { callHook, type HookError } from "./hooks.ts";
import { LeaseBuffer } from "./queue-buffer.ts";
import { QueueFetcher } from "./queue-fetcher.ts";
import { ClientLease, QueueLeases } from "./queue-leases.ts";
import { type NackOptions, QueueMessage, type Settling, takeByLease } from "./queue-message.ts";
import {
  type QueueOptions,
  type QueueSettings,
  queueSettings,
  type RunOptions,
  type RunSettings,
  runSettings,
} from "./queue-options.ts";
import { QueueSettler } from "./queue-settler.ts";
import { randomId } from "./random-id.ts";
import type { Route, TopicView } from "./topic-view.ts";

/** What was not given out within this part of the lease goes back: a message has the rest of it for its handler. */
const HELD_PART_MAX = 1 / 2;
/** Taken within this part, more is asked for the next time. */
const QUICK_PART = 1 / 8;
/** Of the prefetch. */
const ROOM_PART_MIN = 1 / 2;
const SWEEP_MS_MIN = 5;
const SWEEPS_PER_LEASE = 8;
const LEAVE_MS_MAX = 2_000;

/**
 * One consumer of a queue. Iterate messages or batches, or `run` a handler; not two of these at once. Leaving the loop
 * closes it, and what it held goes back at once.
 *
 * @example
 * for await (const message of client.queue("orders", { group: "mail" })) {
 *   await send(message.json());
 *   await message.ack();
 * }
 */
export class Queue implements AsyncIterable<QueueMessage>, Settling {
  readonly #cluster: Cluster;
  readonly #onClosed: () => void;
  readonly #topic: string;
  readonly #settings: QueueSettings;
  readonly #settler: QueueSettler;
  readonly #fetcher: QueueFetcher;
  readonly #leases = new QueueLeases();
  #buffer: LeaseBuffer[] = [];
  readonly #routes: Route[] = [];
  #stopWatching: () => void = () => {};
  /** How many records are asked for at most: as many as are taken quickly. */
  #prefetch: number;
  #starting: Promise<void> | undefined;
  #sweep: Timer | undefined;
  #wake: (() => void)[] = [];
  #error: RaftlineError | undefined;
  #closing: Promise<void> | undefined;
  /** All is given back, and no handler has a message any more. */
  #ended: Promise<void> | undefined;
  /** Handlers of {@link run}. */
  readonly #working = new Set<PQueue>();

  /** Made by `client.queue(…)`. @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME` */
  constructor(cluster: Cluster, topic: string, options: QueueOptions, onClosed: () => void) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#onClosed = onClosed;
    this.#settings = queueSettings(topic, options);
    this.#prefetch = this.#settings.prefetchRecords;
    const consumer = randomId(cluster.runtime.random);
    const { group, settleTimeoutMs } = this.#settings;
    this.#settler = new QueueSettler(cluster, {
      group,
      consumer,
      settleTimeoutMs,
      onDoubt: () => this.#leases.doubtful = true,
    });
    this.#fetcher = new QueueFetcher(cluster, this.#settings, consumer, {
      room: () => this.#room,
      onLeased: (route, result) => this.#leased(route, result),
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Messages one by one. Rejects with a `RaftlineError`: `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `INVALID_REQUEST`, `CORRUPT`, … */
  [Symbol.asyncIterator](): AsyncIterator<QueueMessage, undefined> {
    return this.#iterator(() => this.#nextMessage());
  }

  /** Messages as they came, many at a time: the quick way, with `ackAll`. Rejects as the iteration of messages does. */
  batches(): AsyncIterableIterator<QueueMessage[], undefined> {
    const iterator = this.#iterator(() => this.#nextBatch());
    return { ...iterator, [Symbol.asyncIterator]: () => iterator as AsyncIterableIterator<QueueMessage[], undefined> };
  }

  /** Acknowledges many; resolves when all of it is on a majority's disks. @throws {RaftlineError} as `QueueMessage.ack` */
  async ackAll(messages: readonly QueueMessage[]): Promise<void> {
    await this.#settleAll(messages, "ack", 0);
  }

  /** @throws {RaftlineError} as `QueueMessage.nack` */
  async nackAll(messages: readonly QueueMessage[], options: NackOptions = {}): Promise<void> {
    await this.#settleAll(messages, "nack", checkMs("delayMs", options.delayMs ?? 0, 0));
  }

  /**
   * Calls `handler` with every message, several at a time, until the queue is closed. A message is acked when its handler
   * returns, and comes again after a while when it throws; a slow handler keeps its message.
   *
   * @example
   * await queue.run(async (message) => charge(message.json()), { concurrency: 8 });
   * @throws {RaftlineError} as the iteration of messages; `INTERNAL`: `onError` threw (`cause`)
   */
  async run(handler: (message: QueueMessage) => Promise<void> | void, options: RunOptions = {}): Promise<void> {
    const given = runSettings(handler, options);
    let failure: HookError | undefined;
    const onError = async (error: unknown, message: QueueMessage) => {
      await callHook(this, "queue", () => given.onError(error, message)).catch((thrown: HookError) => {
        this.#fail(failure ??= thrown);
      });
    };
    const settings = { ...given, onError };
    const working = new PQueue({ concurrency: settings.concurrency });
    this.#working.add(working);
    try {
      for await (const message of this) {
        void working.add(() => this.#handle(message, handler, settings));
        await working.onSizeLessThan(1);
      }
    } finally {
      await working.onIdle();
      this.#working.delete(working);
    }
    await this.#ended;
    // The iteration ends in silence where the queue was closed before.
    if (failure !== undefined) throw failure;
  }

  /**
   * Ends the iteration; handlers and acks under way are finished, and what is held and not settled goes back at once. For
   * handlers it waits two seconds at most, for it may be one of them that waits for this: then they keep their messages, and
   * `run` ends when they have.
   */
  close(): Promise<void> {
    this.#closing ??= this.#leave();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For its messages. */
  settleOne(lease: ClientLease, kind: "ack" | "nack", offset: number, delayMs: number): Promise<void> {
    const promise = this.#settler.settleOne(lease, kind, offset, delayMs);
    this.#settled(lease, 1);
    return promise;
  }

  /** For its messages. */
  async extend(lease: ClientLease, ms: number): Promise<void> {
    const sentMs = this.#nowMs();
    await this.#settler.extend(lease, ms);
    lease.deadlineMs = Math.max(lease.deadlineMs, sentMs + ms);
  }

  async #settleAll(messages: readonly QueueMessage[], kind: "ack" | "nack", delayMs: number): Promise<void> {
    await Promise.all([...takeByLease(messages)].map(([lease, offsets]) => {
      const promise = this.#settler.settle(lease, kind, offsets, delayMs);
      this.#settled(lease, offsets.size);
      return promise;
    }));
  }

  #settled(lease: ClientLease, records: number): void {
    this.#leases.settled(lease, records);
    this.#fetcher.schedule();
  }

  async #handle(
    message: QueueMessage,
    handler: (message: QueueMessage) => Promise<void> | void,
    { backOffMsFirst, backOffMsMax, handlerMsMax, onError }: RunSettings,
  ): Promise<void> {
    // It waited for another handler to end, and goes back with what is held.
    if (this.#closing !== undefined) return;
    const keeping = this.#keep(message, this.#nowMs() + handlerMsMax);
    try {
      await handler(message);
      if (!message.settled) await message.ack();
    } catch (error) {
      await onError(error, message);
      if (message.settled) return;
      const delayMs = Math.min(backOffMsMax, backOffMsFirst * 2 ** Math.min(30, message.deliveryCount - 1));
      await message.nack({ delayMs }).catch((reason: unknown) => onError(reason, message));
    } finally {
      keeping.cancel();
    }
  }

  /** Extends the message's lease again and again, until cancelled or `untilMs`. */
  #keep({ lease }: QueueMessage, untilMs: number): Timer {
    const { timers } = this.#cluster.runtime;
    const pauseMs = lease.leaseMs / 3;
    let timer: Timer;
    const extend = () => {
      const nowMs = this.#nowMs();
      if (nowMs >= untilMs) return;
      // Another message of the same lease may have done it.
      if (lease.deadlineMs - nowMs < pauseMs * 2) this.extend(lease, lease.leaseMs).catch(() => {});
      timer = timers.after(pauseMs, extend);
    };
    timer = timers.after(pauseMs, extend);
    return { cancel: () => timer.cancel() };
  }

  #iterator<T>(nextOf: () => T | undefined): AsyncIterator<T, undefined> {
    return {
      next: () => {
        try {
          const value = nextOf();
          if (value !== undefined) return Promise.resolve({ value, done: false });
        } catch (error) {
          return Promise.reject(error);
        }
        return this.#wait(nextOf);
      },
      return: async () => {
        await this.close();
        return { value: undefined, done: true };
      },
    };
  }

  async #wait<T>(nextOf: () => T | undefined): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      await this.#start();
      const value = nextOf();
      if (value !== undefined) return { value, done: false };
      if (this.#closing !== undefined) return { value: undefined, done: true };
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #nextMessage(): QueueMessage | undefined {
    const records = this.#firstInTime();
    if (records === undefined) return undefined;
    const message = this.#read(() => records.next());
    if (records.empty) this.#taken(records);
    return message;
  }

  #nextBatch(): QueueMessage[] | undefined {
    const records = this.#firstInTime();
    if (records === undefined) return undefined;
    const messages: QueueMessage[] = [];
    while (!records.empty) messages.push(this.#read(() => records.next()));
    this.#taken(records);
    return messages;
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      const failure = asRaftlineError(error);
      if (failure instanceof RaftlineError) this.#fail(failure);
      throw failure;
    }
  }

  /** The oldest that was received and still has time enough. */
  #firstInTime(): LeaseBuffer | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closing !== undefined) return undefined;
    this.#giveBackLate();
    return this.#buffer[0];
  }

  /**
   * Records that may be leased more. While some wait here, not for a few at a time: leases would get smaller and smaller
   * (RFC 1122, 4.2.3.3, on windows that do).
   */
  get #room(): number {
    const room = this.#prefetch - this.#leases.unsettled;
    return this.#buffer.length > 0 && room < this.#prefetch * ROOM_PART_MIN ? 0 : room;
  }

  #taken(records: LeaseBuffer): void {
    this.#buffer.shift();
    const { leaseMs } = records.lease;
    if (this.#nowMs() - records.receivedMs <= leaseMs * QUICK_PART) {
      this.#prefetch = Math.min(this.#settings.prefetchRecords, this.#prefetch * 2);
    }
    this.#fetcher.schedule();
  }

  #giveBackLate(): void {
    const nowMs = this.#nowMs();
    while (this.#buffer[0] !== undefined) {
      const { lease, receivedMs } = this.#buffer[0];
      if (nowMs - receivedMs <= lease.leaseMs * HELD_PART_MAX) return;
      this.#giveBack(this.#buffer.shift()!);
      this.#prefetch = Math.max(1, Math.floor(this.#prefetch / 2));
    }
  }

  #giveBack(records: LeaseBuffer): void {
    const offsets = records.takeRest();
    if (offsets.size === 0) return;
    void this.#settler.settle(records.lease, "release", offsets, 0);
    this.#leases.settled(records.lease, offsets.size);
  }

  #leased(route: Route, { leaseId, leaseMs, held, chunks }: LeaseResult): void {
    const nowMs = this.#nowMs();
    let records = 0;
    for (const { offsets } of held) records += offsets.size;
    const lease = new ClientLease(route, leaseId, leaseMs, nowMs, records);
    this.#leases.add(lease);
    const leased = this.#closing === undefined && this.#error === undefined
      ? this.#read(() => new LeaseBuffer(lease, held, chunks, nowMs, this))
      : new LeaseBuffer(lease, held, [], nowMs, this);
    if (this.#closing !== undefined) return this.#giveBack(leased);
    this.#buffer.push(leased);
    this.#armSweep(leaseMs);
    this.#tell();
  }

  /** Looks after what is held, while something is. */
  #armSweep(leaseMs: number): void {
    if (this.#sweep !== undefined || this.#closing !== undefined) return;
    this.#sweep = this.#cluster.runtime.timers.after(Math.max(SWEEP_MS_MIN, leaseMs / SWEEPS_PER_LEASE), () => {
      this.#sweep = undefined;
      this.#giveBackLate();
      this.#leases.expire(this.#nowMs());
      this.#fetcher.schedule();
      if (this.#leases.size > 0) this.#armSweep(leaseMs);
    });
  }

  #start(): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve();
    this.#starting ??= this.#begin();
    return this.#starting;
  }

  async #begin(): Promise<void> {
    if (this.#cluster.closed) throw closedError();
    const { partitions, from } = this.#settings;
    const view = await this.#cluster.freshTopic(this.#topic);
    this.#routes.push(...view.routesOf(partitions));
    if (this.#closing !== undefined) return;
    this.#fetcher.start(this.#routes, from);
    if (partitions === undefined) this.#stopWatching = this.#cluster.onChange(() => this.#follow(view));
  }

  /** Partitions that were added since: all that is in them came later. */
  #follow({ gone, routes }: TopicView): void {
    const added = gone ? [] : routes.slice(this.#routes.length);
    if (added.length === 0) return;
    this.#routes.push(...added);
    this.#fetcher.start(added, "earliest");
  }

  async #leave(): Promise<void> {
    this.#stopWatching();
    this.#fetcher.close();
    this.#sweep?.cancel();
    this.#tell();
    for (const records of this.#buffer.splice(0)) this.#giveBack(records);
    let isHandled = this.#working.size === 0;
    const handled = Promise.all([...this.#working].map((working) => working.onIdle())).then(() => {
      isHandled = true;
    });
    this.#ended = handled.then(() => this.#end()).finally(this.#onClosed);
    if (!isHandled) await within(this.#cluster.runtime, LEAVE_MS_MAX, handled);
    if (isHandled) await this.#ended;
  }

  /** No handler has a message any more. */
  async #end(): Promise<void> {
    for (const lease of this.#leases.all()) this.#settler.giveBack(lease);
    if (!this.#cluster.closed) {
      // What was acked stays acked, whatever comes first: an ack that arrives after the leaving is refused.
      await this.#allSettled();
      const counts = this.#settler.size > 0 || this.#leases.doubtful;
      const leaving = Promise.allSettled(this.#routes.map((route) => this.#settler.leave(route, counts)));
      await within(this.#cluster.runtime, LEAVE_MS_MAX, leaving);
    }
    this.#settler.close();
  }

  /** Nothing is on its way any more, or it takes too long. */
  async #allSettled(): Promise<void> {
    const untilMs = this.#nowMs() + LEAVE_MS_MAX;
    while (this.#settler.size > 0 && this.#nowMs() < untilMs && !this.#cluster.closed) await this.#cluster.sleep(1);
  }

  #fail(error: RaftlineError): void {
    if (this.#closing !== undefined) return;
    this.#error ??= error;
    this.#fetcher.close();
    this.#tell();
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #nowMs(): number {
    return this.#cluster.runtime.clock.monotonicMs();
  }
}

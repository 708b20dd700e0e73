/**
 * Sends a producer's batches. Batching is by back-pressure: while a node has requests of this producer in flight, records
 * pile up into the next batches; an idle node gets them at the end of the turn.
 */
import type { Timer } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import { REQUEST_PARTS_MAX } from "../wire/limits.ts";
import type { ProduceResult } from "../wire/responses.ts";
import type { Cluster } from "./cluster.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { Identity, PendingBatch } from "./pending-batch.ts";
import { SilenceWatch } from "./silence-watch.ts";

/** Requests in flight to one node: up to the first number always, up to the second when they are worth it. */
const REQUESTS_EAGER = 2;
const REQUESTS_MAX = 5;
const REQUEST_BYTES_WORTH = 256 * 1024;
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024;
const EXPIRE_SWEEP_MS = 200;
const TIMEOUT_MS_MIN = 100;
/** A node that gives up at the timeout gets this long to say so. */
const ANSWER_MS = 500;
const PRODUCER_ID_TIMEOUT_MS = 3_000;
const PRODUCER_ID_RETRY_MS = 100;

/** The node says with these that it did not store the batch. */
const NOT_STORED: ReadonlySet<string> = new Set([
  "THROTTLED",
  "DISK_FULL",
  "OUT_OF_ORDER_SEQUENCE",
  "UNKNOWN_PRODUCER_ID",
  "PRODUCER_FENCED",
  "TOO_LARGE",
  "INVALID_REQUEST",
  "INVALID_RECORD",
  "NOT_AUTHORIZED",
  "CORRUPT",
  "UNKNOWN_TOPIC",
  "UNKNOWN_PARTITION",
]);
/** After these the leader is looked up again. */
const WRONG_LEADER: ReadonlySet<string> = new Set([
  "NOT_LEADER",
  "NO_LEADER",
  "UNKNOWN_PARTITION",
  "UNAVAILABLE",
  "TIMED_OUT",
  "MALFORMED",
]);

interface NodeLoad {
  requests: number;
  bytes: number;
}

interface SentBatch {
  readonly queue: PartitionQueue;
  readonly batch: PendingBatch;
}

export interface DispatcherSettings {
  readonly deliveryTimeoutMs: number;
}

export class Dispatcher {
  /** Batches and their bytes so far, repetitions included. */
  batchesSent = 0;
  bytesSent = 0;
  readonly #cluster: Cluster;
  readonly #settings: DispatcherSettings;
  /** Queues that hold batches not in flight; the one sent from last is at the end. */
  readonly #ready = new Set<PartitionQueue>();
  readonly #loads = new Map<number, NodeLoad>();
  readonly #silence: SilenceWatch;
  readonly #stopWatching: () => void;
  #identity: Identity | undefined;
  #askingIdentity = false;
  #scheduled = false;
  #sweep: Timer | undefined;
  #retry: Timer | undefined;
  #retryAtMs = Infinity;
  #closed = false;
  /** Made once: a method that makes a function allocates at every call, needed or not, and `add` is called for each record. */
  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    if (!this.#closed) this.#pump();
  };

  constructor(cluster: Cluster, settings: DispatcherSettings) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#silence = new SilenceWatch(cluster);
    this.#stopWatching = cluster.onChange(() => this.#schedule());
  }

  /** The queue has something to send. */
  add(queue: PartitionQueue): void {
    this.#ready.add(queue);
    this.#schedule();
    if (this.#sweep === undefined) this.#armSweep();
  }

  /** There will be something to send soon. */
  prepare(): void {
    if (this.#identity === undefined) void this.#askIdentity();
  }

  /** What was not sent yet stays unsent. */
  close(): void {
    this.#closed = true;
    this.#stopWatching();
    this.#silence.close();
    this.#sweep?.cancel();
    this.#retry?.cancel();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#ready.size === 0) return;
    this.#scheduled = true;
    this.#cluster.runtime.timers.endTurn(this.#onTurnEnd);
  }

  #pump(): void {
    const identity = this.#identity;
    if (identity === undefined) return void this.#askIdentity();
    const nowMs = this.#nowMs();
    const byNode = new Map<number, PartitionQueue[]>();
    for (const queue of this.#ready) {
      if (queue.empty) this.#ready.delete(queue);
      else if (!queue.sendable(nowMs)) this.#wakeAt(queue.retryAtMs, nowMs);
      else if (!queue.accepts(identity)) void this.#askIdentity();
      else if (queue.route.leader === 0) this.#cluster.needLeader(queue.route);
      else {
        const queues = byNode.get(queue.route.leader);
        if (queues === undefined) byNode.set(queue.route.leader, [queue]);
        else queues.push(queue);
      }
    }
    for (const [nodeId, queues] of byNode) this.#sendTo(nodeId, queues, identity, nowMs);
  }

  #sendTo(nodeId: number, queues: PartitionQueue[], identity: Identity, nowMs: number): void {
    const load = this.#loadOf(nodeId);
    let next = 0;
    for (;;) {
      if (load.requests >= REQUESTS_MAX || load.bytes >= IN_FLIGHT_BYTES_MAX) return;
      if (load.requests >= REQUESTS_EAGER && !worthARequest(queues, nowMs)) return;
      const sent: SentBatch[] = [];
      let bytes = 0;
      for (let visited = 0; visited < queues.length && bytes < REQUEST_BYTES_MAX; visited++) {
        const queue = queues[next]!;
        next = (next + 1) % queues.length;
        while (bytes < REQUEST_BYTES_MAX && sent.length < REQUEST_PARTS_MAX && queue.sendable(nowMs)) {
          const batch = queue.take(identity);
          sent.push({ queue, batch });
          bytes += batch.byteLength;
        }
      }
      if (sent.length === 0) return;
      // Who was served goes to the end of the line.
      for (const { queue } of sent) {
        this.#ready.delete(queue);
        this.#ready.add(queue);
      }
      void this.#send(nodeId, load, sent, bytes);
    }
  }

  async #send(nodeId: number, load: NodeLoad, sent: readonly SentBatch[], bytes: number): Promise<void> {
    load.requests++;
    load.bytes += bytes;
    this.batchesSent += sent.length;
    this.bytesSent += bytes;
    const nowMs = this.#nowMs();
    let oldestMs = Infinity;
    for (const { batch } of sent) oldestMs = Math.min(oldestMs, batch.createdMs);
    const leftMs = oldestMs + this.#settings.deliveryTimeoutMs - nowMs;
    const timeoutMs = Math.ceil(Math.max(TIMEOUT_MS_MIN, Math.min(this.#cluster.settings.requestTimeoutMs, leftMs)));
    const parts = sent.map(({ queue, batch }) => ({ shard: queue.route.shard, bytes: batch.bytes }));
    const unanswered = this.#silence.sent(nodeId, nowMs, () => sent.map(({ queue }) => queue.route));
    let results: readonly ProduceResult[];
    try {
      const request = { type: "produce", timeoutMs, parts } as const;
      results = (await this.#cluster.request(nodeId, "write", request, timeoutMs + ANSWER_MS)).parts;
      if (results.length !== sent.length) {
        throw new RaftlineError("INTERNAL", `${results.length} answers for ${sent.length} batches`);
      }
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
      results = sent.map(() => ({ code: error.code, baseOffset: 0, leaderHint: 0 }));
    }
    this.#silence.answered(unanswered);
    load.requests--;
    load.bytes -= bytes;
    sent.forEach(({ queue, batch }, i) => this.#settle(nodeId, queue, batch, results[i]!));
    this.#schedule();
  }

  #settle(nodeId: number, queue: PartitionQueue, batch: PendingBatch, result: ProduceResult): void {
    const { code, baseOffset, leaderHint } = result;
    if (code === "") {
      queue.stored(batch, baseOffset);
      if (queue.empty) this.#ready.delete(queue);
      return;
    }
    const { route } = queue;
    const retriable = WRONG_LEADER.has(code) ? true : undefined;
    const message = `${route.topic}/${route.partition} on node ${nodeId}: ${code}`;
    if (WRONG_LEADER.has(code)) route.refused(nodeId, leaderHint);
    const options = retriable === undefined ? {} : { retriable };
    queue.failed(batch, new RaftlineError(code, message, options), NOT_STORED.has(code));
    if (!queue.empty) this.add(queue);
  }

  /** One producer id serves all partitions, until one of them loses its sequences. */
  async #askIdentity(): Promise<void> {
    if (this.#askingIdentity) return;
    this.#askingIdentity = true;
    try {
      this.#identity = await this.#cluster.anyRequest({ type: "producerId" }, PRODUCER_ID_TIMEOUT_MS);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#cluster.runtime.log.write("debug", "no producer id yet", { reason });
      if (error instanceof RaftlineError && !error.retriable) this.#refuseAll(error);
      await this.#cluster.sleep(PRODUCER_ID_RETRY_MS);
    }
    this.#askingIdentity = false;
    this.#schedule();
  }

  #refuseAll(error: RaftlineError): void {
    for (const queue of this.#ready) queue.rejectAll(error);
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (atMs <= nowMs || atMs >= this.#retryAtMs) return;
    this.#retry?.cancel();
    this.#retryAtMs = atMs;
    this.#retry = this.#cluster.runtime.timers.after(atMs - nowMs, () => {
      this.#retryAtMs = Infinity;
      this.#schedule();
    });
  }

  /** Gives up what is too old; runs only while there is something to send. */
  #armSweep(): void {
    this.#sweep = this.#cluster.runtime.timers.after(EXPIRE_SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#nowMs();
      for (const queue of [...this.#ready]) {
        while (queue.expire(nowMs));
        if (queue.empty) this.#ready.delete(queue);
      }
      if (this.#ready.size > 0 && !this.#closed) this.#armSweep();
    });
  }

  #loadOf(nodeId: number): NodeLoad {
    let load = this.#loads.get(nodeId);
    if (load === undefined) this.#loads.set(nodeId, load = { requests: 0, bytes: 0 });
    return load;
  }

  #nowMs(): number {
    return this.#cluster.runtime.clock.monotonicMs();
  }
}

function worthARequest(queues: readonly PartitionQueue[], nowMs: number): boolean {
  let bytes = 0;
  for (const queue of queues) {
    if (queue.sendable(nowMs)) bytes += queue.sendableBytes;
    if (bytes >= REQUEST_BYTES_WORTH) return true;
  }
  return false;
}

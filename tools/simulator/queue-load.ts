/** Consumers of a queue as they are: some slow, some failing, some that leave or die with records in their hands. */
import { RaftlineError } from "../../src/wire/errors.ts";
import type { Client } from "../../src/client/client.ts";
import type { Queue } from "../../src/client/queue.ts";
import type { QueueMessage } from "../../src/client/queue-message.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { DeliveryTimes } from "./delivery-times.ts";
import type { QueueHistory } from "./queue-history.ts";
import { connectPatiently, type WorkloadOptions } from "./workload.ts";

export const QUEUE_GROUP = "workers";
export const DEAD_TOPIC = "simulated.dead";
export const LEASE_MS = 1_500;
export const DELIVERIES_MAX = 4;

const NACK_CHANCE = 0.15;
const SLOW_CHANCE = 0.02;
const EXTEND_CHANCE = 0.03;
const LEAVE_CHANCE = 0.01;
/** Who leaves comes back soon, or is away for a while: then all may be, and what is worth something only for a while waits. */
const AWAY_CHANCE = 0.3;
const AWAY_MS_MAX = 8_000;
const DIE_CHANCE = 0.004;
/** Said again by whoever was not heard: the lease is over or it was done. */
const REFUSALS: ReadonlySet<string> = new Set(["LEASE_EXPIRED", "UNKNOWN_LEASE"]);

export interface QueueWorkload extends WorkloadOptions {
  readonly topic: string;
  readonly queueHistory: QueueHistory;
  readonly times: DeliveryTimes;
  readonly keyOrdered: boolean;
  /** Ends the client's process at once, and gives another one. */
  readonly another: () => QueueWorkload;
}

export class QueueLoad {
  stopped = false;
  /** From now on nothing goes wrong on purpose. */
  calm = false;
  #options: QueueWorkload;
  #open = 0;

  constructor(options: QueueWorkload) {
    this.#options = options;
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      const client = await connectPatiently(this.#options);
      const died = await this.#consume(client);
      if (died) {
        this.#options = this.#options.another();
        continue;
      }
      await client.close();
      const { random, runtime } = this.#options;
      await sleep(runtime, !this.calm && random.chance(AWAY_CHANCE) ? random.skewed(50, AWAY_MS_MAX) : 50);
    }
    while (this.#open > 0) await sleep(this.#options.runtime, 20);
  }

  /** True: its process is gone. */
  async #consume(client: Client): Promise<boolean> {
    const { random, runtime, topic } = this.#options;
    const queue = client.queue(topic, {
      group: QUEUE_GROUP,
      leaseMs: LEASE_MS,
      deliveriesMax: DELIVERIES_MAX,
      deadLetter: DEAD_TOPIC,
      keyOrdered: this.#options.keyOrdered,
      prefetchRecords: 1 + random.integer(40),
      settleTimeoutMs: 4_000,
    });
    const messages = queue[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { value: message } = await messages.next();
        if (message === undefined) break;
        this.#delivered(message);
        if (!this.calm && random.chance(DIE_CHANCE)) return true;
        if (this.stopped || (!this.calm && random.chance(LEAVE_CHANCE))) break;
        if (!this.calm && random.chance(SLOW_CHANCE)) await sleep(runtime, random.skewed(100, LEASE_MS * 2));
        if (!this.calm && random.chance(EXTEND_CHANCE)) void message.extend().catch(() => {});
        this.#settle(queue, message);
      }
    } catch {
      // It begins anew.
    }
    await queue.close();
    return false;
  }

  #delivered(message: QueueMessage): void {
    const { queueHistory, times, runtime: { clock } } = this.#options;
    const { partition, offset, deliveryCount, expiresAt, lease } = message;
    queueHistory.delivered(partition, offset, message.text(), lease.leaseId, deliveryCount);
    const nowMs = clock.monotonicMs();
    times.delivered(message.text(), nowMs, expiresAt === null ? null : nowMs + expiresAt - clock.wallMs());
  }

  #settle(queue: Queue, message: QueueMessage): void {
    const { random, queueHistory: history } = this.#options;
    const { partition, offset, lease } = message;
    if (!this.calm && random.chance(NACK_CHANCE)) {
      void message.nack({ delayMs: random.chance(0.5) ? 0 : random.integer(800) }).catch(() => {});
      return;
    }
    this.#open += 1;
    history.acking(partition, offset, lease.leaseId);
    const acked = random.chance(0.5) ? message.ack() : queue.ackAll([message]);
    acked.then(
      () => history.acked(partition, offset, lease.leaseId),
      (error: unknown) => {
        if (error instanceof RaftlineError && REFUSALS.has(error.code)) {
          history.refused(partition, offset, lease.leaseId);
        }
      },
    ).finally(() => this.#open -= 1);
  }
}

/** Resolves when nothing of the queue is left, in any of so many partitions, with where these end. */
export async function drained(options: WorkloadOptions, topic: string, partitions: number): Promise<number[]> {
  const client = await connectPatiently(options);
  for (;;) {
    try {
      const parts = await client.admin.describeGroup(topic, QUEUE_GROUP);
      const left = parts.reduce(
        (sum, { waiting, leased, delayed, dead }) => sum + waiting + leased + delayed + dead,
        0,
      );
      if (parts.length === partitions && left === 0) {
        await client.close();
        return parts.map(({ highWatermark }) => highWatermark);
      }
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
    await sleep(options.runtime, 200);
  }
}

/** Reads the whole dead-letter topic: the letters of each topic go to its history. */
export async function readDead(
  options: WorkloadOptions,
  histories: ReadonlyMap<string, QueueHistory>,
  times: DeliveryTimes,
): Promise<void> {
  const client = await connectPatiently(options);
  const { clock } = options.runtime;
  for await (const record of client.consumer({ topics: [DEAD_TOPIC], from: "earliest", until: "end" })) {
    const { headers, timestamp } = record;
    if (headers["raftline-dead-without"] === "TRIMMED") continue;
    const history = histories.get(String(headers["raftline-dead-topic"]))!;
    const partition = Number(headers["raftline-dead-partition"]);
    const offset = Number(headers["raftline-dead-offset"]);
    const overdue = headers["raftline-dead-reason"] === "expired";
    history.deadLettered(partition, offset, record.text(), Number(headers["raftline-dead-deliveries"]), overdue);
    if (overdue) times.expired(record.text(), timestamp - clock.wallMs() + clock.monotonicMs());
  }
  await client.close();
}

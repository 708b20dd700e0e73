/** Consumers of a queue as they are: some slow, some failing, some that leave or die with records in their hands. */
import { RaftlineError } from "../../src/wire/errors.ts";
import type { Client } from "../../src/client/client.ts";
import type { Queue } from "../../src/client/queue.ts";
import type { QueueMessage } from "../../src/client/queue-message.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { QueueHistory } from "./queue-history.ts";
import { connectPatiently, TOPIC, type WorkloadOptions } from "./workload.ts";

export const QUEUE_GROUP = "workers";
export const DEAD_TOPIC = "simulated.dead";
export const LEASE_MS = 1_500;
export const DELIVERIES_MAX = 4;

const NACK_CHANCE = 0.15;
const SLOW_CHANCE = 0.02;
const EXTEND_CHANCE = 0.03;
const LEAVE_CHANCE = 0.01;
const DIE_CHANCE = 0.004;
/** Said again by whoever was not heard: the lease is over or it was done. */
const REFUSALS: ReadonlySet<string> = new Set(["LEASE_EXPIRED", "UNKNOWN_LEASE"]);

export interface QueueWorkload extends WorkloadOptions {
  readonly queueHistory: QueueHistory;
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
      await sleep(this.#options.runtime, 50);
    }
    while (this.#open > 0) await sleep(this.#options.runtime, 20);
  }

  /** True: its process is gone. */
  async #consume(client: Client): Promise<boolean> {
    const { random, runtime } = this.#options;
    const queue = client.queue(TOPIC, {
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
        const { partition, offset, deliveryCount } = message;
        this.#options.queueHistory.delivered(
          partition,
          offset,
          message.text(),
          message.lease.leaseId,
          deliveryCount,
        );
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

/** Resolves when nothing of the queue is left, in any partition. */
export async function drained(options: WorkloadOptions): Promise<void> {
  const client = await connectPatiently(options);
  for (;;) {
    try {
      const parts = await client.admin.describeGroup(TOPIC, QUEUE_GROUP);
      const left = parts.reduce(
        (sum, { waiting, leased, delayed, dead }) => sum + waiting + leased + delayed + dead,
        0,
      );
      if (parts.length === options.partitions && left === 0) break;
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
    await sleep(options.runtime, 200);
  }
  await client.close();
}

/** Reads the whole dead-letter topic. */
export async function readDead(options: WorkloadOptions, history: QueueHistory): Promise<void> {
  const client = await connectPatiently(options);
  for await (const record of client.consumer({ topics: [DEAD_TOPIC], from: "earliest", until: "end" })) {
    const { headers } = record;
    if (headers["raftline-dead-without"] === "TRIMMED") continue;
    const partition = Number(headers["raftline-dead-partition"]);
    const offset = Number(headers["raftline-dead-offset"]);
    history.deadLettered(partition, offset, record.text(), Number(headers["raftline-dead-deliveries"]));
  }
  await client.close();
}

/** What the simulated clients do: publish unique values, read everything, create topics; and write down what they saw. */
import { type Client, connect } from "../../src/client/client.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { DeliveryTimes } from "./delivery-times.ts";
import { ConsumerView, type TopicHistory, type Violation } from "./history.ts";
import type { SeededRandom } from "./random.ts";

export const TOPIC = "simulated";
/** Readers of the log see it at once, queues later. */
const SCHEDULED_CHANCE = 0.05;

export interface WorkloadOptions {
  readonly runtime: Runtime;
  readonly random: SeededRandom;
  readonly bootstrap: readonly string[];
  readonly partitions: number;
  readonly history: TopicHistory;
  readonly times: DeliveryTimes;
  readonly fail: (violation: Violation) => void;
}

/** Tries until the cluster answers. */
export async function connectPatiently({ runtime, bootstrap }: WorkloadOptions): Promise<Client> {
  for (;;) {
    try {
      return await connect([...bootstrap], { runtime, connectTimeoutMs: 2_000, requestTimeoutMs: 2_000 });
    } catch {
      await sleep(runtime, 100);
    }
  }
}

export async function createTopic(
  client: Client,
  runtime: Runtime,
  partitions: number,
  replicas: number,
  name = TOPIC,
): Promise<void> {
  for (;;) {
    try {
      await client.admin.createTopic(name, { partitions, replicas });
      return;
    } catch (error) {
      // An attempt whose outcome was not known may have succeeded.
      if ((error as { code?: string }).code === "ALREADY_EXISTS") return;
      await sleep(runtime, 100);
    }
  }
}

/** One producer: bursts and pauses, several keys, many in flight. */
export class ProducerLoad {
  stopped = false;
  readonly #options: WorkloadOptions;
  readonly #id: number;
  #sequence = 0;
  #inFlight = 0;
  readonly #numbers = new Map<string, number>();

  constructor(id: number, options: WorkloadOptions) {
    this.#id = id;
    this.#options = options;
  }

  /** Sends that have no outcome yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  async run(): Promise<void> {
    const { random, runtime } = this.#options;
    const client = await connectPatiently(this.#options);
    const producer = client.producer({ deliveryTimeoutMs: 5_000 + random.integer(10_000), batchBytesMax: 2_000 });
    while (!this.stopped) {
      const burst = 1 + random.integer(random.chance(0.1) ? 80 : 12);
      for (let i = 0; i < burst; i++) this.#send(producer);
      await sleep(runtime, random.skewed(1, 1_000));
    }
    while (this.#inFlight > 0) await sleep(runtime, 20);
    await client.close();
  }

  #send(producer: ReturnType<Client["producer"]>): void {
    const { random, history, times, runtime } = this.#options;
    const key = `k${random.integer(8)}`;
    const number = this.#numbers.get(key) ?? 0;
    const value = `${this.#id}.${this.#sequence++}`;
    const timing = random.chance(SCHEDULED_CHANCE) ? { delayMs: random.integer(2_000) } : {};
    if (
      !producer.enqueue(TOPIC, { key, value, ...timing }, (error, partition, offset) => {
        this.#inFlight -= 1;
        if (error) history.failed();
        else history.acked(value, partition, offset);
      })
    ) return;
    times.sent(value, runtime.clock.monotonicMs(), timing);
    this.#numbers.set(key, number + 1);
    history.invoked(value, this.#id, key, number);
    this.#inFlight += 1;
  }
}

/** One consumer from the start; begins anew when its reading ends with an error. */
export class ConsumerLoad {
  stopped = false;
  readonly #options: WorkloadOptions;
  readonly #pauseMsMax: number;

  /** `pauseMsMax`: what it takes for each record, at most. */
  constructor(options: WorkloadOptions, pauseMsMax: number) {
    this.#options = options;
    this.#pauseMsMax = pauseMsMax;
  }

  async run(): Promise<void> {
    const { runtime, random, partitions, history, fail } = this.#options;
    while (!this.stopped) {
      const client = await connectPatiently(this.#options);
      const view = new ConsumerView(partitions, history, fail);
      try {
        for await (const record of client.consumer({ topics: [TOPIC], from: "earliest" })) {
          view.read(record.partition, record.offset);
          history.read(record.partition, record.offset, record.text());
          if (this.stopped) break;
          if (this.#pauseMsMax > 0) await sleep(runtime, random.skewed(0, this.#pauseMsMax));
        }
      } catch {
        await sleep(runtime, 200);
      }
      await client.close();
    }
  }
}

/** Reads everything there is, once, from the start; resolves with where each partition ends. */
export async function readAll(options: WorkloadOptions): Promise<number[]> {
  const { partitions, history, fail } = options;
  const client = await connectPatiently(options);
  const view = new ConsumerView(partitions, history, fail);
  const begun = new Set<number>();
  const consumer = client.consumer({ topics: [TOPIC], from: "earliest", until: "end" });
  for await (const record of consumer) {
    if (!begun.has(record.partition)) history.startsAt(record.partition, record.offset);
    begun.add(record.partition);
    view.read(record.partition, record.offset);
    history.read(record.partition, record.offset, record.text());
  }
  // Of a partition whose records were all deleted, that is where it begins.
  const ends = Array.from({ length: partitions }, (_, partition) => consumer.position(TOPIC, partition) ?? 0);
  await client.close();
  return ends;
}

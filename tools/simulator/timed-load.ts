/** Publishes records that wait for their time, or are worth something for a while only: for a queue, in a topic of their own. */
import type { DeliveryTimes } from "./delivery-times.ts";
import { connectPatiently, type WorkloadOptions } from "./workload.ts";
import { sleep } from "../../src/runtime/sleep.ts";

export const TIMED_TOPIC = "simulated.timed";
export const TIMED_PARTITIONS = 2;

const BURST_MAX = 8;
const PAUSE_MS_MAX = 1_000;
const KEYS = 4;
const SCHEDULED_CHANCE = 0.5;
const DELAY_MS_MAX = 3_000;
const MORTAL_CHANCE = 0.5;
const TTL_MS_MIN = 20;
const TTL_MS_MAX = 6_000;

export class TimedLoad {
  stopped = false;
  readonly #options: WorkloadOptions;
  readonly #times: DeliveryTimes;
  #sequence = 0;
  #inFlight = 0;

  constructor(options: WorkloadOptions, times: DeliveryTimes) {
    this.#options = options;
    this.#times = times;
  }

  async run(): Promise<void> {
    const { random, runtime } = this.#options;
    const client = await connectPatiently(this.#options);
    const producer = client.producer({ deliveryTimeoutMs: 5_000 + random.integer(10_000), batchBytesMax: 2_000 });
    while (!this.stopped) {
      for (let left = 1 + random.integer(BURST_MAX); left > 0; left--) {
        const value = `timed.${this.#sequence++}`;
        const timing = {
          ...(random.chance(SCHEDULED_CHANCE) ? { delayMs: random.integer(DELAY_MS_MAX) } : {}),
          ...(random.chance(MORTAL_CHANCE) ? { ttlMs: Math.ceil(random.skewed(TTL_MS_MIN, TTL_MS_MAX)) } : {}),
        };
        this.#times.sent(value, runtime.clock.monotonicMs(), timing);
        this.#inFlight += 1;
        const record = { key: `k${random.integer(KEYS)}`, value, ...timing };
        if (!producer.enqueue(TIMED_TOPIC, record, () => this.#inFlight -= 1)) this.#inFlight -= 1;
      }
      await sleep(runtime, random.skewed(1, PAUSE_MS_MAX));
    }
    while (this.#inFlight > 0) await sleep(runtime, 20);
    await client.close();
  }
}

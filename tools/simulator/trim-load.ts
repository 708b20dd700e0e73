/** A client that deletes the oldest records of a partition now and then. */
import { sleep } from "../../src/runtime/sleep.ts";
import { connectPatiently, TOPIC, type WorkloadOptions } from "./workload.ts";

const PAUSE_MS_MAX = 4_000;

export class TrimLoad {
  stopped = false;
  readonly #options: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { random, runtime, partitions, history } = this.#options;
    const client = await connectPatiently(this.#options);
    while (!this.stopped) {
      await sleep(runtime, random.skewed(1, PAUSE_MS_MAX));
      const partition = random.integer(partitions);
      const before = random.integer(history.endOf(partition) + 1);
      history.trimming(partition, before);
      try {
        history.trimmed(partition, await client.admin.deleteRecords(TOPIC, partition, before));
      } catch {
        // The outcome is not known: it may be done at any time.
      }
    }
    await client.close();
  }
}

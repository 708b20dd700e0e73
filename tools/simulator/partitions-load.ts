/** Somebody who gives the topic one more partition in the middle of it. */
import { sleep } from "../../src/runtime/sleep.ts";
import { connectPatiently, TOPIC, type WorkloadOptions } from "./workload.ts";

const AFTER_MS_MAX = 12_000;
const RETRY_MS = 300;

export class PartitionsLoad {
  stopped = false;
  readonly #options: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  /** Until it is done, however long that takes: the others count on it. */
  async run(): Promise<void> {
    const { random, runtime, partitions } = this.#options;
    const client = await connectPatiently(this.#options);
    await sleep(runtime, random.integer(AFTER_MS_MAX));
    for (let isDone = false; !isDone;) {
      isDone = await client.admin.alterTopic(TOPIC, { partitions }).then(() => true, () => false);
      if (!isDone) await sleep(runtime, RETRY_MS);
    }
    await client.close();
  }
}

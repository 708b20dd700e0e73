/** Deletes what topics need no longer keep: a leader looks now and then, and trims by a replicated command. */
import type { Log } from "../log/types.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { MetadataState } from "../../shards/metadata/state.ts";
import type { Partition } from "../../shards/partition/partition.ts";
import { expiryOf } from "../../shards/partition/retention.ts";
import type { Partitions } from "./partitions.ts";
import { TrustedClock } from "./trusted-clock.ts";

export interface RetentionOptions {
  readonly runtime: Runtime;
  readonly log: Log;
  readonly metadata: MetadataState;
  readonly partitions: Partitions;
  readonly lookMs: number;
}

export class RetentionLoop {
  readonly #options: RetentionOptions;
  readonly #clock: TrustedClock;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#clock = new TrustedClock(options.runtime);
  }

  start(): void {
    this.#timer = this.#options.runtime.timers.after(this.#options.lookMs, () => {
      this.#lookAtAll().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** One after the other: what it reads must not be in the way of anyone. */
  async #lookAtAll(): Promise<void> {
    const { partitions, log } = this.#options;
    let newestMs = 0;
    for (const { replica } of partitions.all()) {
      newestMs = Math.max(newestMs, log.group(replica.group)?.newestTimestampMs ?? 0);
    }
    const nowMs = this.#clock.nowMs(newestMs);
    for (const partition of [...partitions.all()]) {
      if (this.#stopped) return;
      if (!partition.leads) continue;
      // What cannot be read now is not deleted now.
      await this.#look(partition, nowMs).catch((error) => {
        this.#options.runtime.log.write("debug", "retention could not look at a partition", { reason: String(error) });
      });
    }
  }

  async #look(partition: Partition, nowMs: number): Promise<void> {
    const { log, metadata } = this.#options;
    const retention = metadata.topicOfShard.get(partition.replica.group)?.retention;
    if (!retention) return;
    const expiry = await expiryOf({ partition, log, retention, nowMs });
    if (expiry && partition.leads) await partition.trim(expiry.offset, expiry.reason);
  }
}

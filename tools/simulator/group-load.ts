/** Members of a consumer group as they are: they join, read, take their time, leave and die. */
import { RaftlineError } from "../../src/wire/errors.ts";
import type { Client } from "../../src/client/client.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { GroupHistory } from "./group-history.ts";
import { connectPatiently, TOPIC, type WorkloadOptions } from "./workload.ts";

export const MEMBERS_GROUP = "members";

const SESSION_MS = 2_000;
const REBALANCE_MS = 1_500;
const SLOW_CHANCE = 0.01;
const LEAVE_CHANCE = 0.004;
const DIE_CHANCE = 0.002;
const COMMIT_CHANCE = 0.05;

export interface GroupWorkload extends WorkloadOptions {
  readonly groupHistory: GroupHistory;
  /** Ends the client's process at once, and gives another one. */
  readonly another: () => GroupWorkload;
}

export class GroupLoad {
  stopped = false;
  /** From now on nothing goes wrong on purpose. */
  calm = false;
  #options: GroupWorkload;

  constructor(options: GroupWorkload) {
    this.#options = options;
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      const client = await connectPatiently(this.#options);
      if (await this.#read(client)) {
        this.#options = this.#options.another();
        continue;
      }
      await client.close();
      await sleep(this.#options.runtime, 50);
    }
  }

  /** True: its process is gone. */
  async #read(client: Client): Promise<boolean> {
    const { random, runtime, groupHistory: history } = this.#options;
    const consumer = client.consumer({
      topics: [TOPIC],
      group: MEMBERS_GROUP,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      onAssigned: (partitions) => {
        for (const { partition } of partitions) history.held(consumer.memberId!, partition);
      },
      onRevoked: (partitions) => {
        for (const { partition } of partitions) history.letGo(consumer.memberId!, partition);
      },
      onTrimmed: ({ partition, fromOffset, toOffset }) => history.gone(partition, fromOffset, toOffset),
    });
    try {
      for await (const { partition, offset } of consumer) {
        history.given(consumer.memberId!, partition, offset);
        if (this.stopped) break;
        if (this.calm) continue;
        if (random.chance(DIE_CHANCE)) return true;
        if (random.chance(LEAVE_CHANCE)) break;
        if (random.chance(COMMIT_CHANCE)) void consumer.commit().catch(() => {});
        if (random.chance(SLOW_CHANCE)) await sleep(runtime, random.skewed(100, REBALANCE_MS * 2));
      }
    } catch (error) {
      // It begins anew.
      if (!(error instanceof RaftlineError)) throw error;
    }
    await consumer.close();
    return false;
  }
}

/** Resolves when the group has read everything, with its place in each partition. */
export async function allRead(options: WorkloadOptions): Promise<number[]> {
  const client = await connectPatiently(options);
  for (;;) {
    try {
      const places = await client.admin.describeGroup(TOPIC, MEMBERS_GROUP);
      if (places.length === options.partitions && places.every(({ waiting, floor }) => waiting === 0 && floor >= 0)) {
        await client.close();
        return places.map(({ floor }) => floor);
      }
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
    await sleep(options.runtime, 200);
  }
}

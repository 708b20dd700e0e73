/**
 * Members of a log group that take a partition over from each other, as a coordinator would tell them to; who was there
 * before does not know it, and goes on committing.
 */
import { RaftlineError } from "../../src/wire/errors.ts";
import type { Cursors } from "../../src/client/cursors.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { connectPatiently, TOPIC, type WorkloadOptions } from "./workload.ts";

const GROUP = "readers";
const PARTITION = 0;
const PAUSE_MS_MAX = 600;
const TAKE_OVER_CHANCE = 0.2;
const ZOMBIE_CHANCE = 0.4;

export class CursorLoad {
  stopped = false;
  readonly #options: WorkloadOptions;
  #generation = 0;
  /** Highest generation whose claim was confirmed. */
  #claimed = 0;
  #offset = 0;
  /** Highest offset whose commit was confirmed. */
  #confirmed = 0;
  #open = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { random, runtime } = this.#options;
    const client = await connectPatiently(this.#options);
    const cursors = client.cursors(TOPIC, GROUP);
    while (!this.stopped) {
      if (this.#claimed === 0 || random.chance(TAKE_OVER_CHANCE)) await this.#takeOver(cursors);
      if (this.#claimed > 1 && random.chance(ZOMBIE_CHANCE)) void this.#commitAsZombie(cursors);
      await this.#commit(cursors);
      await sleep(runtime, random.skewed(1, PAUSE_MS_MAX));
    }
    while (this.#open > 0) await sleep(runtime, 20);
    await client.close();
  }

  async #takeOver(cursors: Cursors): Promise<void> {
    const { fail } = this.#options;
    const generation = ++this.#generation;
    try {
      const [cursor] = await cursors.claim([PARTITION], generation, `member-${generation}`);
      const offset = cursor?.offset ?? 0;
      if (offset < this.#confirmed) {
        const detail = `generation ${generation} was told ${offset}, and ${this.#confirmed} had been confirmed`;
        fail({ invariant: "a commit was lost", detail });
      }
      if (offset > this.#offset) fail({ invariant: "committed by nobody", detail: `${offset} of ${this.#offset}` });
      this.#claimed = generation;
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
  }

  async #commit(cursors: Cursors): Promise<void> {
    const { history } = this.#options;
    const offset = Math.min(this.#offset + 1, history.endOf(PARTITION));
    if (offset <= this.#offset || this.#claimed !== this.#generation) return;
    this.#offset = offset;
    try {
      await cursors.commit([{ partition: PARTITION, offset }], this.#generation);
      this.#confirmed = Math.max(this.#confirmed, offset);
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
  }

  /** By whoever was there before the last claim that was confirmed. */
  async #commitAsZombie(cursors: Cursors): Promise<void> {
    const { fail, random } = this.#options;
    const generation = 1 + random.integer(this.#claimed - 1);
    const claimed = this.#claimed;
    this.#open += 1;
    try {
      await cursors.commit([{ partition: PARTITION, offset: 0 }], generation);
      const detail = `generation ${generation} committed after ${claimed} had claimed the partition`;
      fail({ invariant: "a zombie's commit was taken", detail });
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
    }
    this.#open -= 1;
  }
}

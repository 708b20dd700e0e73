/** A client that creates, changes, deletes and lists topics, while others do the same with the same names. */
import type { Client } from "../../src/client/client.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { TopicsHistory } from "./topics-history.ts";
import { connectPatiently, type WorkloadOptions } from "./workload.ts";

const NAMES = ["a", "b", "c"];
const PAUSE_MS_MAX = 800;
const MARK_FIRST = 10_000;

export class TopicsLoad {
  stopped = false;
  readonly #options: WorkloadOptions;
  readonly #history: TopicsHistory;
  readonly #replicas: number;
  /** Gives every change a value of its own. */
  readonly #nextMark: () => number;

  constructor(options: WorkloadOptions, history: TopicsHistory, replicas: number, nextMark: () => number) {
    this.#options = options;
    this.#history = history;
    this.#replicas = replicas;
    this.#nextMark = nextMark;
  }

  async run(): Promise<void> {
    const { random, runtime } = this.#options;
    const client = await connectPatiently(this.#options);
    while (!this.stopped) {
      await sleep(runtime, random.skewed(1, PAUSE_MS_MAX));
      await this.#operate(client, random.pick(NAMES));
    }
    await client.close();
  }

  #operate(client: Client, name: string): Promise<void> {
    const drawn = this.#options.random.integer(6);
    const mark = MARK_FIRST + this.#nextMark();
    if (drawn === 0) return this.#create(client, name, mark);
    if (drawn === 1) return this.#alter(client, name, mark);
    if (drawn === 2) return this.#delete(client, name);
    return drawn <= 3 ? this.#describe(client, name) : this.#list(client);
  }

  async #create(client: Client, name: string, mark: number): Promise<void> {
    const from = this.#history.now();
    const created = () =>
      this.#history.sawChange(
        `${name} was created with ${mark}`,
        from,
        (command) => command.type === "createTopic" && command.name === name && command.recordBytesMax === mark,
      );
    try {
      await client.admin.createTopic(name, { partitions: 1, replicas: this.#replicas, recordBytesMax: mark });
      created();
    } catch (error) {
      const code = codeOf(error);
      if (code === "ALREADY_EXISTS") this.#exists(name, from, true);
      // Deleted by another before it could be described.
      if (code === "UNKNOWN_TOPIC") created();
    }
  }

  async #alter(client: Client, name: string, mark: number): Promise<void> {
    const from = this.#history.now();
    const altered = () =>
      this.#history.sawChange(
        `${name} was given ${mark}`,
        from,
        (command) => command.type === "alterTopic" && command.changes.recordBytesMax === mark,
      );
    try {
      await client.admin.alterTopic(name, { recordBytesMax: mark });
      altered();
    } catch (error) {
      if (codeOf(error) === "UNKNOWN_TOPIC") this.#exists(name, from, false);
    }
  }

  async #delete(client: Client, name: string): Promise<void> {
    const from = this.#history.now();
    try {
      await client.admin.deleteTopic(name);
      const isIt = (command: { type: string }) => command.type === "deleteTopic";
      this.#history.sawChange(`${name} was deleted`, from, isIt);
    } catch (error) {
      if (codeOf(error) === "UNKNOWN_TOPIC") this.#exists(name, from, false);
    }
  }

  async #describe(client: Client, name: string): Promise<void> {
    const from = this.#history.now();
    try {
      const { topicId, recordBytesMax } = await client.admin.describeTopic(name);
      this.#history.sawState(`${name} is topic ${topicId} with ${recordBytesMax}`, from, (topics) => {
        const topic = topics.get(name);
        return topic?.topicId === topicId && topic.mark === recordBytesMax;
      });
    } catch (error) {
      if (codeOf(error) === "UNKNOWN_TOPIC") this.#exists(name, from, false);
    }
  }

  async #list(client: Client): Promise<void> {
    const from = this.#history.now();
    let listed: string[];
    try {
      listed = (await client.admin.listTopics()).map(({ name, topicId }) => `${name}=${topicId}`).sort();
    } catch {
      return;
    }
    const text = listed.join();
    this.#history.sawState(
      `the topics are ${text}`,
      from,
      (topics) => [...topics].map(([name, { topicId }]) => `${name}=${topicId}`).sort().join() === text,
    );
  }

  #exists(name: string, from: number, expected: boolean): void {
    const what = expected ? `${name} exists` : `there is no ${name}`;
    this.#history.sawState(what, from, (topics) => topics.has(name) === expected);
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

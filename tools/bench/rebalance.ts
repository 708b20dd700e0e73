/**
 * `bench rebalance`: a consumer group of many members reads a steady stream; one more joins. How long until it has its
 * share, how much moves, and how long the partitions that stay are held up.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect } from "../../src/client/client.ts";
import type { Consumer } from "../../src/client/consumer.ts";
import { withNodes } from "./with-nodes.ts";
import { round } from "./statistics.ts";

const TOPIC = "bench";
const GROUP = "readers";
/** A connection carries so many long polls at most. */
const MEMBERS_PER_CLIENT = 10;
const RECORDS_PER_SECOND = 2_000;
const TICK_MS = 10;
const SETTLE_MS_MAX = 60_000;
const WATCH_MS = 3_000;

export interface RebalanceOptions {
  readonly members: number;
  readonly partitions: number;
  readonly onProgress: (stage: string) => void;
}

export interface RebalanceResult {
  readonly members: number;
  readonly partitions: number;
  /** From the first member's start until all have their share. */
  readonly formMs: number;
  /** From the new member's start until it has its share. */
  readonly joinMs: number;
  /** Partitions that the new member was given, and that all others gave. */
  readonly given: number;
  readonly revoked: number;
  /** Longest time from a record's sending to its delivery, in partitions that did not move: before the joining, and during. */
  readonly stayedDelayMsMaxBefore: number;
  readonly stayedDelayMsMaxDuring: number;
}

/** What the members see, together. */
class Group {
  readonly consumers: Consumer[] = [];
  readonly moved = new Set<number>();
  revoked = 0;
  #delays: { partition: number; delayMs: number }[] = [];

  join(client: Client): Consumer {
    const consumer = client.consumer({
      topics: [TOPIC],
      group: GROUP,
      from: "latest",
      onRevoked: (partitions) => {
        this.revoked += partitions.length;
        for (const { partition } of partitions) this.moved.add(partition);
      },
    });
    this.consumers.push(consumer);
    void this.#read(consumer);
    return consumer;
  }

  get assigned(): number[] {
    return this.consumers.map((consumer) => consumer.assignment().length);
  }

  /** Every partition has a reader, and nobody has more than one more than another. */
  async settled(partitions: number): Promise<void> {
    for (const untilMs = performance.now() + SETTLE_MS_MAX; performance.now() < untilMs; await delay(2)) {
      const { assigned } = this;
      const total = assigned.reduce((sum, count) => sum + count, 0);
      if (total === partitions && Math.max(...assigned) - Math.min(...assigned) <= 1) return;
    }
    throw new Error(`the group is not balanced after ${SETTLE_MS_MAX} ms: ${this.assigned.join()}`);
  }

  /** The longest delay of a record since this was asked last, moved partitions left out. */
  takeDelayMsMax(): number {
    const delays = this.#delays.filter(({ partition }) => !this.moved.has(partition));
    this.#delays = [];
    return delays.reduce((longest, { delayMs }) => Math.max(longest, delayMs), 0);
  }

  async #read(consumer: Consumer): Promise<void> {
    for await (const record of consumer) {
      this.#delays.push({ partition: record.partition, delayMs: performance.now() - Number(record.text()) });
    }
  }
}

export function runRebalance({ members, partitions, onProgress }: RebalanceOptions): Promise<RebalanceResult> {
  return withNodes(async ({ processes, client }) => {
    await client.admin.createTopic(TOPIC, { partitions, replicas: 3 });
    const clients = await Promise.all(
      Array.from({ length: Math.ceil(members / MEMBERS_PER_CLIENT) + 1 }, () => connect(processes.bootstrap())),
    );
    const group = new Group();
    onProgress(`${members} members join`);
    const startedMs = performance.now();
    for (let i = 0; i < members; i++) group.join(clients[Math.floor(i / MEMBERS_PER_CLIENT)]!);
    await group.settled(partitions);
    const formMs = performance.now() - startedMs;
    const stream = startStream(client, partitions);
    await delay(WATCH_MS);
    group.moved.clear();
    group.revoked = 0;
    group.takeDelayMsMax();
    onProgress("a steady stream");
    await delay(WATCH_MS);
    const before = group.takeDelayMsMax();
    onProgress("one more joins");
    const joinedMs = performance.now();
    const joining = group.join(clients.at(-1)!);
    await group.settled(partitions);
    const joinMs = performance.now() - joinedMs;
    await delay(WATCH_MS);
    const during = group.takeDelayMsMax();
    const given = joining.assignment().length;
    const { revoked } = group;
    stream.stop();
    await Promise.all(clients.map((one) => one.close()));
    return {
      members,
      partitions,
      formMs: Math.round(formMs),
      joinMs: Math.round(joinMs),
      given,
      revoked,
      stayedDelayMsMaxBefore: round(before),
      stayedDelayMsMaxDuring: round(during),
    };
  });
}

/** Records that say when they were sent, to all partitions in turn. */
function startStream(client: Client, partitions: number): { stop(): void } {
  const producer = client.producer();
  let next = 0;
  const timer = setInterval(() => {
    const value = String(performance.now());
    for (let i = 0; i < (RECORDS_PER_SECOND * TICK_MS) / 1_000; i++) {
      producer.send(TOPIC, { value, partition: next++ % partitions }).catch(() => {});
    }
  }, TICK_MS);
  return { stop: () => clearInterval(timer) };
}

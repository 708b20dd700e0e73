/**
 * Keeps a queue's consumer supplied: one long poll per leader for all its partitions there. Opens the group's queue where
 * that has not been done. Bounded by the room the consumer has for records.
 */
import { RaftlineError } from "../wire/errors.ts";
import type { LeaseResult } from "../wire/group-responses.ts";
import { LEASE_PARTS_MAX } from "../wire/limits.ts";
import type { Cluster } from "./cluster.ts";
import type { GroupPlace } from "../wire/group-protocol.ts";
import type { QueueSettings } from "./queue-options.ts";
import { Pump } from "./pump.ts";
import { LEADER_CODES } from "./start-offsets.ts";
import type { Route } from "./topic-view.ts";

/** A node serves so many queues of one request at a time: the room is shared among them. */
const QUEUES_AT_ONCE = 8;
/** While one lease is on its way into the log the next one is asked for, as long as there are records. */
const POLLS_PER_NODE_MAX = 2;
const OPEN_TIMEOUT_MS = 5_000;
/** Beyond the long poll itself. */
const ANSWER_MS = 2_000;
const SILENT_MS = 500;
const BACK_OFF_MS_FIRST = 10;
const BACK_OFF_MS_MAX = 250;

/** One partition's queue as this consumer sees it. */
class QueuePart {
  readonly route: Route;
  /** Where its queue begins if it is new. */
  readonly from: GroupPlace;
  opened = false;
  /** Requests on their way, and the node they went to. */
  asking = 0;
  askedNode = 0;
  retryAtMs = 0;
  failures = 0;

  constructor(route: Route, from: GroupPlace) {
    this.route = route;
    this.from = from;
  }
}

/** What is on its way to one node. */
class NodePolls {
  opening = false;
  polls = 0;
  /** Records asked for by these polls. */
  records = 0;
  /** The last answer brought records. */
  flowing = false;

  get isFull(): boolean {
    return this.opening || this.polls >= (this.flowing ? POLLS_PER_NODE_MAX : 1);
  }
}

export interface QueueFetcherEvents {
  /** Records that may be leased more, now. */
  readonly room: () => number;
  readonly onLeased: (route: Route, result: LeaseResult) => void;
  readonly onFailed: (error: RaftlineError) => void;
}

export class QueueFetcher {
  readonly #cluster: Cluster;
  readonly #settings: QueueSettings;
  readonly #consumer: string;
  readonly #events: QueueFetcherEvents;
  readonly #pump: Pump;
  /** Who brought records last is at the end: a busy partition does not starve the others. */
  readonly #parts = new Set<QueuePart>();
  readonly #nodes = new Map<number, NodePolls>();

  constructor(cluster: Cluster, settings: QueueSettings, consumer: string, events: QueueFetcherEvents) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#consumer = consumer;
    this.#events = events;
    this.#pump = new Pump(cluster, (nowMs) => this.#look(nowMs));
  }

  start(routes: readonly Route[], from: GroupPlace): void {
    for (const route of routes) this.#parts.add(new QueuePart(route, from));
    this.schedule();
  }

  close(): void {
    this.#pump.close();
  }

  /** There may be room for more. */
  schedule(): void {
    this.#pump.schedule();
  }

  /** When to look again at the latest. */
  #look(nowMs: number): number {
    if (this.#events.room() <= 0) return Infinity;
    const byNode = new Map<number, QueuePart[]>();
    let wakeMs = Infinity;
    for (const part of this.#parts) {
      const { route } = part;
      if (this.#pollsOf(route.leader).isFull || (part.asking > 0 && part.askedNode !== route.leader)) continue;
      if (!this.#exists(route)) return Infinity;
      if (part.retryAtMs > nowMs) wakeMs = Math.min(wakeMs, part.retryAtMs);
      else if (route.leader === 0) this.#cluster.needLeader(route);
      else {
        const parts = byNode.get(route.leader);
        if (parts === undefined) byNode.set(route.leader, [part]);
        else if (parts.length < LEASE_PARTS_MAX) parts.push(part);
      }
    }
    for (const [nodeId, parts] of byNode) {
      const closed = parts.filter(({ opened }) => !opened);
      const [first] = closed;
      if (first) void this.#open(nodeId, closed.filter(({ from }) => from === first.from), first.from);
      else this.#poll(nodeId, parts);
    }
    return wakeMs;
  }

  /** Two polls share the room, and the queues where there are several: each is asked by one of them. */
  #poll(nodeId: number, parts: readonly QueuePart[]): void {
    const node = this.#pollsOf(nodeId);
    while (!node.isFull) {
      const room = this.#events.room();
      const records = Math.min(Math.ceil(room / POLLS_PER_NODE_MAX), room - node.records);
      if (records <= 0) return;
      const unasked = parts.filter(({ asking }) => asking === 0);
      const half = node.flowing && node.polls === 0 ? Math.ceil(unasked.length / POLLS_PER_NODE_MAX) : unasked.length;
      void this.#lease(nodeId, half > 0 ? unasked.slice(0, half) : parts, records);
    }
  }

  #pollsOf(nodeId: number): NodePolls {
    let polls = this.#nodes.get(nodeId);
    if (polls === undefined) this.#nodes.set(nodeId, polls = new NodePolls());
    return polls;
  }

  async #open(nodeId: number, parts: readonly QueuePart[], from: GroupPlace): Promise<void> {
    const { group, wire: options } = this.#settings;
    const shards = parts.map(({ route }) => route.shard);
    const node = this.#pollsOf(nodeId);
    node.opening = true;
    await this.#ask(nodeId, parts, async () => {
      const request = { type: "queueOpen", group, options, from, shards } as const;
      const answer = await this.#cluster.request(nodeId, "read", request, OPEN_TIMEOUT_MS);
      parts.forEach((part, i) => {
        const { code, leaderHint } = answer.parts[i] ?? { code: "MALFORMED", leaderHint: 0 };
        if (code === "") part.opened = true;
        else this.#failed(nodeId, part, code, leaderHint, code);
      });
    });
    node.opening = false;
    this.schedule();
  }

  async #lease(nodeId: number, parts: readonly QueuePart[], records: number): Promise<void> {
    const { group, maxWaitMs, bytesMax } = this.#settings;
    const recordsMax = Math.ceil(records / Math.min(parts.length, QUEUES_AT_ONCE));
    const node = this.#pollsOf(nodeId);
    node.polls += 1;
    node.records += records;
    const silence = this.#cluster.runtime.timers.after(maxWaitMs + SILENT_MS, () => {
      void this.#cluster.checkSilent(nodeId, parts.map(({ route }) => route));
    });
    await this.#ask(nodeId, parts, async () => {
      const wanted = parts.map(({ route }) => ({ shard: route.shard, recordsMax }));
      const asked = { type: "lease", group, consumer: this.#consumer, maxWaitMs, bytesMax, parts: wanted } as const;
      const answer = await this.#cluster.request(nodeId, "read", asked, maxWaitMs + ANSWER_MS);
      node.flowing = answer.parts.some(({ leaseId }) => leaseId !== 0);
      parts.forEach((part, i) => this.#receive(nodeId, part, answer.parts[i]));
    });
    silence.cancel();
    node.polls -= 1;
    node.records -= records;
    this.schedule();
  }

  async #ask(nodeId: number, parts: readonly QueuePart[], request: () => Promise<void>): Promise<void> {
    for (const part of parts) {
      part.asking += 1;
      part.askedNode = nodeId;
    }
    try {
      await request();
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
      for (const part of parts) this.#failed(nodeId, part, error.code, 0, error.message);
    } finally {
      for (const part of parts) part.asking -= 1;
    }
  }

  #receive(nodeId: number, part: QueuePart, result: LeaseResult | undefined): void {
    if (result === undefined) return this.#failed(nodeId, part, "MALFORMED", 0, "an answer is missing");
    if (result.code === "UNKNOWN_GROUP") part.opened = false;
    else if (result.code !== "") return this.#failed(nodeId, part, result.code, result.leaderHint, result.code);
    part.failures = 0;
    if (result.leaseId === 0) return;
    this.#parts.delete(part);
    this.#parts.add(part);
    this.#events.onLeased(part.route, result);
  }

  #failed(nodeId: number, part: QueuePart, code: string, leaderHint: number, why: string): void {
    if (this.#pump.closed) return;
    const { route } = part;
    const elsewhere = LEADER_CODES.has(code);
    if (elsewhere && code !== "THROTTLED") route.refused(nodeId, leaderHint);
    const delayMs = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_FIRST * 2 ** Math.min(part.failures++, 10));
    part.retryAtMs = this.#cluster.runtime.clock.monotonicMs() + delayMs;
    if (elsewhere || (code === "CLOSED" && !this.#cluster.closed) || code === "DISK_FULL") return;
    this.#events.onFailed(new RaftlineError(code, `the queue of ${route.topic}/${route.partition}: ${why}`));
  }

  /** Whether the topic is still the one it was; if not, the queue fails. */
  #exists(route: Route): boolean {
    if (this.#cluster.topic(route.topic)?.routes[route.partition] === route) return true;
    this.#events.onFailed(this.#cluster.whyGone(route.topic));
    return false;
  }
}

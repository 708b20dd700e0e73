/** A few brokers in a FakeWorld, just right enough to be talked to: one log per shard, shared by all nodes. */
import { Entry } from "../../src/records/entry.ts";
import { readBatch } from "../../src/records/batch-reader.ts";
import { PRODUCER_WINDOW_BATCHES } from "../../src/wire/limits.ts";
import type { FetchRequest, OffsetsAt, ProducePart, Request } from "../../src/wire/protocol.ts";
import type { ProduceResult, TopicMetadata } from "../../src/wire/responses.ts";
import { FetchService } from "../../shards/partition/fetch.ts";
import type { FetchSource } from "../../shards/partition/fetch-session.ts";
import { RpcServer } from "../../src/wire/rpc-server.ts";
import type { Exchange, RpcHandler } from "../../src/wire/rpc-session.ts";
import type { FakeWorld } from "../wire/fake-world.ts";

interface FakeProducer {
  nextSequence: number;
  batches: { baseSequence: number; baseOffset: number }[];
}

export class FakeShard {
  readonly id: number;
  leader: number;
  term = 1;
  startOffset = 0;
  entries: Entry[] = [];
  readonly producers = new Map<number, FakeProducer>();
  readonly watchers = new Set<() => void>();

  constructor(id: number, leader: number) {
    this.id = id;
    this.leader = leader;
  }

  get end(): number {
    return this.entries.at(-1)?.nextOffset ?? 0;
  }

  /** The values, as text, in the order they are stored. */
  values(): string[] {
    return this.entries.flatMap((entry) => readBatch(entry)).map((record) => record.text());
  }

  append(entry: Entry): number {
    const baseOffset = this.end;
    entry.stamp(this.term, this.entries.length + 1, baseOffset);
    this.entries.push(entry);
    for (const wake of [...this.watchers]) wake();
    return baseOffset;
  }
}

/** What a test may do to a produce part before it is handled: an error code, or how its answer goes. */
export type Interference = { readonly code: string; readonly hint?: number } | "store and break" | undefined;

export class FakeCluster {
  readonly world: FakeWorld;
  readonly topics = new Map<string, FakeShard[]>();
  readonly requests: { readonly node: number; readonly request: Request }[] = [];
  readonly down = new Set<number>();
  interfere: (node: number, shard: FakeShard, entry: Entry) => Interference = () => undefined;
  produceDelayMs = 1;
  /** What nodes say beside the truth, while set: an old leader. */
  staleLeaders = new Map<number, number>();
  hints = true;
  /** Fetches begin this many entries before the asked one. */
  earlierEntries = 0;
  bytesFetched = 0;
  /** Records at the end that a leader does not know to be committed yet. */
  lagRecords = 0;
  /** A node that knows no leader of anything. */
  clueless = 0;
  /** A node that says it belongs to another cluster. */
  foreigner = 0;
  secret: string | undefined;
  #topicIds = new Map<string, number>();
  #shardsMade = 0;
  #topicsMade = 0;
  #producersMade = 100;
  readonly #shards = new Map<number, FakeShard>();
  readonly #nodes: number;

  private constructor(world: FakeWorld, nodes: number) {
    this.world = world;
    this.#nodes = nodes;
  }

  static async start(world: FakeWorld, nodes = 3): Promise<FakeCluster> {
    const cluster = new FakeCluster(world, nodes);
    for (let node = 1; node <= nodes; node++) await world.run(cluster.startNode(node));
    return cluster;
  }

  get bootstrap(): string[] {
    return Array.from({ length: this.#nodes }, (_, i) => `n${i + 1}:7401`);
  }

  async startNode(node: number): Promise<void> {
    this.down.delete(node);
    const address = { host: `n${node}`, port: 7401 };
    await RpcServer.listen(this.world.runtime(`n${node}`), address, this.#handler(node));
  }

  kill(node: number): void {
    this.down.add(node);
    this.world.kill(`n${node}`);
  }

  createTopic(name: string, partitions: number): FakeShard[] {
    this.topics.set(name, []);
    this.#topicIds.set(name, ++this.#topicsMade);
    return this.addPartitions(name, partitions);
  }

  addPartitions(name: string, count: number): FakeShard[] {
    const added = Array.from({ length: count }, (_, i) => new FakeShard(++this.#shardsMade, 1 + i % this.#nodes));
    for (const shard of added) this.#shards.set(shard.id, shard);
    this.topics.get(name)!.push(...added);
    return added;
  }

  move(shard: FakeShard, leader: number): void {
    shard.leader = leader;
    shard.term++;
    for (const wake of [...shard.watchers]) wake();
  }

  #handler(node: number): RpcHandler {
    const fetches = new FetchService({
      runtime: this.world.runtime(`n${node}`),
      sourceOf: (shard) => this.#sourceOf(node, shard),
      missing: () => ({ code: "UNKNOWN_PARTITION", leaderHint: 0 }),
    });
    return {
      hello: (exchange) => {
        if (this.secret !== undefined && exchange.request.credentials?.secret !== this.secret) {
          return exchange.fail("NOT_AUTHORIZED", "no");
        }
        exchange.session.accept("test");
        const limits = { batchBytesMax: 4 << 20, frameBytesMax: 16 << 20, inFlightBytesMax: 32 << 20 };
        exchange.ok("hello", { nodeId: node, clusterId: node === this.foreigner ? "other" : "fake", limits });
      },
      request: (exchange) => this.#request(node, fetches, exchange),
      closed: (session) => fetches.closed(session),
    };
  }

  #request(node: number, fetches: FetchService, exchange: Exchange): void {
    const { request } = exchange;
    this.requests.push({ node, request });
    switch (request.type) {
      case "metadata":
        return exchange.ok("metadata", {
          revision: 1,
          nodes: Array.from({ length: this.#nodes }, (_, i) => ({ id: i + 1, host: `n${i + 1}`, port: 7401 })),
          topics: (request.topics ?? [...this.topics.keys()]).map((name) => this.#describe(name, node)),
        });
      case "producerId":
        return exchange.ok("producerId", { producerId: ++this.#producersMade, epoch: 0 });
      case "produce":
        return this.#produce(node, exchange, request.parts);
      case "fetch":
        return fetches.handle(exchange as Exchange<FetchRequest>);
      case "offsets":
        return exchange.ok("offsets", {
          parts: request.parts.map((part) => {
            const shard = this.#shards.get(part.shard)!;
            const leads = shard.leader === node;
            return { code: leads ? "" : "NOT_LEADER", offset: offsetAt(shard, part.at), leaderHint: shard.leader };
          }),
        });
      case "admin":
        return exchange.ok("admin", { result: [] });
    }
  }

  #describe(name: string, node: number): TopicMetadata {
    const shards = this.topics.get(name);
    if (shards === undefined) return { name, code: "UNKNOWN_TOPIC", topicId: 0, settings: {}, partitions: [] };
    const partitions = shards.map(({ id, leader, term }) => {
      const stale = this.staleLeaders.get(id);
      if (node === this.clueless) return { shard: id, leader: 0, leaderTerm: term };
      return { shard: id, leader: stale ?? leader, leaderTerm: stale === undefined ? term : 1 };
    });
    return { name, code: "", topicId: this.#topicIds.get(name)!, settings: {}, partitions };
  }

  #produce(node: number, exchange: Exchange, parts: readonly ProducePart[]): void {
    let breaks = false;
    const results: ProduceResult[] = parts.map((part) => {
      const shard = this.#shards.get(part.shard);
      if (shard === undefined || ![...this.topics.values()].some((shards) => shards.includes(shard))) {
        return { code: "UNKNOWN_PARTITION", baseOffset: 0, leaderHint: 0 };
      }
      if (shard.leader !== node) {
        return { code: "NOT_LEADER", baseOffset: 0, leaderHint: this.hints ? shard.leader : 0 };
      }
      const entry = Entry.parse(part.bytes);
      entry.verifyPayload();
      const interference = this.interfere(node, shard, entry);
      if (typeof interference === "object") {
        return { code: interference.code, baseOffset: 0, leaderHint: interference.hint ?? 0 };
      }
      if (interference === "store and break") breaks = true;
      return { leaderHint: 0, ...store(shard, entry) };
    });
    this.world.after(this.produceDelayMs, () => {
      if (breaks) exchange.session.destroy();
      else if (exchange.open) exchange.ok("produce", { parts: results });
    });
  }

  /** The real sessions, over shards that are all in memory. */
  #sourceOf(node: number, id: number): FetchSource | undefined {
    const shard = this.#shards.get(id);
    return shard && {
      leads: shard.leader === node,
      leaderHint: shard.leader,
      highWatermark: shard.end - this.lagRecords,
      startOffset: shard.startOffset,
      read: (offset, bytesMax) => {
        const entries = entriesFrom(shard, offset, bytesMax, this.earlierEntries);
        for (const entry of entries) this.bytesFetched += entry.byteLength;
        return entries;
      },
      watchTail: (wake) => {
        shard.watchers.add(wake);
        return () => shard.watchers.delete(wake);
      },
    };
  }
}

/** The broker's rule for idempotent producers. */
function store(shard: FakeShard, entry: Entry): { code: string; baseOffset: number } {
  const known = shard.producers.get(entry.producerId);
  if (known === undefined && entry.baseSequence !== 0) return { code: "UNKNOWN_PRODUCER_ID", baseOffset: 0 };
  const producer = known ?? { nextSequence: 0, batches: [] };
  const again = producer.batches.find((batch) => batch.baseSequence === entry.baseSequence);
  if (again !== undefined) return { code: "", baseOffset: again.baseOffset };
  if (entry.baseSequence !== producer.nextSequence) return { code: "OUT_OF_ORDER_SEQUENCE", baseOffset: 0 };
  const baseOffset = shard.append(entry);
  producer.nextSequence = (entry.baseSequence + entry.recordCount) % 2 ** 32;
  producer.batches = [...producer.batches.slice(1 - PRODUCER_WINDOW_BATCHES), {
    baseSequence: entry.baseSequence,
    baseOffset,
  }];
  shard.producers.set(entry.producerId, producer);
  return { code: "", baseOffset };
}

function entriesFrom(shard: FakeShard, offset: number, bytesMax: number, earlierEntries: number): Entry[] {
  const entries: Entry[] = [];
  let bytes = 0;
  const first = shard.entries.findIndex((entry) => entry.nextOffset > offset);
  for (const entry of shard.entries.slice(Math.max(0, first - earlierEntries))) {
    if (bytes > 0 && bytes + entry.byteLength > bytesMax) break;
    entries.push(entry);
    bytes += entry.byteLength;
  }
  return entries;
}

function offsetAt(shard: FakeShard, at: OffsetsAt): number {
  if (at === "earliest") return shard.startOffset;
  if (at === "latest") return shard.end;
  return shard.entries.find((entry) => entry.maxTimestampMs >= at.timeMs)?.baseOffset ?? shard.end;
}

/** One seed, one run: a cluster, clients, faults; then healing, and everything is held against what was promised. */
import { Buffer } from "node:buffer";
import { FIRST_PARTITION_SHARD, METADATA_SHARD } from "../../shards/metadata/state.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { BarrierLoad } from "./barrier-load.ts";
import type { FaultName } from "./faults.ts";
import { TopicHistory, UNCAUGHT, type Violation } from "./history.ts";
import { allMoved, haveTheSame } from "./moves.ts";
import { PartitionsLoad } from "./partitions-load.ts";
import { QueueHistory } from "./queue-history.ts";
import { DEAD_TOPIC, DELIVERIES_MAX, drained, QueueLoad, type QueueWorkload, readDead } from "./queue-load.ts";
import { GroupHistory } from "./group-history.ts";
import { allRead, GroupLoad, type GroupWorkload, MEMBERS_GROUP } from "./group-load.ts";
import { CursorLoad } from "./cursor-load.ts";
import { DeliveryTimes } from "./delivery-times.ts";
import { QueueLog } from "./queue-log.ts";
import { Testbed } from "./testbed.ts";
import { TIMED_PARTITIONS, TIMED_TOPIC, TimedLoad } from "./timed-load.ts";
import { TopicsHistory } from "./topics-history.ts";
import { TopicsLoad } from "./topics-load.ts";
import { TrimLoad } from "./trim-load.ts";
import {
  connectPatiently,
  ConsumerLoad,
  createTopic,
  ProducerLoad,
  readAll,
  TOPIC,
  type WorkloadOptions,
} from "./workload.ts";

export const DEFAULT_SECONDS = 15;
const SETUP_MS_MAX = 30_000;
const SETTLE_MS_MAX = 90_000;
const POLL_MS = 100;
const READ_MS_MAX = 60_000;
const REPAIR_MS_MAX = 60_000;
const DRAIN_MS_MAX = 120_000;
const CONSUMERS = 1;
const PRODUCERS = 2;
const TOPICS_CLIENTS = 2;
const TOPICS_CHANCE = 0.35;
const TRIMS_CHANCE = 0.5;
const QUEUE_CHANCE = 0.5;
const QUEUE_CONSUMERS = 3;
const TIMED_CHANCE = 0.3;
const TIMED_CONSUMERS = 2;
const GROUP_CHANCE = 0.5;
const GROUP_MEMBERS = 3;
const KEY_ORDERED_CHANCE = 0.3;
const CONSUMER_PAUSE_MS_MAX = 60;

export interface SimulationOptions {
  readonly seed: number;
  /** 3 or 5 are drawn if left out. */
  readonly nodes?: number;
  /** Simulated, of the phase with faults. */
  readonly seconds?: number;
  /** Which may be drawn; all if left out. */
  readonly faults?: readonly FaultName[];
  /** Producers, a consumer and reads of the leaders: no queue, no group, nothing else that would be drawn. */
  readonly plain?: boolean;
  readonly onTimeline?: (line: string) => void;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly simulatedSeconds: number;
  readonly events: number;
  readonly sends: number;
  readonly acknowledged: number;
  readonly committedEntries: number;
  /** Operations on topics whose outcome was held against the metadata's log. */
  readonly topicOperations: number;
  /** The faults that were drawn. */
  readonly drawn: readonly FaultName[];
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** Over every event and every committed entry: equal for equal seeds. */
  readonly hash: number;
  /** The last lines. */
  readonly timeline: readonly string[];
}

/** The first violation ends the run. */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const isTold = options.onTimeline !== undefined;
  const outcome = await new Simulation(options, isTold).run();
  if (isTold || outcome.violation?.invariant !== UNCAUGHT) return outcome;
  // Once more, to know where it was thrown.
  return await new Simulation(options, true).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #bed: Testbed;
  readonly #history: TopicHistory;
  readonly #topics: TopicsHistory;
  readonly #partitionsAtFirst: number;
  readonly #partitions: number;
  readonly #replicas: number;
  readonly #hasTopicsLoad: boolean;
  readonly #hasTrims: boolean;
  readonly #hasQueue: boolean;
  readonly #hasGroup: boolean;
  readonly #keyOrdered: boolean;
  readonly #queue: QueueHistory;
  readonly #group: GroupHistory;
  readonly #queueLog: QueueLog;
  readonly #times: DeliveryTimes;
  readonly #hasTimed: boolean;
  readonly #timedQueue: QueueHistory;
  #healedMs = Infinity;
  /** Of the partitions, when everything was over. */
  #ends: number[] = [];

  constructor(options: SimulationOptions, stacks: boolean) {
    this.#options = options;
    const bed = this.#bed = new Testbed({
      ...options,
      stacks,
      onCommitted: (group, entry) => {
        if (group === METADATA_SHARD) this.#topics.committed(entry);
        else if (group < FIRST_PARTITION_SHARD) this.#group.coordinated(entry);
        else {
          this.#queueLog.committed(group, entry);
          this.#group.committed(group, entry);
        }
      },
    });
    const { random, cluster, fail } = bed;
    const nodes = cluster.founders.length;
    this.#partitionsAtFirst = 1 + random.integer(3);
    this.#partitions = this.#partitionsAtFirst + (bed.plan.on.has("growth") ? 1 : 0);
    this.#replicas = random.chance(0.5) ? nodes : Math.min(3, nodes);
    const draws = (chance: number) => random.chance(chance) && options.plain !== true;
    this.#hasTopicsLoad = draws(TOPICS_CHANCE);
    this.#hasTrims = draws(TRIMS_CHANCE);
    this.#hasQueue = draws(QUEUE_CHANCE);
    this.#hasGroup = draws(GROUP_CHANCE);
    this.#keyOrdered = random.chance(KEY_ORDERED_CHANCE);
    this.#queue = new QueueHistory(this.#partitions, DELIVERIES_MAX, fail);
    this.#group = new GroupHistory(MEMBERS_GROUP, this.#partitions, fail, (shard) => this.#partitionOf(shard));
    this.#hasTimed = draws(TIMED_CHANCE);
    this.#timedQueue = new QueueHistory(TIMED_PARTITIONS, DELIVERIES_MAX, fail);
    this.#times = new DeliveryTimes(() => cluster.clocksRightSinceMs, fail);
    this.#queueLog = new QueueLog(() => bed.scheduler.nowMs, bed.clocks.rateMax, fail);
    this.#history = new TopicHistory(this.#partitions, fail);
    this.#topics = new TopicsHistory(fail);
  }

  async run(): Promise<Outcome> {
    const bed = this.#bed;
    try {
      await this.#phases();
    } catch (error) {
      bed.failByException(error);
    } finally {
      bed.close();
    }
    return {
      seed: this.#options.seed,
      violation: bed.violation,
      simulatedSeconds: bed.scheduler.nowMs / 1000,
      events: bed.scheduler.count,
      sends: this.#history.sends,
      acknowledged: this.#history.acknowledged,
      committedEntries: bed.invariants.committedEntries,
      topicOperations: this.#topics.checked,
      drawn: [...bed.plan.on],
      faults: bed.striker.struck,
      hash: bed.hash,
      timeline: bed.timeline.lines,
    };
  }

  async #phases(): Promise<void> {
    const bed = this.#bed;
    const { on, everyMs } = bed.plan;
    const { driftMax } = bed.clocks;
    const leases = driftMax === undefined ? "no leases" : `leases for a drift of ${driftMax.toFixed(2)}`;
    bed.timeline.say(
      `seed ${this.#options.seed}: ${bed.cluster.ids.length} nodes, ${this.#partitions} partitions of ` +
        `${this.#replicas} replicas, ${leases}, faults every ${everyMs} ms: ${[...on].join(", ") || "none"}`,
    );
    bed.startNodes();
    await bed.until("the topic is created", SETUP_MS_MAX, this.#setUp());
    if (bed.violation) return;
    const producers = Array.from({ length: PRODUCERS }, (_, id) => new ProducerLoad(id, this.#workload()));
    const pauseMsMax = on.has("slowConsumer") ? CONSUMER_PAUSE_MS_MAX : 0;
    const consumers = Array.from({ length: CONSUMERS }, () => new ConsumerLoad(this.#workload(), pauseMsMax));
    const topics = this.#topicsLoads();
    const trims = this.#hasTrims ? [new TrimLoad(this.#workload())] : [];
    const cursors = this.#hasQueue ? [new CursorLoad(this.#workload())] : [];
    const timed = this.#hasTimed ? [new TimedLoad(this.#workload(), this.#times)] : [];
    const growth = on.has("growth") ? [new PartitionsLoad(this.#workload())] : [];
    const loads = [...producers, ...topics, ...trims, ...cursors, ...timed, ...growth];
    const loading = Promise.all(loads.map((load) => load.run()));
    for (const consumer of consumers) void consumer.run();
    const workers = [
      ...Array.from({ length: this.#hasQueue ? QUEUE_CONSUMERS : 0 }, () => this.#queueWorkload(TOPIC)),
      ...Array.from({ length: this.#hasTimed ? TIMED_CONSUMERS : 0 }, () => this.#queueWorkload(TIMED_TOPIC)),
    ].map((workload) => new QueueLoad(workload));
    for (const worker of workers) void worker.run();
    const members = Array.from({ length: this.#hasGroup ? GROUP_MEMBERS : 0 }, () => {
      return new GroupLoad(this.#groupWorkload());
    });
    for (const member of members) void member.run();
    const barriers = new BarrierLoad({ ...bed, random: bed.random.fork() });
    barriers.start();
    bed.striker.start();
    await bed.runFor((this.#options.seconds ?? DEFAULT_SECONDS) * 1000);
    bed.striker.heal();
    bed.timeline.say("healed");
    this.#healedMs = bed.scheduler.nowMs;
    for (const load of loads) load.stopped = true;
    barriers.stopped = true;
    await bed.until("every send has an outcome", SETTLE_MS_MAX, loading);
    for (const consumer of consumers) consumer.stopped = true;
    await bed.until("the replicas are where they shall be", SETTLE_MS_MAX, this.#movesDone());
    await bed.until("the replicas have the same", SETTLE_MS_MAX, this.#replicasAgree());
    await this.#readBack();
    if (workers.length > 0) await this.#drain(workers);
    if (this.#hasGroup && !bed.violation) await this.#groupReadsAll(members);
    if (!bed.violation) await bed.until("every damaged replica is repaired", REPAIR_MS_MAX, this.#repaired());
    if (!bed.violation) this.#checkStates();
  }

  /** The queues are worked off without further mischief; then each record was acknowledged, or is a dead letter. */
  async #drain(workers: readonly QueueLoad[]): Promise<void> {
    const bed = this.#bed;
    for (const worker of workers) worker.calm = true;
    let ends: readonly number[] = [];
    if (this.#hasQueue) {
      await bed.until("the queue is drained", DRAIN_MS_MAX, drained(this.#workload(), TOPIC, this.#partitions));
    }
    if (this.#hasTimed) {
      const draining = drained(this.#workload(), TIMED_TOPIC, TIMED_PARTITIONS).then((found) => ends = found);
      await bed.until("the queue of timed records is drained", DRAIN_MS_MAX, draining);
    }
    for (const worker of workers) worker.stopped = true;
    if (bed.violation) return;
    const histories = new Map([[TOPIC, this.#queue], [TIMED_TOPIC, this.#timedQueue]]);
    const reading = readDead(this.#workload(), histories, this.#times);
    await bed.until("the dead letters are read", READ_MS_MAX, reading);
    if (bed.violation) return;
    if (this.#hasQueue) {
      this.#ends.forEach((end, partition) => {
        this.#queue.checkDrained(partition, this.#history.keptFrom(partition), end);
      });
    }
    ends.forEach((end, partition) => this.#timedQueue.checkDrained(partition, 0, end));
    this.#times.checkLate(this.#healedMs);
  }

  /** Whoever came and went, the group gets to the end, and its places are what its commits say. */
  async #groupReadsAll(members: readonly GroupLoad[]): Promise<void> {
    for (const member of members) member.calm = true;
    const reading = allRead(this.#workload()).then((places) => {
      places.forEach((place, partition) => this.#group.checkEnd(partition, place, this.#ends[partition]!));
    });
    await this.#bed.until("the group has read everything", DRAIN_MS_MAX, reading);
    for (const member of members) member.stopped = true;
  }

  /** Everything is read from the start, and must be there. */
  async #readBack(): Promise<void> {
    const reading = readAll(this.#workload()).then((read) => {
      this.#ends = read;
    });
    await this.#bed.until("everything is read back", READ_MS_MAX, reading);
    if (this.#bed.violation) return;
    this.#history.checkComplete(this.#ends);
  }

  /** Nodes that run have nothing left of what their disks lost: all they hold takes part. */
  async #repaired(): Promise<void> {
    const { cluster } = this.#bed;
    const { runtime } = this.#workload();
    const isWhole = (id: number) => {
      const node = cluster.nodeOf(id);
      if (!node || node.partitions.repairs.underWay + node.stateRepairs.underWay > 0) return false;
      return node.host.replicas().every(({ raft }) => raft.vouched);
    };
    while (!cluster.alive.every(isWhole)) await sleep(runtime, 100);
  }

  /** Replicas that have applied the same have the same state. */
  #checkStates(): void {
    const { cluster, fail } = this.#bed;
    const states = new Map<string, Uint8Array>();
    for (const id of cluster.alive) {
      for (const { group, raft, machine } of cluster.nodeOf(id)?.host.replicas() ?? []) {
        const place = `group ${group} at ${raft.applied}`;
        const state = machine.capture();
        const other = states.get(place) ?? state;
        states.set(place, state);
        if (Buffer.compare(state, other) !== 0) {
          fail({ invariant: "replicas' states differ", detail: `${place}, on node ${id}` });
        }
      }
    }
  }

  async #movesDone(): Promise<void> {
    const { runtime } = this.#workload();
    while (!allMoved(this.#bed.cluster)) await sleep(runtime, POLL_MS);
  }

  async #replicasAgree(): Promise<void> {
    const { runtime } = this.#workload();
    while (!haveTheSame(this.#bed.cluster)) await sleep(runtime, POLL_MS);
  }

  async #setUp(): Promise<void> {
    const setup = this.#workload();
    const client = await connectPatiently(setup);
    await createTopic(client, setup.runtime, this.#partitionsAtFirst, this.#replicas);
    const { runtime } = setup;
    if (this.#hasQueue || this.#hasTimed) await createTopic(client, runtime, 2, this.#replicas, DEAD_TOPIC);
    if (this.#hasTimed) await createTopic(client, runtime, TIMED_PARTITIONS, this.#replicas, TIMED_TOPIC);
    await client.close();
  }

  /** Of the topic that all read; undefined: it is another's. */
  #partitionOf(shard: number): number | undefined {
    const { cluster } = this.#bed;
    for (const id of cluster.ids) {
      const topic = cluster.nodeOf(id)?.metadata.topicOfShard.get(shard);
      if (topic) return topic.name === TOPIC ? topic.partitions.findIndex((one) => one.shard === shard) : undefined;
    }
    return undefined;
  }

  #topicsLoads(): TopicsLoad[] {
    if (!this.#hasTopicsLoad) return [];
    let mark = 0;
    const length = TOPICS_CLIENTS;
    const replicas = Math.min(3, this.#replicas);
    return Array.from({ length }, () => new TopicsLoad(this.#workload(), this.#topics, replicas, () => ++mark));
  }

  #queueWorkload(topic: string): QueueWorkload {
    const random = this.#bed.random.fork();
    const workload = this.#workload();
    return {
      ...workload,
      random,
      topic,
      queueHistory: topic === TOPIC ? this.#queue : this.#timedQueue,
      keyOrdered: this.#keyOrdered,
      another: () => {
        this.#bed.cluster.killClient(workload.runtime);
        return this.#queueWorkload(topic);
      },
    };
  }

  #groupWorkload(): GroupWorkload {
    const random = this.#bed.random.fork();
    const workload = this.#workload();
    return {
      ...workload,
      random,
      groupHistory: this.#group,
      another: () => {
        this.#bed.cluster.killClient(workload.runtime);
        return this.#groupWorkload();
      },
    };
  }

  #workload(): WorkloadOptions {
    const { cluster, fail } = this.#bed;
    const random = this.#bed.random.fork();
    const { runtime } = cluster.client(random.fork());
    const { bootstrap } = cluster;
    return {
      runtime,
      random,
      bootstrap,
      partitions: this.#partitions,
      history: this.#history,
      times: this.#times,
      fail,
    };
  }
}

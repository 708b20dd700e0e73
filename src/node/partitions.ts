/** Keeps this node's partitions as the metadata says: starts the replicas it should hold, ends those it should not. */
import type { Log } from "../log/types.ts";
import type { LogEnd, NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Host } from "../../shards/host/host.ts";
import {
  FIRST_PARTITION_SHARD,
  holdersOf,
  type MetadataState,
  type PartitionRecord,
  type TopicRecord,
} from "../../shards/metadata/state.ts";
import { CatchUpReads } from "../../shards/partition/catch-up-reads.ts";
import type { DeadLetterOffice } from "../../shards/partition/dead-letter-forwarder.ts";
import { PartitionMachine } from "../../shards/partition/machine.ts";
import { Partition, type Traffic } from "../../shards/partition/partition.ts";
import { type Damages, lostOf, mayHaveLostGroups } from "./damage.ts";
import type { Memory } from "./memory.ts";
import type { RepairPermits } from "./repair-permits.ts";
import { Repairs } from "./repairs.ts";
import type { Routing } from "./routing.ts";

/** Followers of a partition are not read. */
const COMMIT_NOTICE_MS = 200;
/** Producers wait for this node when more than this is on its way. */
const BUSY_PROPOSED_BYTES = 256 * 1024;
const RETRY_MS = 1_000;

export interface PartitionsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly log: Log;
  readonly memory: Memory;
  readonly metadata: MetadataState;
  readonly routing: Routing;
  readonly damages: Damages;
  readonly permits: RepairPermits;
  readonly isAlive: (node: NodeId) => boolean;
  readonly officeOf: (shard: number) => DeadLetterOffice;
}

export class Partitions {
  readonly #options: PartitionsOptions;
  readonly #partitions = new Map<number, Partition>();
  /** Not running: their log has lost something. */
  readonly #damaged = new Set<number>();
  /** Where the logs ended that are being replaced. */
  readonly #had = new Map<number, LogEnd>();
  /** By topic id: replicas that leave take nothing away. */
  readonly #traffic = new Map<number, Traffic>();
  /** Groups about to begin with a mark that is being written. */
  readonly #doubting = new Set<number>();
  #closed = false;
  readonly repairs: Repairs;
  readonly #catchUp: CatchUpReads;
  #current = false;
  /** The topics known by now may be older than this run of the node. */
  #isBeforeStart = true;

  constructor(options: PartitionsOptions) {
    this.#options = options;
    const { runtime, log, host } = options;
    this.#catchUp = new CatchUpReads({ runtime, log, isBusy: () => host.proposedBytes > BUSY_PROPOSED_BYTES });
    this.repairs = new Repairs({
      ...options,
      othersOf: (shard) => this.#othersOf(shard),
      // Its log is what it is, and what is in memory is a small part of it.
      kept: () => undefined,
      retire: (shard) => this.#retire(shard),
      repaired: (shard, had) => {
        options.damages.forget(shard);
        if (this.#holds(shard)) this.#damaged.delete(shard);
        if (had) this.#had.set(shard, had);
        this.reconcile();
        this.#had.delete(shard);
      },
    });
    options.damages.listen((shard, reason) => this.#noticed(shard, reason));
  }

  get(shard: number): Partition | undefined {
    return this.#partitions.get(shard);
  }

  all(): Iterable<Partition> {
    return this.#partitions.values();
  }

  get size(): number {
    return this.#partitions.size;
  }

  /** What its replicas here have had to do with since the node began. */
  trafficOf({ topicId }: TopicRecord): Traffic {
    const known = this.#traffic.get(topicId) ?? { producedRecords: 0, producedBytes: 0, readBytes: 0 };
    this.#traffic.set(topicId, known);
    return known;
  }

  /** Its replica here has lost what others have, and takes no part. */
  isDamaged(shard: number): boolean {
    return this.#damaged.has(shard);
  }

  /**
   * Makes it so. Cheap when nothing changed. Until the metadata is known to be current, groups that this disk knows
   * nothing of wait: a restarted node applies again what was long undone, and a group that was deleted since must not
   * begin anew.
   */
  reconcile(): void {
    if (this.#closed) return;
    const { nodeId, metadata, log } = this.#options;
    for (const topic of metadata.topics.values()) {
      for (const record of topic.partitions) {
        const { shard } = record;
        if (!this.#partitions.has(shard) && !this.#damaged.has(shard) && holdersOf(record).has(nodeId)) {
          if (this.#current || log.group(shard)) this.#start(record, topic);
        } else if (this.#current && this.#partitions.has(shard) && !holdersOf(record).has(nodeId)) {
          this.#end(shard);
          this.#options.routing.left(shard);
        }
      }
    }
    for (const shard of [...this.#partitions.keys()]) {
      if (metadata.topicOfShard.has(shard)) continue;
      this.#end(shard);
      this.#options.routing.forget(shard);
    }
    this.#forgetTraffic();
    // What is under repair looks for itself whether this node still holds it.
    for (const shard of [...this.#damaged]) {
      if (!this.#current || this.#holds(shard) || this.repairs.isUnderWay(shard)) continue;
      this.#damaged.delete(shard);
      log.remove(shard);
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** Of topics that are gone. */
  #forgetTraffic(): void {
    const { topics } = this.#options.metadata;
    if (this.#traffic.size <= topics.size) return;
    const ids = new Set([...topics.values()].map(({ topicId }) => topicId));
    for (const id of this.#traffic.keys()) if (!ids.has(id)) this.#traffic.delete(id);
  }

  /** The metadata here is as new as any was when this node began. */
  metadataIsCurrent(): void {
    this.#current = true;
    this.reconcile();
    this.#isBeforeStart = false;
    this.#removeOrphans();
  }

  /** Something of a partition that runs here cannot be read any more. */
  #noticed(shard: number, reason: string): void {
    const partition = this.#partitions.get(shard);
    if (partition && this.repairs.start(shard, reason)) partition.damaged();
  }

  /** Who else holds it; nobody if this node does not, and is not about to. */
  #othersOf(shard: number): readonly NodeId[] {
    const record = this.#recordOf(shard);
    const { nodeId } = this.#options;
    return record && holdersOf(record).has(nodeId) ? record.replicas.filter((node) => node !== nodeId) : [];
  }

  #holds(shard: number): boolean {
    const record = this.#recordOf(shard);
    return record !== undefined && holdersOf(record).has(this.#options.nodeId);
  }

  #recordOf(shard: number): PartitionRecord | undefined {
    return this.#options.metadata.topicOfShard.get(shard)?.partitions.find((record) => record.shard === shard);
  }

  /** Ends what runs of it; its bytes are somebody else's business. */
  #retire(shard: number): void {
    this.#damaged.add(shard);
    this.#partitions.get(shard)?.close();
    this.#partitions.delete(shard);
    this.#options.host.retire(shard);
  }

  /** Gives back the bytes of groups that were deleted, or moved elsewhere, while this node was away. */
  #removeOrphans(): void {
    const { log, metadata, nodeId } = this.#options;
    const held = new Set<number>();
    for (const topic of metadata.topics.values()) {
      for (const record of topic.partitions) if (holdersOf(record).has(nodeId)) held.add(record.shard);
    }
    const known = [...log.groups()].map(({ group }) => group);
    for (const group of known) {
      if (group >= FIRST_PARTITION_SHARD && !held.has(group)) log.remove(group);
    }
  }

  #start(record: PartitionRecord, topic: TopicRecord): void {
    const { runtime, host, log, memory, metadata, nodeId, damages, officeOf } = this.#options;
    const { shard, initial, replicas } = record;
    const found = log.group(shard);
    const unknown = this.#isBeforeStart && mayHaveLostGroups(log) ? "perhaps all" : undefined;
    const lost = damages.reasonOf(shard) ?? (found ? lostOf(found) : unknown);
    if (lost !== undefined) return this.#refuse(shard, lost);
    const wasHere = record.left?.includes(nodeId) === true;
    if (!found && wasHere && !memory.isDoubted(shard)) return this.#doubt(shard);
    const machine = new PartitionMachine();
    const replica = host.add({
      group: shard,
      configuration: { voters: initial, outgoing: [], learners: [], learnersNext: [] },
      machine,
      vouched: !memory.doubts(shard),
      had: this.#had.get(shard),
      campaign: replicas[0] === nodeId && initial.includes(nodeId),
      trimAtCheckpoint: false,
      commitNoticeMs: COMMIT_NOTICE_MS,
    });
    const recordBytesMax = () => metadata.topicOfShard.get(shard)?.recordBytesMax ?? 0;
    const office = officeOf(shard);
    const traffic = this.trafficOf(topic);
    this.#partitions.set(
      shard,
      new Partition({ runtime, host, log, replica, machine, office, catchUp: this.#catchUp, recordBytesMax, traffic }),
    );
  }

  /** That it may have forgotten something must be on the disk before the group begins. */
  #doubt(shard: number): void {
    if (this.#doubting.has(shard)) return;
    const { memory, runtime } = this.#options;
    const done = () => {
      this.#doubting.delete(shard);
      this.reconcile();
    };
    this.#doubting.add(shard);
    memory.doubt(shard).then(done, (error: unknown) => {
      runtime.log.write("warn", "a replica cannot move in yet", { group: shard, reason: String(error) });
      runtime.timers.after(RETRY_MS, done);
    });
  }

  #refuse(shard: number, lost: string): void {
    this.#damaged.add(shard);
    if (this.repairs.start(shard, lost)) return;
    this.#options.runtime.log.write("error", "a replica is damaged and takes no part", { group: shard, lost });
  }

  #end(shard: number): void {
    this.#partitions.get(shard)?.close();
    this.#partitions.delete(shard);
    this.#options.host.remove(shard);
  }
}

/** Keeps this node's partitions as the metadata says: starts the replicas it should hold, ends those it should not. */
import type { Log } from "../log/types.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Host } from "../../shards/host/host.ts";
import { METADATA_SHARD, type MetadataState } from "../../shards/metadata/state.ts";
import type { DeadLetterOffice } from "../../shards/partition/dead-letter-forwarder.ts";
import { PartitionMachine } from "../../shards/partition/machine.ts";
import { Partition } from "../../shards/partition/partition.ts";
import { lostOf, mayHaveLostGroups } from "./damage.ts";
import type { Routing } from "./routing.ts";

/** Followers of a partition are not read. */
const COMMIT_NOTICE_MS = 200;

export interface PartitionsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly log: Log;
  readonly metadata: MetadataState;
  readonly routing: Routing;
  readonly officeOf: (shard: number) => DeadLetterOffice;
}

export class Partitions {
  readonly #options: PartitionsOptions;
  readonly #partitions = new Map<number, Partition>();
  readonly #damaged = new Set<number>();
  #current = false;
  /** The topics known by now may be older than this run of the node. */
  #isBeforeStart = true;

  constructor(options: PartitionsOptions) {
    this.#options = options;
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

  /**
   * Makes it so. Cheap when nothing changed. Until the metadata is known to be current, groups that this disk knows
   * nothing of wait: a restarted node applies again what was long undone, and a group that was deleted since must not
   * begin anew.
   */
  reconcile(): void {
    const { nodeId, metadata, log } = this.#options;
    for (const topic of metadata.topics.values()) {
      for (const { shard, replicas } of topic.partitions) {
        if (!replicas.includes(nodeId) || this.#partitions.has(shard) || this.#damaged.has(shard)) continue;
        if (this.#current || log.group(shard)) this.#start(shard, replicas);
      }
    }
    for (const shard of [...this.#partitions.keys()]) {
      if (!metadata.topicOfShard.has(shard)) this.#end(shard);
    }
  }

  /** The metadata here is as new as any was when this node began. */
  metadataIsCurrent(): void {
    this.#current = true;
    this.reconcile();
    this.#isBeforeStart = false;
    this.#removeOrphans();
  }

  /** Gives back the bytes of groups whose topic was deleted while this node was away. */
  #removeOrphans(): void {
    const { log, metadata } = this.#options;
    const known = [...log.groups()].map(({ group }) => group);
    for (const group of known) {
      if (group !== METADATA_SHARD && !metadata.topicOfShard.has(group)) log.remove(group);
    }
  }

  #start(shard: number, replicas: readonly NodeId[]): void {
    const { runtime, host, log, metadata, nodeId, officeOf } = this.#options;
    const found = log.group(shard);
    const lost = found ? lostOf(found) : this.#isBeforeStart && mayHaveLostGroups(log) ? "perhaps all" : undefined;
    if (lost !== undefined) return this.#refuse(shard, lost);
    const machine = new PartitionMachine();
    const replica = host.add({
      group: shard,
      configuration: { voters: replicas, outgoing: [], learners: [], learnersNext: [] },
      machine,
      campaign: replicas[0] === nodeId,
      trimAtCheckpoint: false,
      commitNoticeMs: COMMIT_NOTICE_MS,
    });
    const recordBytesMax = () => metadata.topicOfShard.get(shard)?.recordBytesMax ?? 0;
    const office = officeOf(shard);
    this.#partitions.set(shard, new Partition({ runtime, host, log, replica, machine, office, recordBytesMax }));
  }

  #refuse(shard: number, lost: string): void {
    this.#damaged.add(shard);
    this.#options.runtime.log.write("error", "a replica is damaged and takes no part", { group: shard, lost });
  }

  #end(shard: number): void {
    this.#partitions.delete(shard);
    this.#options.routing.forget(shard);
    this.#options.host.remove(shard);
  }
}

/** Keeps this node's partitions as the metadata says: starts the replicas it should hold, ends those it should not. */
import type { IndexRange, Log } from "../log/types.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Host } from "../../shards/host/host.ts";
import { METADATA_SHARD, type MetadataState } from "../../shards/metadata/state.ts";
import { PartitionMachine } from "../../shards/partition/machine.ts";
import { Partition } from "../../shards/partition/partition.ts";
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
}

export class Partitions {
  readonly #options: PartitionsOptions;
  readonly #partitions = new Map<number, Partition>();
  readonly #damaged = new Set<number>();

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

  /** Makes it so. Cheap when nothing changed. */
  reconcile(): void {
    const { nodeId, metadata } = this.#options;
    for (const topic of metadata.topics.values()) {
      for (const { shard, replicas } of topic.partitions) {
        if (replicas.includes(nodeId) && !this.#partitions.has(shard)) this.#start(shard, replicas);
      }
    }
    for (const shard of [...this.#partitions.keys()]) {
      if (!metadata.topicOfShard.has(shard)) this.#end(shard);
    }
  }

  /** Gives back the bytes of groups whose topic was deleted while this node was away. Only with current metadata. */
  removeOrphans(): void {
    const { log, metadata } = this.#options;
    const known = [...log.groups()].map(({ group }) => group);
    for (const group of known) {
      if (group !== METADATA_SHARD && !metadata.topicOfShard.has(group)) log.remove(group);
    }
  }

  #start(shard: number, replicas: readonly NodeId[]): void {
    const { host, log, metadata, nodeId } = this.#options;
    const damage = log.group(shard)?.damage ?? [];
    if (damage.length > 0) return this.#refuse(shard, damage);
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
    this.#partitions.set(shard, new Partition({ host, log, replica, machine, recordBytesMax }));
  }

  /** Entries of it were lost on this disk: it must not vote, and others have them. */
  #refuse(shard: number, damage: readonly IndexRange[]): void {
    if (this.#damaged.has(shard)) return;
    this.#damaged.add(shard);
    const lost = damage.map(({ first, last }) => `${first}-${last}`).join(", ");
    this.#options.runtime.log.write("error", "a replica is damaged and takes no part", { group: shard, lost });
  }

  #end(shard: number): void {
    this.#partitions.delete(shard);
    this.#options.routing.forget(shard);
    this.#options.host.remove(shard);
  }
}

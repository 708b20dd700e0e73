/** What the metadata shard replicates: nodes, topics, partitions and their replicas, producer-id blocks. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { Retention } from "../../src/wire/admin-commands.ts";
import type { NodeId } from "../../src/raft/types.ts";

export interface NodeRecord {
  readonly id: NodeId;
  readonly host: string;
  readonly clientPort: number;
  readonly adminPort: number;
  /** Was added to a cluster that was there; absent in those that the cluster was made with. */
  readonly added?: true;
}

/** A node that was added: where the others reach it. */
export interface AddedNode {
  readonly id: NodeId;
  readonly host: string;
  readonly port: number;
}

export interface PartitionRecord {
  /** The Raft group that is this partition; never used again for another. */
  readonly shard: number;
  /** Who took part when it was made: the configuration before the first one in its log. */
  readonly initial: readonly NodeId[];
  /** The first one is where its leader should be. */
  readonly replicas: readonly NodeId[];
  /** Where the replicas are on their way to; empty when they stay. */
  readonly target: readonly NodeId[];
  /**
   * Earlier targets of a move that was redirected on its way: they may be members by now, with a vote that is needed, and
   * keep what they have until the move is done.
   */
  readonly passed?: readonly NodeId[];
  /** Who has held a replica and given it up, ever: should it come back, it has forgotten what it promised. */
  readonly left?: readonly NodeId[];
}

/** All nodes that hold a replica, or are about to. */
export function holdersOf({ replicas, target, passed = [] }: PartitionRecord): Set<NodeId> {
  return new Set([...replicas, ...target, ...passed]);
}

export interface TopicRecord {
  readonly name: string;
  readonly topicId: number;
  readonly replicas: number;
  readonly retention: Retention;
  readonly recordBytesMax: number;
  readonly partitions: readonly PartitionRecord[];
}

/** The metadata shard's own group. */
export const METADATA_SHARD = 1;

/** Shards below are kept for the system: metadata, coordinators. */
export const FIRST_PARTITION_SHARD = 1_000;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

/** The state as plain data. Changed only by `applyCommand`; what it holds is replaced, never edited. */
export class MetadataState {
  /** Raft index of the last command applied. */
  revision = 0;
  /** Those that have told where clients reach them. */
  readonly nodes = new Map<NodeId, NodeRecord>();
  /** Beside those that the cluster was made with. They follow the metadata, and have no vote on it. */
  readonly added = new Map<NodeId, AddedNode>();
  /** Are given no more replicas, and those that they have go elsewhere. */
  readonly draining = new Set<NodeId>();
  readonly topics = new Map<string, TopicRecord>();
  readonly topicOfShard = new Map<number, TopicRecord>();
  /** Partitions whose replicas are on the move, by shard. */
  readonly moving = new Map<number, PartitionRecord>();
  nextShard = FIRST_PARTITION_SHARD;
  nextTopicId = 1;
  nextProducerId = 1;

  addTopic(topic: TopicRecord): void {
    this.topics.set(topic.name, topic);
    for (const partition of topic.partitions) {
      this.topicOfShard.set(partition.shard, topic);
      if (partition.target.length > 0) this.moving.set(partition.shard, partition);
      else this.moving.delete(partition.shard);
    }
  }

  removeTopic(topic: TopicRecord): void {
    this.topics.delete(topic.name);
    for (const { shard } of topic.partitions) {
      this.topicOfShard.delete(shard);
      this.moving.delete(shard);
    }
  }

  encode(): Uint8Array {
    return encoder.encode([
      this.revision,
      this.nextShard,
      this.nextTopicId,
      this.nextProducerId,
      [...this.nodes.values()],
      [...this.topics.values()],
      [...this.added.values()],
      [...this.draining],
    ]);
  }

  /** Only for bytes of {@link encode} whose checksum matched. */
  load(bytes: Uint8Array): void {
    const decoded = decoder.decode(bytes) as [
      number,
      number,
      number,
      number,
      NodeRecord[],
      TopicRecord[],
      AddedNode[]?,
      NodeId[]?,
    ];
    // What was written before nodes could be added has six.
    const [revision, nextShard, nextTopicId, nextProducerId, nodes, topics, added = [], draining = []] = decoded;
    this.revision = revision;
    this.nextShard = nextShard;
    this.nextTopicId = nextTopicId;
    this.nextProducerId = nextProducerId;
    this.nodes.clear();
    this.topics.clear();
    this.topicOfShard.clear();
    this.moving.clear();
    this.added.clear();
    this.draining.clear();
    for (const node of added) this.added.set(node.id, node);
    for (const node of draining) this.draining.add(node);
    for (const node of nodes) this.nodes.set(node.id, node);
    for (const topic of topics) this.addTopic(topic);
  }
}

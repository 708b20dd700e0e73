/** What the client knows of topics: which shard each partition is, and who probably leads it. */
import { RaftlineError } from "../wire/errors.ts";
import type { PartitionMetadata, TopicMetadata } from "../wire/responses.ts";

/** One partition's way. The object stays the same while leaders change; fields are updated in place. */
export class Route {
  readonly topic: string;
  readonly partition: number;
  readonly shard: number;
  /** Node that probably leads; 0: not known. */
  leader = 0;
  /** Term of the newest leader that metadata told of. */
  leaderTerm = 0;

  constructor(topic: string, partition: number, shard: number) {
    this.topic = topic;
    this.partition = partition;
    this.shard = shard;
  }

  /** Metadata may come from a node that is behind: an older term does not replace what is in use. */
  learn({ leader, leaderTerm }: PartitionMetadata): void {
    if (leader === 0 || (leaderTerm < this.leaderTerm && this.leader !== 0)) return;
    this.leader = leader;
    this.leaderTerm = Math.max(leaderTerm, this.leaderTerm);
  }

  /** `node` turned out not to lead it. `hint`: who may, 0 if not known. */
  refused(node: number, hint: number): void {
    if (this.leader !== node && this.leader !== 0) return;
    this.leader = hint === node ? 0 : hint;
  }
}

/** One topic under one id: a topic that is deleted and created again gets another view. */
export class TopicView {
  readonly name: string;
  readonly topicId: number;
  readonly #routes: Route[] = [];
  /** It was deleted, or replaced by another of the same name. */
  gone = false;
  /** Largest record the topic takes. */
  recordBytesMax = Infinity;

  constructor(metadata: TopicMetadata) {
    this.name = metadata.name;
    this.topicId = metadata.topicId;
    this.learn(metadata);
  }

  /** By partition. More may come, at the end. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Of these partitions, in their order; undefined: of all. @throws {RaftlineError} `UNKNOWN_PARTITION` */
  routesOf(partitions: readonly number[] | undefined): readonly Route[] {
    if (partitions === undefined) return [...this.#routes];
    return partitions.map((partition) => {
      const route = this.routes[partition];
      if (route !== undefined) return route;
      throw new RaftlineError("UNKNOWN_PARTITION", `topic "${this.name}" has no partition ${partition}`);
    });
  }

  learn(metadata: TopicMetadata): void {
    const { recordBytesMax } = metadata.settings;
    if (typeof recordBytesMax === "number") this.recordBytesMax = recordBytesMax;
    metadata.partitions.forEach((partition, number) => {
      if (number === this.#routes.length) this.#routes.push(new Route(this.name, number, partition.shard));
      this.#routes[number]!.learn(partition);
    });
  }
}

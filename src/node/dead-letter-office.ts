/** How a partition led here writes into another topic, wherever that is led. */
import type { MetadataState } from "../../shards/metadata/state.ts";
import type { PeerRequests } from "../../shards/host/peer-requests.ts";
import { LETTER_LIMITS } from "../../shards/partition/dead-letter.ts";
import type { DeadLetterOffice } from "../../shards/partition/dead-letter-forwarder.ts";
import type { Partition } from "../../shards/partition/partition.ts";
import type { NodeId } from "../raft/types.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { ProducerIds } from "./producer-ids.ts";
import type { Routing } from "./routing.ts";

/** Under this name a node stores a batch for another. */
const COMMAND = "produce";
const FORWARD_MS_MAX = 5_000;

export interface DeadLetterOfficesOptions {
  readonly nodeId: NodeId;
  readonly metadata: MetadataState;
  readonly routing: Routing;
  readonly requests: PeerRequests;
  readonly producerIds: ProducerIds;
  readonly partitionOf: (shard: number) => Partition | undefined;
}

export class DeadLetterOffices {
  readonly #options: DeadLetterOfficesOptions;

  constructor(options: DeadLetterOfficesOptions) {
    this.#options = options;
    options.requests.handle(COMMAND, async (args) => {
      const [shard, bytes] = args as [number, Uint8Array];
      // Its own: what came in a frame is a view of it, and the leader stamps the batch's place into it.
      const code = await this.#produce(shard, bytes.slice());
      if (code !== "") throw new RaftlineError(code, `shard ${shard}: ${code}`);
      return null;
    });
  }

  of(shard: number): DeadLetterOffice {
    const { metadata, producerIds } = this.#options;
    const origin = () => {
      const topic = metadata.topicOfShard.get(shard);
      const partition = topic?.partitions.findIndex((one) => one.shard === shard) ?? -1;
      return { topic: topic?.name ?? "", partition };
    };
    return {
      origin,
      write: (topic, bytes) => this.#write(topic, origin().partition, bytes),
      nextProducerId: () => producerIds.next(),
    };
  }

  async #write(topic: string, fromPartition: number, bytes: Uint8Array): Promise<string> {
    const { metadata, routing, nodeId, requests } = this.#options;
    const partitions = metadata.topics.get(topic)?.partitions;
    if (partitions === undefined || fromPartition < 0) return "UNKNOWN_TOPIC";
    const { shard } = partitions[fromPartition % partitions.length]!;
    const { node } = routing.leaderOf(shard);
    if (node === 0) return "NO_LEADER";
    if (node === nodeId) return this.#produce(shard, bytes);
    return (await requests.ask(node, COMMAND, [shard, bytes], FORWARD_MS_MAX)).code;
  }

  #produce(shard: number, bytes: Uint8Array): Promise<string> {
    const partition = this.#options.partitionOf(shard);
    if (partition === undefined) return Promise.resolve("NOT_LEADER");
    return new Promise((resolve) => partition.produce(bytes, resolve, LETTER_LIMITS));
  }
}

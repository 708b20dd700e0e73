/**
 * Which nodes there are. Those that the cluster was made with (`nodes` of the configuration: the founders) vote on the metadata and
 * hold the coordinators, for good; the others were added later, in the metadata, and hold partitions.
 */
import type { NodeId } from "../raft/types.ts";
import type { Address } from "../runtime/network.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { MetadataState } from "../../shards/metadata/state.ts";

export class Members {
  readonly founders: readonly NodeId[];
  readonly #self: NodeId;
  readonly #metadata: MetadataState;

  constructor(self: NodeId, founders: readonly NodeId[], metadata: MetadataState) {
    this.#self = self;
    this.founders = founders;
    this.#metadata = metadata;
  }

  has(node: NodeId): boolean {
    return this.founders.includes(node) || this.#metadata.added.has(node);
  }

  /** @throws {RaftlineError} `UNAVAILABLE`: this node is not added yet, or was removed, and what it knows is of no use */
  refuseStranger(): void {
    if (!this.has(this.#self)) throw new RaftlineError("UNAVAILABLE", this.strangerText());
  }

  strangerText(): string {
    return `node ${this.#self} is not in the cluster, as far as it knows: ask another`;
  }

  all(): NodeId[] {
    return [...new Set([...this.founders, ...this.#metadata.added.keys()])];
  }

  /** Those that may be given replicas: an added one once it has been here, and the founders have let it in. */
  takers(): NodeId[] {
    const { draining, added, nodes } = this.#metadata;
    return this.all().filter((node) => !draining.has(node) && (!added.has(node) || nodes.has(node)));
  }

  /** Of those that were added. */
  addresses(): Map<NodeId, Address> {
    return new Map([...this.#metadata.added.values()].map(({ id, host, port }) => [id, { host, port }]));
  }
}

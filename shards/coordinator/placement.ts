/** Where the coordinators are: from the nodes that the cluster began with, the same wherever it is asked. */
import type { NodeId } from "../../src/raft/types.ts";
import { COORDINATORS } from "../../src/wire/limits.ts";

/** The coordinators' own groups: `FIRST_COORDINATOR_SHARD` up to the number of coordinators. */
export const FIRST_COORDINATOR_SHARD = 2;
const REPLICAS_MAX = 3;

/** The first one is where its leader should be. */
export function coordinatorReplicas(nodes: readonly NodeId[], shard: number): NodeId[] {
  const sorted = [...nodes].sort((a, b) => a - b);
  const first = shard % sorted.length;
  return [...sorted.slice(first), ...sorted.slice(0, first)].slice(0, REPLICAS_MAX);
}

/** Shards of the coordinators that have a replica on `node`. */
export function coordinatorsOn(node: NodeId, nodes: readonly NodeId[]): number[] {
  return Array.from({ length: COORDINATORS }, (_, number) => FIRST_COORDINATOR_SHARD + number)
    .filter((shard) => coordinatorReplicas(nodes, shard).includes(node));
}

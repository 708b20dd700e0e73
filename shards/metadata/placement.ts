import type { NodeId } from "../../src/raft/types.ts";
import type { MetadataState } from "./state.ts";

/**
 * Spreads a new topic's replicas: each partition's leader goes to the node that so far leads least, its followers to
 * those that hold least. Returns undefined when there are fewer nodes than replicas.
 */
export function placePartitions(
  state: MetadataState,
  nodes: readonly NodeId[],
  partitions: number,
  replicas: number,
): NodeId[][] | undefined {
  if (replicas > nodes.length) return undefined;
  const load = new Map<NodeId, { leads: number; holds: number }>();
  for (const node of nodes) load.set(node, { leads: 0, holds: 0 });
  for (const topic of state.topics.values()) {
    for (const partition of topic.partitions) count(load, partition.replicas);
  }
  return Array.from({ length: partitions }, () => {
    const leader = least(nodes, (node) => [load.get(node)!.leads, load.get(node)!.holds, node]);
    const chosen = [leader];
    while (chosen.length < replicas) {
      const others = nodes.filter((node) => !chosen.includes(node));
      chosen.push(least(others, (node) => [load.get(node)!.holds, (node - leader + nodes.length) % nodes.length]));
    }
    count(load, chosen);
    return chosen;
  });
}

function count(load: Map<NodeId, { leads: number; holds: number }>, replicas: readonly NodeId[]): void {
  replicas.forEach((node, position) => {
    const entry = load.get(node);
    if (!entry) return;
    entry.holds += 1;
    if (position === 0) entry.leads += 1;
  });
}

/** The node whose weights are lowest, compared one after the other. */
function least(nodes: readonly NodeId[], weights: (node: NodeId) => readonly number[]): NodeId {
  return nodes.reduce((best, node) => (isLess(weights(node), weights(best)) ? node : best));
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]!;
  }
  return false;
}

import type { NodeId } from "../../src/raft/types.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import type { MetadataState } from "./state.ts";

/** In the order in which they are chosen. A full one takes no records until it has room; one that is down serves nobody. */
export type Standing = "up" | "full" | "down";

const RANK: Readonly<Record<Standing, number>> = { up: 0, full: 1, down: 2 };

/** `writeMs`: how long a write takes on each node that is alive; Infinity where the disk is full. */
export function standingsOf(nodes: readonly NodeId[], writeMs: ReadonlyMap<NodeId, number>): Map<NodeId, Standing> {
  return new Map(nodes.map((node) => {
    const ms = writeMs.get(node);
    return [node, ms === undefined ? "down" : ms === Infinity ? "full" : "up"];
  }));
}

/**
 * Spreads a new topic's replicas: each partition's leader goes to the node that so far leads least, its followers to
 * those that hold least; to one that stands worse only when there is no other.
 * @throws {RaftlineError} `NOT_ENOUGH_NODES`: fewer than replicas, or no majority of the replicas would be up
 */
export function placePartitions(
  state: MetadataState,
  standings: ReadonlyMap<NodeId, Standing>,
  partitions: number,
  replicas: number,
): NodeId[][] {
  const nodes = [...standings.keys()];
  const down = nodes.filter((node) => standings.get(node) === "down");
  if (replicas > nodes.length) {
    throw new RaftlineError("NOT_ENOUGH_NODES", `${replicas} replicas want as many nodes; there are ${nodes.length}`);
  }
  if (nodes.length - down.length <= replicas / 2) {
    const message = `of ${replicas} replicas no majority would be up: nodes ${down.join(", ")} are not reached`;
    throw new RaftlineError("NOT_ENOUGH_NODES", message);
  }
  const load = loadOf(state, nodes);
  const rank = (node: NodeId) => RANK[standings.get(node)!];
  return Array.from({ length: partitions }, () => {
    const leader = least(nodes, (node) => [rank(node), load.get(node)!.leads, load.get(node)!.holds, node]);
    const chosen = [leader];
    while (chosen.length < replicas) {
      const others = nodes.filter((node) => !chosen.includes(node));
      const distance = (node: NodeId) => (node - leader + nodes.length) % nodes.length;
      chosen.push(least(others, (node) => [rank(node), load.get(node)!.holds, distance(node)]));
    }
    count(load, chosen);
    return chosen;
  });
}

export interface NodeLoad {
  leads: number;
  holds: number;
}

/** As it will be when all moves are done. */
export function loadOf({ topics }: MetadataState, nodes: readonly NodeId[]): Map<NodeId, NodeLoad> {
  const load = new Map<NodeId, NodeLoad>();
  for (const node of nodes) load.set(node, { leads: 0, holds: 0 });
  for (const { partitions } of topics.values()) {
    for (const { replicas, target } of partitions) count(load, target.length > 0 ? target : replicas);
  }
  return load;
}

/** Adds a partition's replicas, or takes them away. */
export function count(load: ReadonlyMap<NodeId, NodeLoad>, replicas: readonly NodeId[], by: 1 | -1 = 1): void {
  replicas.forEach((node, position) => {
    const entry = load.get(node);
    if (!entry) return;
    entry.holds += by;
    if (position === 0) entry.leads += by;
  });
}

/** The node whose weights are lowest, compared one after the other. */
export function least(nodes: readonly NodeId[], weights: (node: NodeId) => readonly number[]): NodeId {
  return nodes.reduce((best, node) => (isLess(weights(node), weights(best)) ? node : best));
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]!;
  }
  return false;
}

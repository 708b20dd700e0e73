/** Changes of membership in the middle of it: partitions are told to be elsewhere, and moves on their way are redirected. */
import type { SimulatedCluster } from "./cluster.ts";
import type { SeededRandom } from "./random.ts";

/** Asks a node that runs; whether it can be done, and how far it comes before the next fault, is the cluster's business. */
export function strikeMove(cluster: SimulatedCluster, random: SeededRandom, say: (text: string) => void): void {
  const node = cluster.nodeOf(random.pick(cluster.ids));
  const topics = [...node?.metadata.topics.values() ?? []];
  if (!node || topics.length === 0) return;
  const { name, partitions } = random.pick(topics);
  const partition = random.integer(partitions.length);
  const replicas = drawReplicas(cluster.ids, partitions[partition]!.initial.length, random);
  say(`${name}/${partition} shall be on nodes ${replicas.join(", ")}`);
  const asked = node.admin.execute({ command: "moveReplicas", args: { name, partition, replicas } });
  asked.catch((error: unknown) => say(`${name}/${partition} is not moved: ${String(error)}`));
}

/** As many as there were at first: with fewer, one bad disk would be too many. */
function drawReplicas(nodes: readonly number[], count: number, random: SeededRandom): number[] {
  const left = [...nodes];
  return Array.from({ length: count }, () => left.splice(random.integer(left.length), 1)[0]!);
}

/** Whether all nodes that run know of no partition that is still on its way, and could come where it shall be. */
export function allMoved(cluster: SimulatedCluster): boolean {
  const canHold = (id: number, shard: number) => cluster.nodeOf(id)?.partitions.isDamaged(shard) === false;
  return cluster.ids.every((id) => {
    const moving = [...cluster.nodeOf(id)?.metadata.moving.values() ?? []];
    return !moving.some(({ shard, target }) => target.every((node) => canHold(node, shard)));
  });
}

/** Whether no replica that takes part anywhere lacks what another one has applied. */
export function haveTheSame(cluster: SimulatedCluster): boolean {
  const appliedOf = new Map<number, Set<number>>();
  for (const id of cluster.ids) {
    for (const { group, raft, closed } of cluster.nodeOf(id)?.host.replicas() ?? []) {
      if (closed) continue;
      const applied = appliedOf.get(group) ?? new Set();
      appliedOf.set(group, applied.add(raft.applied));
    }
  }
  return [...appliedOf.values()].every((applied) => applied.size === 1);
}

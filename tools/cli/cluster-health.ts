/** What of a cluster is not as it should be. */
import type { ClusterDescription, PartitionDescription, TopicDescription } from "../../src/wire/admin-commands.ts";

export interface NodeHealth {
  readonly id: number;
  readonly address: string;
  readonly alive: boolean;
  /** Not one of those that the cluster was made with. */
  readonly added: boolean;
  readonly draining: boolean;
  /** Partitions that it leads, and replicas that it holds or is about to. */
  readonly leads: number;
  readonly replicas: number;
}

export interface ClusterHealth {
  readonly clusterId: string;
  /** 0: nobody, or not known. */
  readonly metadataLeader: number;
  readonly topics: number;
  readonly partitions: number;
  readonly nodes: readonly NodeHealth[];
  /** Named `TOPIC/PARTITION`. */
  readonly leaderless: readonly string[];
  /** Some of their replicas are on nodes that are away. */
  readonly underReplicated: readonly { readonly partition: string; readonly away: readonly number[] }[];
  readonly moving: readonly { readonly partition: string; readonly to: readonly number[] }[];
}

export function healthOf(cluster: ClusterDescription, topics: readonly TopicDescription[]): ClusterHealth {
  const { clusterId, metadataLeader } = cluster;
  const partitions = topics.flatMap(({ name, partitions: all }) =>
    all.map((one) => ({ name: nameOf(name, one), ...one }))
  );
  const alive = new Set(cluster.nodes.filter((node) => node.alive).map(({ id }) => id));
  const underReplicated = partitions.map(({ name, replicas }) => {
    return { partition: name, away: replicas.filter((node) => !alive.has(node)) };
  });
  return {
    clusterId,
    metadataLeader,
    topics: topics.length,
    partitions: partitions.length,
    nodes: cluster.nodes.map(({ id, host, port, added = false, draining = false }) => ({
      id,
      address: `${host}:${port}`,
      alive: alive.has(id),
      added,
      draining,
      leads: partitions.filter(({ leader }) => leader === id).length,
      replicas: partitions.filter((partition) => holdersOf(partition).includes(id)).length,
    })),
    leaderless: partitions.filter(({ leader }) => leader === 0).map(({ name }) => name),
    underReplicated: underReplicated.filter(({ away }) => away.length > 0),
    moving: partitions.filter(({ target }) => target.length > 0).map(({ name, target }) => ({
      partition: name,
      to: target,
    })),
  };
}

/** Those that hold it, are about to, or are to give it up. */
function holdersOf({ replicas, target, passed = [] }: PartitionDescription): number[] {
  return [...replicas, ...target, ...passed];
}

function nameOf(topic: string, { partition }: { readonly partition: number }): string {
  return `${topic}/${partition}`;
}

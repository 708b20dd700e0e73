/** What Prometheus scrapes. Sums by topic, not by partition: the number of series must not follow the partitions. */
import { Counter, Gauge, Registry } from "prom-client";
import type { RaftlineNode } from "../node/node.ts";
import type { MemoryUse } from "../runtime/runtime.ts";
import type { TopicRecord } from "../../shards/metadata/state.ts";
import type { Traffic } from "../../shards/partition/partition.ts";

export function createMetrics(node: RaftlineNode): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name: `raftline_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number) => {
    new Counter({
      name: `raftline_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  gauge("ready", "1 when this node serves.", () => node.isReady ? 1 : 0);
  gauge("partitions", "Partition replicas on this node.", () => node.partitions.size);
  gauge("partitions_led", "Partitions this node leads.", () => count(node, ({ leads }) => leads));
  gauge(
    "partitions_under_replicated",
    "Partitions led here of which a replica is away, or does not keep up.",
    () => count(node, (partition) => partition.leads && !isReplicated(node, partition)),
  );
  gauge(
    "partitions_leaderless",
    "Partitions held here that have no leader that this node knows.",
    () => count(node, ({ leaderHint }) => leaderHint === 0),
  );
  gauge(
    "partitions_moving",
    "Partitions of the cluster whose replicas are on their way.",
    () => node.metadata.moving.size,
  );
  gauge("nodes_away", "Nodes of the cluster that are not reached from here.", () => node.away.length);
  counter("leader_changes", "Elections that gave a group held here a leader.", () => node.leaderChanges);
  gauge("client_connections", "Connections of clients.", () => node.connections.open);
  counter("client_connections_refused", "Those turned away, for there were too many.", () => node.connections.refused);
  gauge("metadata_revision", "Raft index of the last metadata command applied here.", () => node.metadata.revision);
  gauge("log_pending_bytes", "Bytes that wait for the disk.", () => node.log.pendingBytes);
  gauge("disk_write_milliseconds", "How long a write of the log takes just now.", () => node.log.writeMs);
  gauge(
    "disk_slow",
    "1 when the disk is so slow, or full, that this node leads nothing.",
    () => node.balance.hasSlowDisk ? 1 : 0,
  );
  gauge("disk_full", "1 when the disk is full: new batches are refused here.", () => node.log.full ? 1 : 0);
  counter(
    "replicas_damaged",
    "Replicas found damaged here since the start.",
    () => node.partitions.repairs.damaged + node.stateRepairs.damaged,
  );
  counter(
    "replicas_repaired",
    "Those that began anew, or were written again.",
    () => node.partitions.repairs.begun + node.stateRepairs.repaired,
  );
  counter("log_compacted_bytes", "Bytes that compaction has written anew.", () => node.log.compactedBytes);
  gauge("proposed_bytes", "Bytes proposed here and not yet committed.", () => node.host.proposedBytes);
  gauge("tail_cache_bytes", "Bytes of entries kept in memory.", () => node.host.tailBytes);
  byTopic(node, registry);
  byGroup(node, registry);
  memory(node, registry);
  return registry;
}

/** By the names that dashboards for Node.js know. */
function memory(node: RaftlineNode, registry: Registry): void {
  const gauge = (name: string, help: string, kind: keyof MemoryUse) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(node.runtime.memory()[kind]);
      },
    });
  };
  gauge("process_resident_memory_bytes", "Memory of this process.", "resident");
  gauge("nodejs_heap_size_total_bytes", "Heap that is reserved.", "heapReserved");
  gauge("nodejs_heap_size_used_bytes", "Heap in use, garbage included.", "heapUsed");
  gauge("nodejs_external_memory_bytes", "Outside of the heap: slabs, frames, batches.", "external");
}

/** Each partition counts at its leader: the sum over all nodes is the group's. */
function byGroup(node: RaftlineNode, registry: Registry): void {
  const sum = (name: string, help: string, labels: readonly string[], read: (led: Partition) => Iterable<Sample>) => {
    new Gauge({
      name: `raftline_group_${name}`,
      help,
      labelNames: ["topic", "group", ...labels],
      registers: [registry],
      collect() {
        this.reset();
        for (const { name: topic, partitions } of node.metadata.topics.values()) {
          for (const { shard } of partitions) {
            const partition = node.partitions.get(shard);
            if (!partition?.leads) continue;
            for (const [own, count] of read(partition)) this.inc({ topic, ...own }, count);
          }
        }
      },
    });
  };
  sum("lag_records", "Records that a group has not done with, in the partitions led by this node.", [], lags);
  sum("dead_records", "Records given up that are not in the dead-letter topic yet, by why not.", ["code"], dead);
}

type Sample = readonly [labels: Record<string, string>, count: number];

function* lags({ groupTable, highWatermark }: Partition): Iterable<Sample> {
  for (const [group, lag] of groupTable.lags(highWatermark)) yield [{ group }, lag];
}

function* dead({ groupTable, groups }: Partition): Iterable<Sample> {
  for (const [group, { dead }] of groupTable.queues) yield [{ group, code: groups?.deadCode(group) ?? "" }, dead.size];
}

function byTopic(node: RaftlineNode, registry: Registry): void {
  const sumOf = (topic: TopicRecord, read: (partition: Partition) => number) => {
    const held = topic.partitions.map(({ shard }) => node.partitions.get(shard)).filter((found) => found !== undefined);
    return held.reduce((total, partition) => total + read(partition), 0);
  };
  const describe = (name: string, help: string) => ({
    name: `raftline_topic_${name}`,
    help,
    labelNames: ["topic"],
    registers: [registry],
  });
  const gauge = (name: string, help: string, read: (partition: Partition) => number) => {
    new Gauge({
      ...describe(name, help),
      collect() {
        this.reset();
        for (const topic of node.metadata.topics.values()) this.set({ topic: topic.name }, sumOf(topic, read));
      },
    });
  };
  const counter = (name: string, help: string, read: (traffic: Traffic) => number) => {
    new Counter({
      ...describe(`${name}_total`, help),
      collect() {
        this.reset();
        for (const topic of node.metadata.topics.values()) {
          this.inc({ topic: topic.name }, read(node.partitions.trafficOf(topic)));
        }
      },
    });
  };
  gauge(
    "records",
    "Records committed, in the replicas on this node.",
    (partition) => partition.highWatermark - partition.startOffset,
  );
  gauge("bytes", "Bytes of the replicas on this node.", (partition) => partition.sizeBytes);
  const since = "by this node since it began";
  counter("produced_records", `Records acknowledged to producers, ${since}.`, ({ producedRecords }) => producedRecords);
  counter("produced_bytes", `Bytes of their batches, ${since}.`, ({ producedBytes }) => producedBytes);
  counter("read_bytes", `Bytes read by consumers and queues, ${since}.`, ({ readBytes }) => readBytes);
}

/** All of its members are reached, and have what there is or are being sent it as it comes. */
function isReplicated(node: RaftlineNode, { replica: { raft } }: Partition): boolean {
  return raft.followers().every(({ peer, state, vouched }) =>
    vouched && state === "replicate" && node.peers.isAlive(peer)
  );
}

type Partition = NonNullable<ReturnType<RaftlineNode["partitions"]["get"]>>;

function count(node: RaftlineNode, test: (partition: Partition) => boolean): number {
  let found = 0;
  for (const partition of node.partitions.all()) if (test(partition)) found += 1;
  return found;
}

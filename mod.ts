/**
 * Raftline's public face.
 *
 * @example
 * ```ts
 * import { connect, startCluster } from "raftline";
 *
 * await using cluster = await startCluster({ nodes: 3 });
 * await using client = await connect(cluster.bootstrap);
 * await client.admin.createTopic("orders", { partitions: 16 });
 * const { partition, offset } = await client.producer().send("orders", { key: "42", value: "paid" });
 * ```
 */
import { adminService } from "./src/admin/app.ts";
import { type Cluster, startCluster as startNodes } from "./src/node/cluster.ts";
import { checkConfig, type NodeConfig } from "./src/node/config.ts";
import { type StartedNode, startNode as start } from "./src/node/node.ts";
import { runtimeOf } from "./src/node/runtime-of.ts";
import { createNodeRuntime } from "./src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "./src/runtime/temporary-folder.ts";

export { type Client, connect } from "./src/client/client.ts";
export type { Bootstrap, ConnectOptions } from "./src/client/options.ts";
export type { Producer, ProducerOptions, ProducerRecord, RecordPlace } from "./src/client/producer.ts";
export type { RecordCallback } from "./src/client/pending-batch.ts";
export type { Consumer } from "./src/client/consumer.ts";
export type { ConsumerOptions, TrimmedGap } from "./src/client/consumer-options.ts";
export type { ConsumerBatch, ConsumerRecord } from "./src/client/consumer-records.ts";
export type { GroupOptions, TopicPartition } from "./src/client/group-options.ts";
export type { From } from "./src/client/start-offsets.ts";
export type { Queue } from "./src/client/queue.ts";
export type { NackOptions, QueueMessage } from "./src/client/queue-message.ts";
export type { QueueOptions, RunOptions } from "./src/client/queue-options.ts";
export type { CommitPart, Cursor, Cursors } from "./src/client/cursors.ts";
export type { AdminClient } from "./src/client/admin.ts";
export type { GroupInPartition, GroupPlaceDescription, GroupResetOptions } from "./src/client/groups.ts";
export type {
  ClusterDescription,
  NodeDescription,
  PartitionDescription,
  Retention,
  TopicChanges,
  TopicDescription,
  TopicOptions,
  TopicSummary,
} from "./src/wire/admin-commands.ts";
export { type ErrorCode, RaftlineError } from "./src/wire/errors.ts";
export type { GroupPlace } from "./src/wire/group-protocol.ts";
export type { BatchReader } from "./src/records/batch-reader.ts";
export type { Bytes, Headers } from "./src/records/batch-writer.ts";
export { RecordsError } from "./src/records/errors.ts";
export type { RecordHeaders } from "./src/records/record.ts";
export { loadConfig, type NodeConfig } from "./src/node/config.ts";
export { ConfigError, NodeError } from "./src/node/errors.ts";
export type { Cluster } from "./src/node/cluster.ts";
export type { StartedNode } from "./src/node/node.ts";
export type { Address } from "./src/runtime/network.ts";
export type { TlsMaterial } from "./src/runtime/tls.ts";

export interface StartClusterOptions {
  /** 1 to 7; 3 if left out. */
  readonly nodes?: number;
  /** Where the nodes keep their data; if left out, a temporary folder that is removed when the cluster stops. */
  readonly folder?: string;
}

/**
 * Several real nodes in this process, with real disks and sockets, for tests. Resolves when they serve.
 *
 * @throws {ConfigError} `INVALID_CONFIG`
 * @example
 * ```ts
 * await using cluster = await startCluster({ nodes: 3 });
 * ```
 */
export function startCluster(options: StartClusterOptions = {}): Promise<Cluster> {
  const folder = options.folder ?? makeTemporaryFolder("raftline-cluster-");
  const cleanUp = options.folder === undefined ? () => removeFolder(folder) : undefined;
  const runtime = createNodeRuntime({ logLevel: "error" });
  return startNodes({ runtime, folder, nodes: options.nodes ?? 3, services: [adminService] }, cleanUp);
}

/**
 * One node with its admin API. Resolves when it listens; `node.whenReady()` when it serves.
 *
 * @throws {ConfigError} `INVALID_CONFIG`
 * @throws {NodeError} `FOREIGN_DATA_FOLDER`, …
 * @throws {DiskError} `LOCKED`, …
 * @throws {NetworkError} `ADDRESS_IN_USE`, …
 * @example
 * ```ts
 * const started = await startNode({ nodeId: 1, clusterId: "demo", dataFolder: "./data", nodes: [{ id: 1, host: "127.0.0.1", port: 7501 }] });
 * await started.stop();
 * ```
 */
export function startNode(config: NodeConfig): Promise<StartedNode> {
  const checked = checkConfig(config);
  return start(checked, { runtime: runtimeOf(checked, "warn") }, [adminService]);
}

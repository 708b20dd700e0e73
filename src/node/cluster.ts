/** Several real nodes in this process, on ports the system chooses: for tests. */
import type { NodeId } from "../raft/types.ts";
import type { Address } from "../runtime/network.ts";
import type { LogLimits } from "../log/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { HostLimits } from "../../shards/host/limits.ts";
import type { NodeConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { type NodeService, RaftlineNode, type RunningService } from "./node.ts";

const NODES_MAX = 7;

export interface ClusterOptions {
  readonly runtime: Runtime;
  /** 1 to 7. */
  readonly nodes?: number;
  /** Each node's data goes to `FOLDER/node-N`. */
  readonly folder: string;
  readonly limits?: Partial<HostLimits>;
  readonly logLimits?: Partial<LogLimits>;
  readonly services?: readonly NodeService[];
}

export class Cluster {
  readonly nodes: readonly RaftlineNode[];
  readonly #nodes: RaftlineNode[];
  readonly #services: RunningService[];
  readonly #options: ClusterOptions;
  readonly #cleanUp: () => Promise<void>;
  #adding: Promise<unknown> = Promise.resolve();

  constructor(
    nodes: RaftlineNode[],
    services: RunningService[],
    options: ClusterOptions,
    cleanUp: () => Promise<void>,
  ) {
    this.nodes = this.#nodes = nodes;
    this.#services = services;
    this.#options = options;
    this.#cleanUp = cleanUp;
  }

  /** Adds one more, with the next number; resolves when it serves. One after the other. */
  addNode(): Promise<RaftlineNode> {
    const added = this.#adding.then(() => this.#addNode());
    this.#adding = added.catch(() => {});
    return added;
  }

  async #addNode(): Promise<RaftlineNode> {
    const { runtime, folder, limits = {}, logLimits = {}, services = [] } = this.#options;
    const founders = this.nodes.filter(({ config }) => !config.join);
    const asked = founders.find((node) => node.isReady) ?? founders[0]!;
    const nodeId = this.nodes.length + 1;
    const config = { ...configOf(nodeId, founders.map((node) => node.nodeId), folder), join: true, peerPort: 0 };
    const node = await RaftlineNode.open(config, { runtime, limits, logLimits });
    this.#nodes.push(node);
    const { host, port } = node.peerAddress;
    await asked.admin.execute({ command: "addNode", args: { id: nodeId, host, port } });
    const started = await Promise.all(services.map((service) => service(node)));
    this.#services.push(...started);
    node.start(addressesOf(founders), started[0]?.address.port ?? 0);
    await node.whenReady();
    return node;
  }

  /** Client addresses, for `connect`. */
  get bootstrap(): string[] {
    return this.nodes.map(({ clientAddress: { host, port } }) => `${host}:${port}`);
  }

  /** Addresses of the admin API, if it was started. */
  get adminAddresses(): Address[] {
    return this.#services.map(({ address }) => address);
  }

  async stop(): Promise<void> {
    for (const service of this.#services) await service.close();
    await Promise.all(this.nodes.map((node) => node.stop({ handOver: false })));
    await this.#cleanUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Resolves when the cluster serves. `cleanUp` runs after the last node has stopped.
 * @throws {ConfigError} `INVALID_CONFIG`: a number of nodes that is none of 1 to 7
 */
export async function startCluster(options: ClusterOptions, cleanUp = () => Promise.resolve()): Promise<Cluster> {
  const { runtime, limits = {}, logLimits = {}, services = [], folder, nodes = 3 } = options;
  if (!(Number.isInteger(nodes) && nodes >= 1 && nodes <= NODES_MAX)) {
    await cleanUp();
    throw new ConfigError(
      "INVALID_CONFIG",
      "nodes",
      `a cluster in one process has 1 to ${NODES_MAX} nodes, not ${nodes}`,
    );
  }
  const ids = Array.from({ length: nodes }, (_, i) => i + 1);
  const opened: RaftlineNode[] = [];
  const running: RunningService[] = [];
  const cluster = new Cluster(opened, running, options, cleanUp);
  try {
    await Promise.all(ids.map(async (id) => {
      opened.push(await RaftlineNode.open(configOf(id, ids, folder), { runtime, limits, logLimits }));
    }));
    opened.sort((a, b) => a.nodeId - b.nodeId);
    const addresses = addressesOf(opened);
    for (const node of opened) {
      const started = await Promise.all(services.map((service) => service(node)));
      running.push(...started);
      node.start(addresses, started[0]?.address.port ?? 0);
    }
    await Promise.all(opened.map((node) => node.whenReady()));
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function addressesOf(nodes: readonly RaftlineNode[]): Map<NodeId, Address> {
  return new Map(nodes.map((node) => [node.nodeId, node.peerAddress]));
}

/** Ports in `nodes` are not used: the nodes are told each other's addresses once they listen. */
function configOf(nodeId: NodeId, ids: readonly NodeId[], folder: string): NodeConfig {
  return {
    clusterId: "raftline-test",
    nodeId,
    dataFolder: `${folder}/node-${nodeId}`,
    nodes: ids.map((id) => ({ id, host: "127.0.0.1", port: 0 })),
  };
}

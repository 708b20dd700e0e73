/** The client's connections: up to two per node (so that a long poll never waits behind a megabyte of batches). */
import type { Address } from "../runtime/network.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import { RpcClient } from "../wire/rpc-client.ts";
import type { NodeAddress } from "../wire/responses.ts";
import type { FrameMemory } from "./frame-memory.ts";
import type { ClientSettings } from "./options.ts";

/** "write": batches; "read": all the rest. */
export type Lane = "write" | "read";

/** For one attempt to reach one node. */
const CONNECT_ATTEMPT_MS = 2_000;

export class Connections {
  /** Told when a connection that was in use has ended. */
  onLost: (nodeId: number, error: RaftlineError) => void = () => {};

  readonly #runtime: Runtime;
  readonly #settings: ClientSettings;
  readonly #memory: FrameMemory;
  readonly #addresses = new Map<number, Address>();
  /** By lane and node; being made, or open. */
  readonly #lanes: Record<Lane, Map<number, Promise<RpcClient>>> = { write: new Map(), read: new Map() };
  readonly #open: Record<Lane, Map<number, RpcClient>> = { write: new Map(), read: new Map() };
  #clusterId: string | undefined;
  #closed = false;

  constructor(runtime: Runtime, settings: ClientSettings, memory: FrameMemory) {
    this.#runtime = runtime;
    this.#settings = settings;
    this.#memory = memory;
  }

  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  get nodeIds(): number[] {
    return [...this.#addresses.keys()];
  }

  learn(nodes: readonly NodeAddress[]): void {
    const ids = new Set(nodes.map(({ id }) => id));
    for (const id of this.#addresses.keys()) if (!ids.has(id)) this.#addresses.delete(id);
    for (const { id, host, port } of nodes) this.#addresses.set(id, { host, port });
  }

  /** An open connection, if there is one right now. */
  current(nodeId: number, lane: Lane): RpcClient | undefined {
    return this.#open[lane].get(nodeId);
  }

  /** An open connection to a node, made if need be. @throws {RaftlineError} `UNAVAILABLE` and as `RpcClient.connect` */
  to(nodeId: number, lane: Lane): Promise<RpcClient> {
    const existing = this.#lanes[lane].get(nodeId);
    if (existing !== undefined) return existing;
    const address = this.#addresses.get(nodeId);
    if (address === undefined) {
      return Promise.reject(new RaftlineError("UNAVAILABLE", `node ${nodeId} has no known address`));
    }
    const making = this.dial(address).then((connection) => {
      if (connection.hello.nodeId !== nodeId) {
        connection.close();
        throw new RaftlineError(
          "UNAVAILABLE",
          `${address.host}:${address.port} is node ${connection.hello.nodeId}, not ${nodeId}`,
        );
      }
      return this.adopt(connection, lane);
    });
    this.#lanes[lane].set(nodeId, making);
    making.catch(() => {
      if (this.#lanes[lane].get(nodeId) === making) this.#lanes[lane].delete(nodeId);
    });
    return making;
  }

  /** A connection to whoever answers at an address. The caller keeps or closes it. */
  async dial(address: Address): Promise<RpcClient> {
    if (this.#closed) throw closedError();
    const { clientName, credentials } = this.#settings;
    const connection = await RpcClient.connect(this.#runtime, address, {
      clientName,
      credentials,
      connectTimeoutMs: CONNECT_ATTEMPT_MS,
      memory: this.#memory.take,
    });
    if (this.#closed) {
      connection.close();
      throw closedError();
    }
    this.#clusterId ??= connection.hello.clusterId;
    if (connection.hello.clusterId !== this.#clusterId) {
      connection.close();
      throw new RaftlineError("UNAVAILABLE", `${address.host}:${address.port} belongs to another cluster`);
    }
    return connection;
  }

  /** Takes a dialled connection as the node's, unless it has one already. */
  adopt(connection: RpcClient, lane: Lane): RpcClient {
    const { nodeId } = connection.hello;
    const existing = this.#open[lane].get(nodeId);
    if (existing !== undefined) {
      connection.close();
      return existing;
    }
    if (connection.open) this.#keep(nodeId, lane, connection);
    return connection;
  }

  close(): void {
    this.#closed = true;
    for (const lane of ["write", "read"] as const) {
      for (const connection of [...this.#open[lane].values()]) connection.close();
    }
  }

  #keep(nodeId: number, lane: Lane, connection: RpcClient): void {
    this.#open[lane].set(nodeId, connection);
    this.#lanes[lane].set(nodeId, Promise.resolve(connection));
    connection.onClose = (error) => {
      if (this.#open[lane].get(nodeId) !== connection) return;
      this.#open[lane].delete(nodeId);
      this.#lanes[lane].delete(nodeId);
      if (!this.#closed) this.onLost(nodeId, error);
    };
  }
}

export function closedError(): RaftlineError {
  return new RaftlineError("CLOSED", "the client was closed");
}

/** A client of the node's own cluster, for requests that only a partition's leader can answer, wherever it is. */
import { type Client, connect } from "../client/client.ts";
import type { RaftlineNode } from "../node/node.ts";

export class OwnClient {
  readonly #node: RaftlineNode;
  #client: Promise<Client> | undefined;

  constructor(node: RaftlineNode) {
    this.#node = node;
  }

  /** Connects when it is first wanted; after a failure, again. @throws {RaftlineError} `UNAVAILABLE` */
  get(): Promise<Client> {
    const { runtime, clientAddress, config } = this.#node;
    const [credentials] = config.credentials ?? [];
    this.#client ??= connect(clientAddress, { runtime, clientName: "admin API", ...(credentials && { credentials }) })
      .catch((error) => {
        this.#client = undefined;
        throw error;
      });
    return this.#client;
  }

  async close(): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.close();
  }
}

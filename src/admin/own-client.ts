/** A client of the node's own cluster, for requests that only a partition's leader can answer, wherever it is. */
import { type Client, connect } from "../client/client.ts";
import { isWildcard } from "../node/config.ts";
import { mayAll } from "../node/credentials.ts";
import type { RaftlineNode } from "../node/node.ts";
import type { Address } from "../runtime/network.ts";

/** A client that was replaced ends after it. */
const OLD_MS = 20_000;

export class OwnClient {
  readonly #node: RaftlineNode;
  #client: Promise<Client> | undefined;

  constructor(node: RaftlineNode) {
    this.#node = node;
    // What it came in with may be gone.
    node.credentials.onReplaced(() => {
      const before = this.#client;
      this.#client = undefined;
      // What is under way on it may end.
      node.runtime.timers.after(OLD_MS, () => void endOf(before));
    });
  }

  /** Connects when it is first wanted; after a failure, again. @throws {RaftlineError} `UNAVAILABLE` */
  get(): Promise<Client> {
    const { runtime, credentials: known } = this.#node;
    const credentials = known.current?.find(mayAll);
    if (this.#client) return this.#client;
    const made: Promise<Client> = connect(addressOf(this.#node), {
      runtime,
      clientName: "admin API",
      ...(credentials && { credentials: { name: credentials.name, secret: credentials.secret } }),
    })
      .catch((error) => {
        if (this.#client === made) this.#client = undefined;
        throw error;
      });
    return this.#client = made;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await endOf(client);
  }
}

async function endOf(client: Promise<Client> | undefined): Promise<void> {
  await (await client?.catch(() => undefined))?.close();
}

/** Where it listens: the advertised host may lead nowhere from here. Under TLS it is the one that the certificate names. */
function addressOf({ runtime, clientAddress, config: { host = "127.0.0.1" } }: RaftlineNode): Address {
  if (runtime.network.tls) return clientAddress;
  const { port } = clientAddress;
  if (!isWildcard(host)) return { host, port };
  return { host: host.includes(":") ? "::1" : "127.0.0.1", port };
}

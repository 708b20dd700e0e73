/** What `connect` takes, and the defaults. */
import type { Address } from "../runtime/network.ts";
import { checkTlsMaterial } from "../runtime/node-tls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TlsMaterial } from "../runtime/tls.ts";
import { RaftlineError } from "../wire/errors.ts";

/** `"host:port"`, `"[::1]:port"` or an address; several nodes of one cluster, in any order. */
export type Bootstrap = string | Address | readonly (string | Address)[];

export interface ConnectOptions {
  /** Shown in the nodes' logs. Default: "raftline". */
  readonly clientName?: string;
  readonly credentials?: { readonly name: string; readonly secret: string };
  /** For reaching the first node; then `connect` rejects with `UNAVAILABLE`. Default: 10,000. */
  readonly connectTimeoutMs?: number;
  /** For one attempt of one request; what can be repeated is. Default: 5,000. */
  readonly requestTimeoutMs?: number;
  /**
   * Speak TLS. `true`: the nodes' certificates come from an authority that the system knows; else from that of
   * `authority`, and with `certificate` and `key` this client shows one, too. For the host names that are connected to.
   */
  readonly tls?: boolean | TlsMaterial;
  /** Another world than this process, with its own network: the simulator's. */
  readonly runtime?: Runtime;
}

export interface ClientSettings {
  readonly clientName: string;
  readonly credentials: { readonly mechanism: "plain"; readonly name: string; readonly secret: string } | null;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export function settingsOf(options: ConnectOptions): ClientSettings {
  const { credentials } = options;
  return {
    clientName: options.clientName ?? "raftline",
    credentials: credentials === undefined ? null : { mechanism: "plain", ...credentials },
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
  };
}

/** @throws {RaftlineError} `INVALID_REQUEST`: not PEM, or another certificate's key */
export function tlsOf({ tls = false }: ConnectOptions): TlsMaterial | undefined {
  if (tls === false) return undefined;
  const material = tls === true ? {} : tls;
  try {
    checkTlsMaterial(material);
  } catch (error) {
    throw new RaftlineError("INVALID_REQUEST", `tls: ${(error as Error).message}`, { cause: error });
  }
  return material;
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function parseBootstrap(bootstrap: Bootstrap): Address[] {
  const list = Array.isArray(bootstrap) ? bootstrap as readonly (string | Address)[] : [bootstrap as string | Address];
  if (list.length === 0) throw new RaftlineError("INVALID_REQUEST", "connect needs the address of at least one node");
  return list.map((item) => typeof item === "string" ? parseAddress(item) : item);
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new RaftlineError("INVALID_REQUEST", `"${text}" is not an address: host:port, as in 127.0.0.1:7401`);
  }
  return { host: match[1] ?? match[2]!, port };
}

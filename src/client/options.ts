/** What `connect` takes, and the defaults. */
import type { Address } from "../runtime/network.ts";
import { checkTlsMaterial } from "../runtime/node-tls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TlsMaterial } from "../runtime/tls.ts";
import { RaftlineError } from "../wire/errors.ts";
import { checkMs, invalid, show, TIMER_MS_MAX } from "./checks.ts";

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

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function settingsOf(options: ConnectOptions): ClientSettings {
  const { credentials } = options;
  return {
    clientName: options.clientName ?? "raftline",
    credentials: credentials === undefined ? null : { mechanism: "plain", ...credentials },
    connectTimeoutMs: checkMs("connectTimeoutMs", options.connectTimeoutMs ?? 10_000, 0, Infinity),
    requestTimeoutMs: checkMs("requestTimeoutMs", options.requestTimeoutMs ?? 5_000, 1, TIMER_MS_MAX),
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
  const list: readonly unknown[] = Array.isArray(bootstrap) ? bootstrap : [bootstrap];
  if (list.length === 0) throw invalid("connect needs the address of at least one node");
  return list.map(toAddress);
}

function toAddress(item: unknown): Address {
  const { host, port } = typeof item === "string" ? parseAddress(item) : Object(item) as Partial<Address>;
  const isPort = Number.isInteger(port) && port! > 0 && port! <= 65_535;
  if (typeof host === "string" && host !== "" && isPort) return { host, port: port! };
  const what = host === undefined && port === undefined ? show(item) : `{ host: ${show(host)}, port: ${show(port)} }`;
  throw invalid(`${what} is not an address: host:port, as in 127.0.0.1:7401, or { host, port }`);
}

function parseAddress(text: string): Partial<Address> {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  return match === null ? {} : { host: match[1] ?? match[2]!, port: Number(match[3]) };
}

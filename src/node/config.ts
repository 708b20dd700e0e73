/** A node's configuration: one schema for the YAML file, the environment and the flags; later ones win. */
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { parse, YAMLParseError } from "yaml";
import { CredentialSchema, mayAll } from "./credentials.ts";
import { ConfigError } from "./errors.ts";

const Port = Type.Integer({ minimum: 0, maximum: 65_535 });
const NodeNumber = Type.Integer({ minimum: 1, maximum: 0xffff_ffff });
const Host = Type.String({ minLength: 1, maxLength: 255 });
const Secret = Type.String({ minLength: 16, maxLength: 1024 });
const File = Type.String({ minLength: 1, maxLength: 4096 });

export const NodeConfigSchema = Type.Object({
  clusterId: Type.String({ pattern: "^[A-Za-z0-9._-]{1,100}$", default: "raftline" }),
  nodeId: NodeNumber,
  /** Where everything is kept. One node, one folder. */
  dataFolder: Type.String({ minLength: 1, maxLength: 4096 }),
  /** Where it listens, on all three ports. */
  host: Type.Optional(Host),
  /** What clients are told, where it differs from `host`. Needed where that is a wildcard, which nobody can dial. */
  advertisedHost: Type.Optional(Host),
  clientPort: Type.Optional(Port),
  /** The port of this node's own line in `nodes`, where it is left out. */
  peerPort: Type.Optional(Port),
  adminPort: Type.Optional(Port),
  /** All nodes that the cluster was made with, this one too unless it joins. */
  nodes: Type.Array(Type.Object({ id: NodeNumber, host: Host, port: Port }, { additionalProperties: false }), {
    minItems: 1,
    maxItems: 64,
  }),
  /** This node is added to a cluster that is there (`raftline cluster add`), and is none of `nodes`. */
  join: Type.Optional(Type.Boolean()),
  /** Known to the nodes of the cluster alone. Needed where it does not listen on loopback only. */
  peerSecret: Type.Optional(Secret),
  /** Who may use the client port and the admin API; anyone on loopback where it is left out. */
  credentials: Type.Optional(Type.Array(CredentialSchema, { minItems: 1, maxItems: 1000 })),
  /** With it all three ports speak TLS, and nothing else. Files in PEM. */
  tls: Type.Optional(Type.Object({
    /**
     * This node's certificate, and those between it and the authority. For the hosts under which the others (`nodes`) and
     * clients (`advertisedHost`) reach it; nodes show it to each other: for server and client use.
     */
    certificateFile: File,
    keyFile: File,
    /** Whose certificates are believed: each node's comes from it. */
    authorityFile: File,
    /** Clients must show a certificate of that authority, too. */
    clientCertificates: Type.Optional(Type.Boolean()),
  }, { additionalProperties: false })),
  /**
   * Reads are answered under leases: see README.md for what that rests on. Any node's monotonic clock runs at most so many
   * times as fast as any other's. Left out: no promise rests on clocks.
   */
  clockDriftMax: Type.Optional(Type.Number({ minimum: 1.001, maximum: 2 })),
  logLevel: Type.Optional(
    Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")]),
  ),
  /** Of the log, on standard error: lines for people, or JSON objects, one a line. */
  logFormat: Type.Optional(Type.Union([Type.Literal("text"), Type.Literal("json")])),
}, { additionalProperties: false });

/** @see NodeConfigSchema */
export type NodeConfig = Static<typeof NodeConfigSchema>;

type Variables = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  /** YAML text of the configuration file. */
  readonly yaml?: string;
  /** `RAFTLINE_NODE_ID`, `RAFTLINE_DATA_FOLDER`, `RAFTLINE_CLIENT_PORT`, … for the fields that are one value. */
  readonly env?: Variables;
  /** By field name; undefined ones are passed over. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

const checker = TypeCompiler.Compile(NodeConfigSchema);
const NUMBERS = ["nodeId", "clientPort", "peerPort", "adminPort", "clockDriftMax"];
const TEXTS = ["clusterId", "dataFolder", "host", "advertisedHost", "peerSecret", "logLevel", "logFormat"];

/**
 * @throws {ConfigError} `INVALID_CONFIG`, with the field
 * @example
 * ```ts
 * const config = loadConfig({ yaml: "nodeId: 1\ndataFolder: ./data\nnodes: [{ id: 1, host: 127.0.0.1, port: 7501 }]" });
 * ```
 */
export function loadConfig({ yaml, env = {}, flags = {} }: ConfigSources): NodeConfig {
  const fromFile = yaml === undefined ? {} : parseYaml(yaml);
  const defined = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  return checkConfig({ clusterId: "raftline", ...fromFile, ...fromEnvironment(env), ...defined });
}

/** @throws {ConfigError} `INVALID_CONFIG`, with the field */
export function checkConfig(value: unknown): NodeConfig {
  if (!checker.Check(value)) {
    const first = checker.Errors(value).First();
    const field = (first?.path ?? "").slice(1).replaceAll("/", ".") || "(the whole)";
    throw new ConfigError("INVALID_CONFIG", field, `${field}: ${first?.message ?? "not valid"}`);
  }
  const { nodes, host, advertisedHost } = value;
  const ids = nodes.map((node) => node.id);
  if (new Set(ids).size !== ids.length) throw invalid("nodes", "an id occurs twice");
  const told = toldPort(value);
  refuseOpenDoors(value);
  // With them the admin API asks its own cluster, and somebody has to be able to mend things.
  if (value.credentials?.some(mayAll) === false) {
    throw invalid("credentials", "one of them must have no rights of its own: all");
  }
  if (host !== undefined && isWildcard(host) && (advertisedHost === undefined || isWildcard(advertisedHost))) {
    throw invalid("advertisedHost", `needed where host is a wildcard: nobody can dial ${advertisedHost ?? host}`);
  }
  return { ...value, peerPort: peerPortOf(value.peerPort, told) };
}

/** On which the others expect it. */
function toldPort({ nodeId, nodes, join = false, peerPort }: NodeConfig): number {
  const own = nodes.find(({ id }) => id === nodeId);
  if (own && join) throw invalid("join", `${nodeId} is among the nodes that the cluster was made with`);
  if (own) return own.port;
  if (!join) {
    throw invalid("nodeId", `${nodeId} is not among the nodes (a node that is added to a cluster has join: true)`);
  }
  if (peerPort === undefined) throw invalid("peerPort", "needed where join is true: it is told to the cluster");
  return peerPort;
}

/** The others dial what their `nodes` says. 0: any free port, where nobody dials by the configuration. */
function peerPortOf(peerPort: number | undefined, told: number): number {
  if (peerPort === undefined || peerPort === told) return told;
  if (peerPort === 0 || told === 0) return peerPort;
  throw invalid("peerPort", `${peerPort} is not the ${told} that nodes tells of this node`);
}

/** Listening wider than loopback wants authentication on every port. @throws {ConfigError} `INVALID_CONFIG` */
export function refuseOpenDoors({ host, peerSecret, credentials }: NodeConfig): void {
  if (host === undefined || isLoopback(host)) return;
  const why = `needed to listen on ${host}, which is not loopback`;
  if (peerSecret === undefined) throw invalid("peerSecret", why);
  if (credentials === undefined) throw invalid("credentials", why);
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** "0.0.0.0", "::", and their other spellings. */
export function isWildcard(host: string): boolean {
  return /^[0.:]+$/.test(host);
}

function invalid(field: string, why: string): ConfigError {
  return new ConfigError("INVALID_CONFIG", field, `${field}: ${why}`);
}

function parseYaml(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    // Warnings would be printed, and quote the source as errors do.
    value = parse(text, { maxAliasCount: 0, logLevel: "error" });
  } catch (error) {
    throw new ConfigError("INVALID_CONFIG", "(the whole)", `not YAML, or it has an alias${placeOf(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError("INVALID_CONFIG", "(the whole)", "a configuration is a map of fields");
  }
  return value as Record<string, unknown>;
}

/** Nothing else of the error is told on, for it quotes the line, and that may have a secret. */
function placeOf(error: unknown): string {
  const [start] = error instanceof YAMLParseError ? error.linePos ?? [] : [];
  return start ? `: line ${start.line}, column ${start.col}` : "";
}

function fromEnvironment(env: Variables): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const field of [...NUMBERS, ...TEXTS]) {
    const text = env[variableOf(field)];
    if (text !== undefined) found[field] = NUMBERS.includes(field) ? numberOf(text) : text;
  }
  return found;
}

/** Number("") is 0, which is a port. */
function numberOf(text: string): number {
  return /^[\d.]+$/.test(text) ? Number(text) : NaN;
}

/** Names that begin as this program's and are no setting: misspelt, or not meant for it. */
export function unknownVariables(env: Variables): string[] {
  const known = new Set([...NUMBERS, ...TEXTS].map(variableOf));
  return Object.keys(env).filter((name) => name.startsWith("RAFTLINE_") && !known.has(name));
}

function variableOf(field: string): string {
  return `RAFTLINE_${field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** A configuration that is read again while the node runs: who may enter, and its certificates. */
import { type NodeConfig, refuseOpenDoors } from "./config.ts";
import type { RaftlineNode } from "./node.ts";
import { readTlsFiles } from "./tls-files.ts";

export interface Reloaded {
  /** Fields that are in force now. */
  readonly renewed: readonly string[];
  /** Fields that differ from what the node was started with: they are taken at its next start. */
  readonly later: readonly string[];
}

/**
 * Connections of clients whose credentials are not what they were end; other nodes' stay, and new ones begin with the new
 * certificates. Nothing is changed if anything is wrong. @throws {ConfigError} `INVALID_CONFIG`, with the field
 */
export function reload({ config, credentials, runtime }: RaftlineNode, next: NodeConfig): Reloaded {
  const { tls } = runtime.network;
  const files = readTlsFiles(next);
  // It listens where it did, whatever `next` says of that.
  refuseOpenDoors({ ...config, credentials: next.credentials });
  const renewed: string[] = [];
  // Whether there is TLS at all is agreed on with all others.
  if (tls && files && !isSame(tls.material, files)) {
    tls.renew(files);
    renewed.push("tls");
  }
  if (!isSame(credentials.current, next.credentials)) {
    credentials.replace(next.credentials);
    renewed.push("credentials");
  }
  const fields = new Set([...Object.keys(config), ...Object.keys(next)] as (keyof NodeConfig)[]);
  const hasTls = (of: NodeConfig) => of.tls !== undefined;
  const differs = (field: keyof NodeConfig) => {
    if (field === "credentials") return false;
    if (field === "tls") {
      return hasTls(config) !== hasTls(next) || config.tls?.clientCertificates !== next.tls?.clientCertificates;
    }
    return !isSame(config[field], next[field]);
  };
  return { renewed, later: [...fields].filter(differs) };
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

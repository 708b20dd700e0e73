/** How commands reach a cluster, who they say they are, and whom they believe. */
import fs from "node:fs";
import process from "node:process";
import type { Command } from "cac";
import { type Client, connect } from "../../src/client/client.ts";
import { type ConnectOptions, parseBootstrap } from "../../src/client/options.ts";
import type { Address } from "../../src/runtime/network.ts";
import { UsageError } from "./errors.ts";

const DEFAULT_BOOTSTRAP = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403";

export interface ConnectionFlags {
  readonly bootstrap: string;
  readonly user?: string;
  readonly tls?: boolean;
  readonly tlsAuthority?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
}

export const CONNECTION_FLAGS = ["bootstrap", "user", "tls", "tlsAuthority", "tlsCertificate", "tlsKey"] as const;

/** A secret is none of them: process lists show the command line. */
export function connectionOptions(command: Command): Command {
  return command
    .option("--bootstrap <addresses>", "Nodes to ask first, HOST:PORT,…", { default: DEFAULT_BOOTSTRAP })
    .option("--user <name>", "Who asks, or RAFTLINE_USER; the secret is in RAFTLINE_SECRET")
    .option("--tls", "Speak TLS, and believe the authorities that the system knows")
    .option("--tls-authority <file>", "Speak TLS, and believe this authority (PEM), or RAFTLINE_TLS_AUTHORITY")
    .option("--tls-certificate <file>", "Show this certificate (PEM), with --tls-key")
    .option("--tls-key <file>", "The certificate's key (PEM)");
}

/** Connects, works, and closes whatever happens. */
export async function withClient<T>(flags: ConnectionFlags, work: (client: Client) => Promise<T>): Promise<T> {
  const options = { ...credentialsOf(flags), ...tlsOf(flags) };
  const client = await connect(addressesOf(flags.bootstrap), options);
  let result: T;
  try {
    result = await work(client);
  } catch (error) {
    // What could not be published any more is no news then.
    await client.close().catch(() => {});
    throw error;
  }
  await client.close();
  return result;
}

function addressesOf(bootstrap: string): Address[] {
  try {
    return parseBootstrap(bootstrap.split(",").map((address) => address.trim()));
  } catch (error) {
    throw new UsageError(`--bootstrap: ${(error as Error).message}`);
  }
}

/** @throws {UsageError} A user without a secret, or the other way round. */
function credentialsOf({ user = process.env["RAFTLINE_USER"] }: ConnectionFlags): Pick<ConnectOptions, "credentials"> {
  const secret = process.env["RAFTLINE_SECRET"];
  if (user === undefined && secret === undefined) return {};
  if (user === undefined) throw new UsageError("RAFTLINE_SECRET wants --user, or RAFTLINE_USER");
  if (secret === undefined) throw new UsageError("--user wants the secret in RAFTLINE_SECRET");
  return { credentials: { name: user, secret } };
}

/** @throws {UsageError} A file that cannot be read, or half of a pair. */
function tlsOf(flags: ConnectionFlags): Pick<ConnectOptions, "tls"> {
  const { tls = false, tlsAuthority = process.env["RAFTLINE_TLS_AUTHORITY"], tlsCertificate, tlsKey } = flags;
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("--tls-certificate and --tls-key belong together");
  }
  if (tlsAuthority === undefined && tlsCertificate === undefined) return { tls };
  return {
    tls: {
      ...(tlsAuthority !== undefined && { authority: textOf("--tls-authority", tlsAuthority) }),
      ...(tlsCertificate !== undefined && { certificate: textOf("--tls-certificate", tlsCertificate) }),
      ...(tlsKey !== undefined && { key: textOf("--tls-key", tlsKey) }),
    },
  };
}

function textOf(flag: string, file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${flag}: cannot read ${file}: ${(error as Error).message}`);
  }
}

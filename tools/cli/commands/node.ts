import fs from "node:fs";
import process from "node:process";
import type { CAC } from "cac";
import { adminService } from "../../../src/admin/app.ts";
import { loadConfig, type NodeConfig, unknownVariables } from "../../../src/node/config.ts";
import { ConfigError } from "../../../src/node/errors.ts";
import { type RaftlineNode, startNode } from "../../../src/node/node.ts";
import { reload } from "../../../src/node/reload.ts";
import { runtimeOf } from "../../../src/node/runtime-of.ts";
import { parentStops, stopSignal } from "../stop-signal.ts";
import { wholeNumber } from "../whole-number.ts";

interface NodeFlags {
  readonly config?: string;
  readonly nodeId?: string;
  readonly dataFolder?: string;
  readonly clientPort?: string;
  readonly peerPort?: string;
  readonly adminPort?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly withParent?: boolean;
  readonly json?: boolean;
}

/** What other commands, and the tests, are told. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  "RAFTLINE_USER",
  "RAFTLINE_SECRET",
  "RAFTLINE_TLS_AUTHORITY",
  "RAFTLINE_PROGRAMS",
]);

export function nodeCommand(cli: CAC): void {
  cli.command("node", "Run one node of a cluster")
    .option("--config <file>", "YAML file; RAFTLINE_… variables and flags win over it")
    .option("--node-id <id>", "This node's number")
    .option("--data-folder <folder>", "Where it keeps everything")
    .option("--client-port <port>", "Port for clients")
    .option("--peer-port <port>", "Port for the other nodes")
    .option("--admin-port <port>", "Port of the admin API")
    .option("--log-level <level>", "debug, info, warn or error")
    .option("--log-format <format>", "text, or json: an object a line")
    .option("--with-parent", "Stop when standard input ends: whoever started it is gone")
    .option("--json", "Say where it listens as one JSON line")
    .example("raftline node --config node.yaml")
    .action(runNode);
}

async function runNode(flags: NodeFlags): Promise<void> {
  const config = readConfig(flags);
  const stop = flags.withParent ? parentStops() : stopSignal();
  const runtime = runtimeOf(config, "info");
  let hungUp = false;
  // A start may take a while: nothing ends it but a signal that is meant to.
  let onHangUp = () => {
    hungUp = true;
  };
  process.on("SIGHUP", () => onHangUp());
  // Not refused: Kubernetes, for one, gives every process variables with the names of services.
  const unknown = unknownVariables(process.env).filter((name) => !ELSEWHERE.has(name));
  if (unknown.length > 0) runtime.log.write("warn", "variables that no setting has", { names: unknown });
  const started = await startNode(config, { runtime }, [adminService]);
  const { node, services } = started;
  const where = {
    nodeId: node.nodeId,
    client: node.clientAddress,
    peer: node.peerAddress,
    admin: services[0]!.address,
  };
  if (flags.json) console.log(JSON.stringify(where));
  else {
    const { client, peer, admin } = where;
    const scheme = runtime.network.tls ? "https" : "http";
    console.log(
      `node ${node.nodeId}: clients ${client.host}:${client.port}, peers ${peer.host}:${peer.port}, admin ${scheme}://${admin.host}:${admin.port}`,
    );
  }
  onHangUp = () => reloadConfig(node, flags);
  if (hungUp) onHangUp();
  node.whenReady().then(() => {
    // Or it stops, and never did.
    if (node.isReady) runtime.log.write("info", "serving", { nodeId: node.nodeId });
  });
  await stop;
  runtime.log.write("info", "stopping", { nodeId: node.nodeId });
  await started.stop();
  process.exit(0);
}

/** What is wrong with it is said, and all stays as it was. */
function reloadConfig(node: RaftlineNode, flags: NodeFlags): void {
  const { log } = node.runtime;
  try {
    const { renewed, later } = reload(node, readConfig(flags));
    log.write("info", "the configuration was read again", { renewed });
    if (later.length > 0) log.write("warn", "changed, and taken at the next start only", { fields: later });
  } catch (error) {
    log.write("error", "the configuration was read again, and is not valid: nothing changes", {
      reason: String(error),
    });
  }
}

function readConfig(flags: NodeFlags): NodeConfig {
  const { config: file, dataFolder, logLevel, logFormat } = flags;
  const number = (flag: string, text?: string) => text === undefined ? undefined : wholeNumber(flag, text);
  const given = {
    nodeId: number("--node-id", flags.nodeId),
    dataFolder,
    clientPort: number("--client-port", flags.clientPort),
    peerPort: number("--peer-port", flags.peerPort),
    adminPort: number("--admin-port", flags.adminPort),
    logLevel,
    logFormat,
  };
  if (file !== undefined) return loadConfig({ yaml: textOf(file), env: process.env, flags: given });
  try {
    return loadConfig({ env: process.env, flags: given });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { code, field, message } = error;
    throw new ConfigError(code, field, `${message} (there is no --config)`, { cause: error });
  }
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    const why = `--config: cannot read ${file}: ${(error as Error).message}`;
    throw new ConfigError("INVALID_CONFIG", "--config", why, { cause: error });
  }
}

import process from "node:process";
import type { CAC } from "cac";
import { type NodePorts, NodeProcesses } from "../../processes/node-processes.ts";
import { UsageError } from "../errors.ts";
import { stopSignal } from "../stop-signal.ts";
import { wholeNumber } from "../whole-number.ts";

interface DevFlags {
  readonly data: string;
  readonly firstPort: string;
  readonly json?: boolean;
}

const NODES = 3;
const PEERS_ABOVE = 100;
const ADMIN_ABOVE = 200;
const PORT_MAX = 65_535;

export function devCommand(cli: CAC): void {
  cli.command("dev", "Three nodes on this machine, data kept in ./data")
    .option("--data <folder>", "Where the nodes keep everything", { default: "./data" })
    .option("--first-port <port>", "Clients on this and the next two; peers 100, admin 200 above", { default: "7401" })
    .option("--json", "Say where they listen as one JSON line")
    .example("raftline dev")
    .example("raftline dev --data /tmp/raftline --first-port 17401 --json")
    .action(runDev);
}

async function runDev({ data, firstPort, json }: DevFlags): Promise<void> {
  const ports = portsFrom(wholeNumber("--first-port", firstPort));
  const stop = stopSignal();
  const starting = new AbortController();
  stop.then(() => starting.abort());
  if (!json) console.log(`starting ${NODES} nodes, data in ${data} …`);
  const processes = await NodeProcesses.start({ folder: data, ports, signal: starting.signal }).catch((error) => {
    if (starting.signal.aborted) return process.exit(0);
    throw error;
  });
  processes.onUnexpectedExit = (id) => {
    console.error(`node ${id} ended by itself; its own message is above. The others go on; Ctrl-C stops them.`);
  };
  console.log(json ? JSON.stringify(where(processes)) : greeting(processes));
  const signal = await stop;
  if (!json) console.log(`\n${signal}: handing over and stopping …`);
  await processes.stop();
  process.exit(0);
}

function portsFrom(first: number): NodePorts[] {
  const ports = Array.from({ length: NODES }, (_, i) => ({
    client: first + i,
    peer: first + PEERS_ABOVE + i,
    admin: first + ADMIN_ABOVE + i,
  }));
  if (first < 1 || ports.at(-1)!.admin > PORT_MAX) {
    throw new UsageError(`--first-port is 1 to ${PORT_MAX - ADMIN_ABOVE - NODES + 1}, not ${first}`);
  }
  return ports;
}

function where(processes: NodeProcesses): object {
  return { bootstrap: processes.bootstrap(), admin: processes.ids.map((id) => processes.adminUrl(id)) };
}

function greeting(processes: NodeProcesses): string {
  const own = processes.bootstrap().join(",");
  const bootstrap = processes.ports[0]!.client === 7401 ? "" : ` --bootstrap ${own}`;
  return `
Raftline serves.
  clients   ${processes.bootstrap().join("  ")}
  admin     ${processes.adminUrl(1)}/v1/cluster   (OpenAPI: ${processes.adminUrl(1)}/v1/openapi.json)

Try next, in another terminal:
  npm run -s raftline -- topic create orders --partitions 16${bootstrap}
  echo "hello" | npm run -s raftline -- produce orders${bootstrap}
  npm run -s raftline -- consume orders --from earliest --max 1${bootstrap}

Ctrl-C stops the nodes; the data stays.`;
}

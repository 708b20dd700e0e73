/** Who is up, who leads how much, and what is not as it should be; nodes that come and go. */
import type { CAC } from "cac";
import Table from "cli-table3";
import type { ClusterHealth } from "../cluster-health.ts";
import { type ClusterFlags, clusterWork, type Done } from "../cluster-work.ts";
import { connectionOptions, withClient } from "../with-client.ts";

/** Partitions named in a line; the rest is counted. */
const NAMED_MAX = 10;

export function clusterCommand(cli: CAC): void {
  const what = "Nodes, leaders, and partitions that lack a leader or a replica; or add, drain, undrain, remove, spread";
  connectionOptions(cli.command("cluster [action] [node]", what))
    .option("--peer <address>", "Add: where the other nodes reach it, HOST:PORT")
    .option("--json", "One JSON document")
    .example("raftline cluster")
    .example("raftline cluster add 4 --peer 10.0.0.4:7501")
    .example("raftline cluster spread")
    .example("raftline cluster drain 4")
    .example("raftline cluster remove 4 --json")
    .action(runCluster);
}

async function runCluster(action: string | undefined, node: string | undefined, flags: ClusterFlags): Promise<void> {
  const work = clusterWork(action ?? "show", node, flags);
  const result = await withClient(flags, ({ admin }) => work(admin));
  if (flags.json) console.log(JSON.stringify(result));
  else console.log("done" in result ? doneInWords(result) : inWords(result));
}

/** "drained: node 4, left 0" */
function doneInWords({ done, ...rest }: Done): string {
  return `${done}: ${Object.entries(rest).map((pair) => pair.join(" ")).join(", ")}`;
}

function inWords(health: ClusterHealth): string {
  const { clusterId, metadataLeader, topics, partitions, nodes, leaderless, underReplicated, moving } = health;
  const table = new Table({ head: ["node", "address", "", "leads", "replicas"], style: { head: [], border: [] } });
  for (const { id, address, alive, added, draining, leads, replicas } of nodes) {
    const state = [alive ? "up" : "AWAY", ...(added ? ["added"] : []), ...(draining ? ["draining"] : [])].join(", ");
    table.push([id, address, state, leads, replicas]);
  }
  const lines = [
    `${clusterId}: ${topics} topics, ${partitions} partitions; the metadata is led by ${
      metadataLeader === 0 ? "nobody" : `node ${metadataLeader}`
    }`,
    table.toString(),
    line("without a leader", leaderless),
    line("with replicas away", underReplicated.map(({ partition, away }) => `${partition} (${away.join(", ")})`)),
    line("moving", moving.map(({ partition, to }) => `${partition} to ${to.join(", ")}`)),
  ];
  return lines.join("\n");
}

function line(what: string, partitions: readonly string[]): string {
  if (partitions.length === 0) return `${what}: none`;
  const rest = partitions.length - NAMED_MAX;
  return `${what}: ${partitions.slice(0, NAMED_MAX).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** Who is up, who leads how much, and what is not as it should be. */
import type { CAC } from "cac";
import Table from "cli-table3";
import type { AdminClient } from "../../../src/client/admin.ts";
import type { TopicDescription } from "../../../src/wire/admin-commands.ts";
import { RaftlineError } from "../../../src/wire/errors.ts";
import { type ClusterHealth, healthOf } from "../cluster-health.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

/** Partitions named in a line; the rest is counted. */
const NAMED_MAX = 10;

interface ClusterFlags extends ConnectionFlags {
  readonly json?: boolean;
}

export function clusterCommand(cli: CAC): void {
  connectionOptions(cli.command("cluster", "Nodes, leaders, and partitions that lack a leader or a replica"))
    .option("--json", "One JSON document")
    .example("raftline cluster")
    .example("raftline cluster --json")
    .action(runCluster);
}

async function runCluster(flags: ClusterFlags): Promise<void> {
  const health = await withClient(
    flags,
    async ({ admin }) => healthOf(await admin.describeCluster(), await topicsOf(admin)),
  );
  console.log(flags.json ? JSON.stringify(health) : inWords(health));
}

async function topicsOf(admin: AdminClient): Promise<TopicDescription[]> {
  const topics: TopicDescription[] = [];
  for (const { name } of await admin.listTopics()) {
    try {
      topics.push(await admin.describeTopic(name));
    } catch (error) {
      // Deleted meanwhile.
      if (!(error instanceof RaftlineError && error.code === "UNKNOWN_TOPIC")) throw error;
    }
  }
  return topics;
}

function inWords(health: ClusterHealth): string {
  const { clusterId, metadataLeader, topics, partitions, nodes, leaderless, underReplicated, moving } = health;
  const table = new Table({ head: ["node", "address", "", "leads", "replicas"], style: { head: [], border: [] } });
  for (const { id, address, alive, leads, replicas } of nodes) {
    table.push([id, address, alive ? "up" : "AWAY", leads, replicas]);
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

/** A cluster that grows and shrinks in the middle of it. */
import type { AdminCommand } from "../../src/wire/admin-commands.ts";
import type { SimulatedCluster } from "./cluster.ts";
import type { SeededRandom } from "./random.ts";

/** Asks a node that runs; whether it can be done, and how far it comes before the next fault, is the cluster's business. */
export function strikeGrowth(cluster: SimulatedCluster, random: SeededRandom, say: (text: string) => void): void {
  const node = cluster.nodeOf(random.pick(cluster.ids));
  if (!node) return;
  const id = random.pick(cluster.spares);
  const { added, draining } = node.metadata;
  const drain: AdminCommand = { command: "drainNode", args: { id, drain: true } };
  const spread: AdminCommand = { command: "spreadReplicas", args: {} };
  const commands: AdminCommand[] = !added.has(id)
    ? [{ command: "addNode", args: { id, ...cluster.peerAddress(id) } }]
    : draining.has(id)
    ? [{ command: "removeNode", args: { id } }, { command: "drainNode", args: { id, drain: false } }]
    : [spread, drain, { command: "drainNode", args: { id: random.pick(cluster.ids), drain: random.chance(0.5) } }];
  const command = random.pick(commands);
  say(`${command.command} ${JSON.stringify(command.args)}`);
  node.admin.execute(command).catch((error: unknown) => say(`${command.command} is refused: ${String(error)}`));
}

/** For good, when faults are over: what is not in the cluster could not come where the others are. */
export function addSpares(cluster: SimulatedCluster): void {
  const node = cluster.founders.map((id) => cluster.nodeOf(id)).find((one) => one !== undefined);
  for (const id of node ? cluster.spares : []) {
    if (node!.metadata.added.has(id) && node!.metadata.draining.size === 0) continue;
    const commands: AdminCommand[] = [
      { command: "addNode", args: { id, ...cluster.peerAddress(id) } },
      ...cluster.ids.map((one): AdminCommand => ({ command: "drainNode", args: { id: one, drain: false } })),
    ];
    for (const command of commands) node!.admin.execute(command).catch(() => {});
  }
}

import type { CAC } from "cac";
import Table from "cli-table3";
import type { AdminClient } from "../../../src/client/admin.ts";
import { type GroupInPartition, summarizeGroups } from "../../../src/client/groups.ts";
import { RaftlineError } from "../../../src/wire/errors.ts";
import { checkAction } from "../actions.ts";
import { UsageError } from "../errors.ts";
import { parseFrom } from "../parse-from.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";
import { wholeNumber } from "../whole-number.ts";

interface GroupFlags extends ConnectionFlags {
  readonly topic?: string;
  readonly to?: string;
  readonly partition?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function groupCommand(cli: CAC): void {
  connectionOptions(cli.command("group <action> [name]", "list, describe, reset or delete the groups of a topic"))
    .option("--topic <name>", "The topic; list and describe look at all of them without it")
    .option("--to <where>", "Reset: earliest, latest, an offset, or a time as 2026-01-31T12:00:00Z")
    .option("--partition <n>", "Reset: only this one")
    .option("--force", "Although consumers hold leases")
    .option("--json", "One JSON document")
    .example("raftline group describe mail --topic orders")
    .example("raftline group reset mail --topic orders --to earliest")
    .action(runGroup);
}

async function runGroup(action: string, name: string | undefined, flags: GroupFlags): Promise<void> {
  const work = workOf(action, name, flags);
  const rows = await withClient(flags, ({ admin }) => work(admin));
  console.log(flags.json ? JSON.stringify(rows) : inWords(rows));
}

type Work = (admin: AdminClient) => Promise<readonly object[]>;

/** The flags of each action. */
const ACTIONS = {
  list: ["topic"],
  describe: ["topic"],
  reset: ["topic", "to", "partition", "force"],
  delete: ["topic", "force"],
} as const satisfies Record<string, readonly (keyof GroupFlags)[]>;

/** What is to be done; a command line that makes no sense is refused before anybody is asked. */
function workOf(action: string, group: string | undefined, flags: GroupFlags): Work {
  checkAction("group", action, flags, ACTIONS);
  if (action === "list") {
    if (group !== undefined) throw new UsageError(`group list takes no name: group describe ${group}?`);
    return async (admin) => summarizeGroups(await everywhere(admin, "", flags), await admin.groupMembers());
  }
  if (group === undefined) throw new UsageError("a group's name is missing");
  if (action === "describe") return (admin) => describe(admin, group, flags);
  const { topic, force = false } = flags;
  if (topic === undefined) throw new UsageError(`group ${action} wants --topic`);
  if (action === "reset") return resetOf(topic, group, force, flags);
  return async (admin) => {
    await admin.removeGroup(topic, group, { force });
    return [{ deleted: group, topic }];
  };
}

function resetOf(topic: string, group: string, force: boolean, flags: GroupFlags): Work {
  if (flags.to === undefined) throw new UsageError("group reset wants --to");
  const to = parseFrom("--to", flags.to);
  const { partition } = flags;
  const partitions = partition === undefined ? {} : { partitions: [wholeNumber("--partition", partition)] };
  return (admin) => admin.resetGroup(topic, group, { to, force, ...partitions });
}

async function describe(admin: AdminClient, group: string, flags: GroupFlags): Promise<GroupInPartition[]> {
  const places = await everywhere(admin, group, flags);
  if (places.length > 0) return places;
  const where = flags.topic === undefined ? "" : ` in topic "${flags.topic}"`;
  throw new RaftlineError("UNKNOWN_GROUP", `there is no group "${group}"${where}`);
}

async function everywhere(admin: AdminClient, group: string, { topic }: GroupFlags): Promise<GroupInPartition[]> {
  const topics = topic === undefined ? (await admin.listTopics()).map(({ name }) => name) : [topic];
  const found = await Promise.all(topics.map((one) => {
    return group === "" ? admin.listGroups(one) : admin.describeGroup(one, group);
  }));
  return found.flat();
}

function inWords(rows: readonly object[]): string {
  const [first] = rows as readonly Record<string, unknown>[];
  if (!first) return "none";
  const table = new Table({ head: Object.keys(first), style: { head: [], border: [] } });
  for (const row of rows as readonly Record<string, unknown>[]) table.push(Object.values(row).map(String));
  return table.toString();
}

import type { CAC } from "cac";
import Table from "cli-table3";
import type { AdminClient } from "../../../src/client/admin.ts";
import type { Retention, TopicOptions } from "../../../src/wire/admin-commands.ts";
import { UsageError } from "../errors.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

interface TopicFlags extends ConnectionFlags {
  readonly partitions?: number;
  readonly replicas?: number;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly retentionConsumed?: boolean;
  readonly partition?: number;
  readonly nodes?: string | number;
  readonly before?: number;
  readonly json?: boolean;
}

export function topicCommand(cli: CAC): void {
  connectionOptions(cli.command("topic <action> [name]", "create, list, describe, alter, move, trim or delete topics"))
    .option("--partitions <n>", "Partitions of a new topic")
    .option("--replicas <n>", "Replicas of each partition")
    .option("--retention-ms <ms>", "Records may go when they are older")
    .option("--retention-bytes <bytes>", "Per partition: the oldest may go above it")
    .option("--retention-consumed", "Records may go when every group has acknowledged them")
    .option("--partition <n>", "The partition to move or trim")
    .option("--nodes <ids>", "Where its replicas shall be; the first should lead")
    .option("--before <offset>", "Trim: records below it are deleted, for good")
    .option("--json", "One JSON document")
    .example("raftline topic create orders --partitions 16")
    .example("raftline topic trim orders --partition 0 --before 1000")
    .example("raftline topic describe orders --json")
    .example("raftline topic move orders --partition 0 --nodes 4,2,3")
    .action(runTopic);
}

async function runTopic(action: string, name: string | undefined, flags: TopicFlags): Promise<void> {
  const work = workOf(action, name, flags);
  const result = await withClient(flags, ({ admin }) => work(admin));
  console.log(flags.json ? JSON.stringify(result) : inWords(result));
}

/** What is to be done; a command line that makes no sense is refused before anybody is asked. */
function workOf(action: string, name: string | undefined, flags: TopicFlags): (admin: AdminClient) => Promise<object> {
  if (action === "list") return (admin) => admin.listTopics();
  const topic = named(name);
  switch (action) {
    case "create":
      return (admin) => admin.createTopic(topic, optionsOf(flags));
    case "describe":
      return (admin) => admin.describeTopic(topic);
    case "alter":
      return (admin) => admin.alterTopic(topic, { retention: retentionOf(flags) });
    case "move":
      return moveOf(topic, flags);
    case "trim":
      return trimOf(topic, flags);
    case "delete":
      return async (admin) => {
        await admin.deleteTopic(topic);
        return { deleted: topic };
      };
    default:
      throw new UsageError(`topic ${action}: not one of create, list, describe, alter, move, trim, delete`);
  }
}

function moveOf(topic: string, { partition, nodes }: TopicFlags): (admin: AdminClient) => Promise<object> {
  if (partition === undefined || nodes === undefined) {
    throw new UsageError("topic move: --partition and --nodes are missing");
  }
  const replicas = String(nodes).split(",").map(Number);
  return (admin) => admin.moveReplicas(topic, partition, replicas);
}

function trimOf(topic: string, { partition, before }: TopicFlags): (admin: AdminClient) => Promise<object> {
  if (partition === undefined || before === undefined) {
    throw new UsageError("topic trim wants --partition and --before");
  }
  return async (admin) => ({ topic, partition, startOffset: await admin.deleteRecords(topic, partition, before) });
}

function named(name: string | undefined): string {
  if (name === undefined) throw new UsageError("a topic's name is missing");
  return String(name);
}

function retentionOf({ retentionMs, retentionBytes, retentionConsumed }: TopicFlags): Retention {
  return {
    ...(retentionMs === undefined ? {} : { ms: retentionMs }),
    ...(retentionBytes === undefined ? {} : { bytes: retentionBytes }),
    ...(retentionConsumed === undefined ? {} : { consumed: retentionConsumed }),
  };
}

function optionsOf(flags: TopicFlags): TopicOptions {
  return {
    ...(flags.partitions === undefined ? {} : { partitions: flags.partitions }),
    ...(flags.replicas === undefined ? {} : { replicas: flags.replicas }),
    retention: retentionOf(flags),
  };
}

function inWords(result: object): string {
  const rows = Array.isArray(result) ? result : "partitions" in result ? (result.partitions as object[]) : [result];
  const title = "name" in result ? `${String(result.name)}\n` : "";
  const [first] = rows as Record<string, unknown>[];
  if (!first) return "none";
  const table = new Table({ head: Object.keys(first), style: { head: [], border: [] } });
  for (const row of rows as Record<string, unknown>[]) table.push(Object.values(row).map(String));
  return title + table.toString();
}

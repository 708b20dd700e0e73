import type { CAC } from "cac";
import Table from "cli-table3";
import type { AdminClient } from "../../../src/client/admin.ts";
import type { Retention, TopicChanges } from "../../../src/wire/admin-commands.ts";
import { checkAction } from "../actions.ts";
import { UsageError } from "../errors.ts";
import { wholeNumber } from "../whole-number.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

interface TopicFlags extends ConnectionFlags {
  readonly partitions?: string;
  readonly replicas?: string;
  readonly recordBytesMax?: string;
  readonly retentionMs?: string;
  readonly retentionBytes?: string;
  readonly retentionConsumed?: boolean;
  readonly partition?: string;
  readonly nodes?: string;
  readonly before?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const CHANGEABLE = ["recordBytesMax", "retentionMs", "retentionBytes", "retentionConsumed"] as const;

/** The flags of each action. */
const ACTIONS = {
  create: ["partitions", "replicas", ...CHANGEABLE],
  list: [],
  describe: [],
  alter: ["partitions", ...CHANGEABLE],
  move: ["partition", "nodes", "force"],
  trim: ["partition", "before"],
  delete: [],
} as const satisfies Record<string, readonly (keyof TopicFlags)[]>;

export function topicCommand(cli: CAC): void {
  connectionOptions(cli.command("topic <action> [name]", "create, list, describe, alter, move, trim or delete topics"))
    .option("--partitions <n>", "Create, alter: so many partitions; more can be added later, and none taken away")
    .option("--replicas <n>", "Replicas of each partition")
    .option("--record-bytes-max <bytes>", "Larger records are refused")
    .option("--retention-ms <ms>", "Records may go when they are older; none: whatever their age, they stay")
    .option("--retention-bytes <bytes>", "Per partition: the oldest may go above it; none: they stay")
    .option(
      "--retention-consumed",
      "Records may go when every group has acknowledged them; --no-retention-consumed ends it",
    )
    .option("--partition <n>", "The partition to move or trim")
    .option("--nodes <ids>", "Where its replicas shall be; the first should lead")
    .option("--force", "Move: although it has fewer replicas then")
    .option("--before <offset>", "Trim: records below it are deleted, for good")
    .option("--json", "One JSON document")
    .example("raftline topic create orders --partitions 16")
    .example("raftline topic alter orders --retention-ms none")
    .example("raftline topic alter orders --partitions 32")
    .example("raftline topic trim orders --partition 0 --before 1000")
    .example("raftline topic describe orders --json")
    .example("raftline topic move orders --partition 0 --nodes 3,1,2")
    .action(runTopic);
}

async function runTopic(action: string, name: string | undefined, flags: TopicFlags): Promise<void> {
  const work = workOf(action, name, flags);
  const result = await withClient(flags, ({ admin }) => work(admin));
  console.log(flags.json ? JSON.stringify(result) : inWords(result));
}

type Work = (admin: AdminClient) => Promise<object>;

/** What is to be done; a command line that makes no sense is refused before anybody is asked. */
function workOf(action: string, topic: string | undefined, flags: TopicFlags): Work {
  checkAction("topic", action, flags, ACTIONS);
  if (action === "list") {
    if (topic !== undefined) throw new UsageError(`topic list takes no name: topic describe ${topic}?`);
    return (admin) => admin.listTopics();
  }
  if (topic === undefined) throw new UsageError("a topic's name is missing");
  switch (action as Exclude<keyof typeof ACTIONS, "list">) {
    case "create":
      return createOf(topic, flags);
    case "describe":
      return (admin) => admin.describeTopic(topic);
    case "alter":
      return alterOf(topic, flags);
    case "move":
      return moveOf(topic, flags);
    case "trim":
      return trimOf(topic, flags);
    case "delete":
      return async (admin) => {
        await admin.deleteTopic(topic);
        return { deleted: topic };
      };
  }
}

function createOf(topic: string, flags: TopicFlags): Work {
  const { partitions, replicas } = flags;
  const options = {
    ...(partitions === undefined ? {} : { partitions: wholeNumber("--partitions", partitions) }),
    ...(replicas === undefined ? {} : { replicas: wholeNumber("--replicas", replicas) }),
    ...changesOf(flags),
  };
  return (admin) => admin.createTopic(topic, options);
}

function alterOf(topic: string, flags: TopicFlags): Work {
  const { partitions } = flags;
  const more = partitions === undefined ? {} : { partitions: wholeNumber("--partitions", partitions) };
  const changes = { ...changesOf(flags), ...more };
  if (Object.keys(changes).length === 0) {
    throw new UsageError(
      "topic alter: what? One of --partitions, --record-bytes-max, --retention-ms, -bytes, -consumed is missing",
    );
  }
  return (admin) => admin.alterTopic(topic, changes);
}

function moveOf(topic: string, { partition, nodes, force = false }: TopicFlags): Work {
  if (partition === undefined || nodes === undefined) {
    throw new UsageError("topic move: --partition and --nodes are missing");
  }
  const number = wholeNumber("--partition", partition);
  const replicas = nodes.split(",").map((id) => wholeNumber("--nodes", id.trim()));
  return async (admin) => {
    if (!force) await refuseFewer(admin, topic, number, replicas.length);
    return await admin.moveReplicas(topic, number, replicas);
  };
}

/** One node named is easily one to add, or one to lead. */
async function refuseFewer(admin: AdminClient, topic: string, partition: number, wanted: number): Promise<void> {
  const { partitions } = await admin.describeTopic(topic);
  const now = partitions[partition]?.replicas.length ?? 0;
  if (wanted >= now) return;
  throw new UsageError(
    `topic move: partition ${partition} has ${now} replicas, and --nodes names ${wanted}; --force, if that is meant`,
  );
}

function trimOf(topic: string, flags: TopicFlags): Work {
  if (flags.partition === undefined || flags.before === undefined) {
    throw new UsageError("topic trim wants --partition and --before");
  }
  const partition = wholeNumber("--partition", flags.partition);
  const before = wholeNumber("--before", flags.before);
  return async (admin) => ({ topic, partition, startOffset: await admin.deleteRecords(topic, partition, before) });
}

/** Those that were given. */
function changesOf({ recordBytesMax, retentionMs, retentionBytes, retentionConsumed }: TopicFlags): TopicChanges {
  const retention: Retention = {
    ...(retentionMs === undefined ? {} : { ms: boundOf("--retention-ms", retentionMs) }),
    ...(retentionBytes === undefined ? {} : { bytes: boundOf("--retention-bytes", retentionBytes) }),
    ...(retentionConsumed === undefined ? {} : { consumed: retentionConsumed }),
  };
  return {
    ...(recordBytesMax === undefined ? {} : { recordBytesMax: wholeNumber("--record-bytes-max", recordBytesMax) }),
    ...(Object.keys(retention).length === 0 ? {} : { retention }),
  };
}

function boundOf(flag: string, text: string): number | null {
  return text === "none" ? null : wholeNumber(flag, text);
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

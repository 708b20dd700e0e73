import process from "node:process";
import type { CAC } from "cac";
import type { Client } from "../../../src/client/client.ts";
import type { ConsumerRecord } from "../../../src/client/consumer-records.ts";
import { UsageError } from "../errors.ts";
import { parseFrom } from "../parse-from.ts";
import { stopSignal } from "../stop-signal.ts";
import { BOOTSTRAP_OPTION, withClient } from "../with-client.ts";

interface ConsumeFlags {
  readonly bootstrap: string;
  readonly from?: string | number;
  readonly max?: number;
  readonly group?: string;
  readonly queue?: string;
  readonly untilEnd?: boolean;
  readonly json?: boolean;
}

export function consumeCommand(cli: CAC): void {
  cli.command("consume <topic>", "Print records as they come")
    .option(...BOOTSTRAP_OPTION)
    .option(
      "--from <where>",
      "earliest, latest, an offset, or a time as 2026-01-31T12:00:00Z (latest; new groups: earliest)",
    )
    .option("--max <n>", "Stop after so many records")
    .option("--until-end", "Stop at what is there now")
    .option("--group <name>", "Share the partitions with all consumers of this group, and go on where it was")
    .option("--queue <group>", "Take records from this group's queue, and acknowledge each one that was printed")
    .option("--json", "JSON lines with topic, partition, offset, timestamp, key, value")
    .example("raftline consume orders --from earliest --max 10")
    .example("raftline consume orders --group stock")
    .example("raftline consume orders --queue mail --max 10")
    .action(runConsume);
}

async function runConsume(topic: string, flags: ConsumeFlags): Promise<void> {
  const max = flags.max ?? Infinity;
  if (!(max >= 0)) throw new UsageError("--max wants a number");
  if (flags.group !== undefined && (flags.queue !== undefined || flags.untilEnd)) {
    throw new UsageError("--group goes neither with --queue nor with --until-end");
  }
  await withClient(flags.bootstrap, async (client) => {
    if (flags.queue !== undefined) return await takeFromQueue(client, String(topic), max, flags);
    const { group } = flags;
    const consumer = client.consumer({
      topics: [String(topic)],
      ...beginning(flags),
      ...(flags.untilEnd ? { until: "end" as const } : {}),
      ...(group === undefined ? {} : { group: String(group) }),
    });
    stopSignal().then(() => consumer.close());
    let printed = 0;
    if (max > 0) {
      for await (const record of consumer) {
        await print(record, flags.json);
        printed += 1;
        if (printed < max) continue;
        if (group !== undefined) await consumer.commit();
        break;
      }
    }
    await consumer.close();
  });
}

function beginning({ from }: ConsumeFlags): { readonly from?: ReturnType<typeof parseFrom> } {
  return from === undefined ? {} : { from: parseFrom("--from", from) };
}

async function takeFromQueue(client: Client, topic: string, max: number, flags: ConsumeFlags): Promise<void> {
  const queue = client.queue(topic, { group: String(flags.queue), ...beginning(flags) });
  stopSignal().then(() => queue.close());
  let printed = 0;
  if (max > 0) {
    for await (const message of queue) {
      await print(message, flags.json);
      await message.ack();
      printed += 1;
      if (printed >= max) break;
    }
  }
  await queue.close();
}

async function print(record: ConsumerRecord, json = false): Promise<void> {
  const key = record.key === null ? null : new TextDecoder().decode(record.key);
  const { topic, partition, offset, timestamp } = record;
  const line = json
    ? JSON.stringify({ topic, partition, offset, timestamp, key, value: record.text() })
    : `${key === null ? "" : `${key}\t`}${record.text()}`;
  if (!process.stdout.write(`${line}\n`)) await new Promise((drained) => process.stdout.once("drain", drained));
}

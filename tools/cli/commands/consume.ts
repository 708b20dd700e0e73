import process from "node:process";
import type { CAC } from "cac";
import type { Client } from "../../../src/client/client.ts";
import type { ConsumerRecord } from "../../../src/client/consumer-records.ts";
import type { QueueOptions } from "../../../src/client/queue-options.ts";
import { UsageError } from "../errors.ts";
import { parseFrom } from "../parse-from.ts";
import { stopSignal } from "../stop-signal.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

interface ConsumeFlags extends ConnectionFlags {
  readonly from?: string | number;
  readonly max?: number;
  readonly group?: string;
  readonly queue?: string;
  readonly leaseMs?: unknown;
  readonly deliveriesMax?: unknown;
  readonly deadLetter?: string;
  readonly keyOrdered?: boolean;
  readonly untilEnd?: boolean;
  readonly json?: boolean;
}

export function consumeCommand(cli: CAC): void {
  connectionOptions(cli.command("consume <topic>", "Print records as they come"))
    .option(
      "--from <where>",
      "earliest, latest, an offset, or a time as 2026-01-31T12:00:00Z (latest; new groups: earliest)",
    )
    .option("--max <n>", "Stop after so many records")
    .option("--until-end", "Stop at what is there now")
    .option("--group <name>", "Share the partitions with all consumers of this group, and go on where it was")
    .option("--queue <group>", "Take records from this group's queue, and acknowledge each one that was printed")
    .option(
      "--lease-ms <n>",
      "Queue: how long a record is one consumer's (30000). What is given last holds for all of it",
    )
    .option("--dead-letter <topic>", "Queue: where records go that were given up")
    .option("--deliveries-max <n>", "Queue: after so many deliveries (5 with --dead-letter)")
    .option("--key-ordered", "Queue: one record of a key at a time, in order")
    .option("--json", "JSON lines with topic, partition, offset, timestamp, key, value")
    .example("raftline consume orders --from earliest --max 10")
    .example("raftline consume orders --group stock")
    .example("raftline consume orders --queue mail --dead-letter orders.dead --max 10")
    .action(runConsume);
}

async function runConsume(topic: string, flags: ConsumeFlags): Promise<void> {
  const max = flags.max ?? Infinity;
  if (!(max >= 0)) throw new UsageError("--max wants a number");
  if (flags.group !== undefined && (flags.queue !== undefined || flags.untilEnd)) {
    throw new UsageError("--group goes neither with --queue nor with --until-end");
  }
  if (flags.queue === undefined && Object.keys(queueFlags(flags)).length > 0) {
    throw new UsageError("--lease-ms, --dead-letter, --deliveries-max and --key-ordered go with --queue");
  }
  await withClient(flags, async (client) => {
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

/** Those that were given. */
function queueFlags({ leaseMs, deliveriesMax, deadLetter, keyOrdered }: ConsumeFlags): Partial<QueueOptions> {
  return {
    ...(leaseMs === undefined ? {} : { leaseMs: wholeNumber("--lease-ms", leaseMs) }),
    ...(deliveriesMax === undefined ? {} : { deliveriesMax: wholeNumber("--deliveries-max", deliveriesMax) }),
    ...(deadLetter === undefined ? {} : { deadLetter: String(deadLetter) }),
    ...(keyOrdered ? { keyOrdered } : {}),
  };
}

function wholeNumber(flag: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new UsageError(`${flag} wants a whole number, not ${value}`);
}

async function takeFromQueue(client: Client, topic: string, max: number, flags: ConsumeFlags): Promise<void> {
  const queue = client.queue(topic, { group: String(flags.queue), ...beginning(flags), ...queueFlags(flags) });
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

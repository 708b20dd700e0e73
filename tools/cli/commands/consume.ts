import type { CAC } from "cac";
import type { Consumer } from "../../../src/client/consumer.ts";
import type { ConsumerRecord } from "../../../src/client/consumer-records.ts";
import type { Queue } from "../../../src/client/queue.ts";
import type { QueueOptions } from "../../../src/client/queue-options.ts";
import { UsageError } from "../errors.ts";
import { writeLine } from "../output.ts";
import { parseFrom } from "../parse-from.ts";
import { stopSignal } from "../stop-signal.ts";
import { wholeNumber } from "../whole-number.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

interface ConsumeFlags extends ConnectionFlags {
  readonly from?: string;
  readonly max?: string;
  readonly group?: string;
  readonly queue?: string;
  readonly leaseMs?: string;
  readonly deliveriesMax?: string;
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
  const max = flags.max === undefined ? Infinity : wholeNumber("--max", flags.max);
  const from = flags.from === undefined ? {} : { from: parseFrom("--from", flags.from) };
  const queueOptions = queueFlags(flags);
  const { group, queue, untilEnd = false, json = false } = flags;
  const ways = [group !== undefined, queue !== undefined, untilEnd];
  if (ways.filter((is) => is).length > 1) throw new UsageError("--group, --queue and --until-end exclude each other");
  if (queue === undefined && Object.keys(queueOptions).length > 0) {
    throw new UsageError("--lease-ms, --dead-letter, --deliveries-max and --key-ordered go with --queue");
  }
  await withClient(flags, async (client) => {
    if (queue !== undefined) {
      return await takeAll(client.queue(topic, { group: queue, ...from, ...queueOptions }), max, json);
    }
    const until = untilEnd ? { until: "end" as const } : {};
    const of = group === undefined ? {} : { group };
    await readAll(client.consumer({ topics: [topic], ...from, ...until, ...of }), max, json, group !== undefined);
  });
}

async function readAll(consumer: Consumer, max: number, json: boolean, commits: boolean): Promise<void> {
  stopSignal().then(() => consumer.close());
  let printed = 0;
  if (max > 0) {
    for await (const record of consumer) {
      if (!await print(record, json)) break;
      printed += 1;
      if (printed < max) continue;
      if (commits) await consumer.commit();
      break;
    }
  }
  await consumer.close();
}

async function takeAll(queue: Queue, max: number, json: boolean): Promise<void> {
  stopSignal().then(() => queue.close());
  let printed = 0;
  if (max > 0) {
    for await (const message of queue) {
      if (!await print(message, json)) break;
      await message.ack();
      printed += 1;
      if (printed >= max) break;
    }
  }
  await queue.close();
}

/** Those that were given. */
function queueFlags({ leaseMs, deliveriesMax, deadLetter, keyOrdered }: ConsumeFlags): Partial<QueueOptions> {
  return {
    ...(leaseMs === undefined ? {} : { leaseMs: wholeNumber("--lease-ms", leaseMs) }),
    ...(deliveriesMax === undefined ? {} : { deliveriesMax: wholeNumber("--deliveries-max", deliveriesMax) }),
    ...(deadLetter === undefined ? {} : { deadLetter }),
    ...(keyOrdered ? { keyOrdered } : {}),
  };
}

/** False: nobody reads it any more. It is not done with, then. */
function print(record: ConsumerRecord, json: boolean): Promise<boolean> {
  const key = record.key === null ? null : new TextDecoder().decode(record.key);
  const { topic, partition, offset, timestamp } = record;
  return writeLine(
    json
      ? JSON.stringify({ topic, partition, offset, timestamp, key, value: record.text() })
      : `${key === null ? "" : `${key}\t`}${record.text()}`,
  );
}

import process from "node:process";
import type { CAC } from "cac";
import { UsageError } from "../errors.ts";
import { stopSignal } from "../stop-signal.ts";
import { BOOTSTRAP_OPTION, withClient } from "../with-client.ts";

interface ConsumeFlags {
  readonly bootstrap: string;
  readonly from: string | number;
  readonly max?: number;
  readonly untilEnd?: boolean;
  readonly json?: boolean;
}

export function consumeCommand(cli: CAC): void {
  cli.command("consume <topic>", "Print records as they come")
    .option(...BOOTSTRAP_OPTION)
    .option("--from <where>", "earliest, latest, an offset, or a time as 2026-01-31T12:00:00Z", { default: "latest" })
    .option("--max <n>", "Stop after so many records")
    .option("--until-end", "Stop at what is there now")
    .option("--json", "JSON lines with topic, partition, offset, timestamp, key, value")
    .example("raftline consume orders --from earliest --max 10")
    .action(runConsume);
}

async function runConsume(topic: string, flags: ConsumeFlags): Promise<void> {
  const max = flags.max ?? Infinity;
  if (!(max >= 0)) throw new UsageError("--max wants a number");
  await withClient(flags.bootstrap, async (client) => {
    const consumer = client.consumer({
      topics: [String(topic)],
      from: parseFrom(flags.from),
      ...(flags.untilEnd ? { until: "end" as const } : {}),
    });
    stopSignal().then(() => consumer.close());
    let printed = 0;
    if (max > 0) {
      for await (const record of consumer) {
        const key = record.key === null ? null : new TextDecoder().decode(record.key);
        const { partition, offset, timestamp } = record;
        const line = flags.json
          ? JSON.stringify({ topic, partition, offset, timestamp, key, value: record.text() })
          : `${key === null ? "" : `${key}\t`}${record.text()}`;
        if (!process.stdout.write(`${line}\n`)) await new Promise((drained) => process.stdout.once("drain", drained));
        printed += 1;
        if (printed >= max) break;
      }
    }
    await consumer.close();
  });
}

function parseFrom(from: string | number): "earliest" | "latest" | number | { timeMs: number } {
  if (from === "earliest" || from === "latest") return from;
  if (typeof from === "number" && Number.isSafeInteger(from) && from >= 0) return from;
  const timeMs = Date.parse(String(from));
  if (Number.isNaN(timeMs)) throw new UsageError(`--from ${from}: not earliest, latest, an offset or a time`);
  return { timeMs };
}

import fs from "node:fs";
import process from "node:process";
import readline from "node:readline";
import type { CAC } from "cac";
import type { Producer } from "../../../src/client/producer.ts";
import { PublishError, UsageError } from "../errors.ts";
import { type Progress, progressOnTerminal } from "../progress.ts";
import { stopSignal } from "../stop-signal.ts";
import { type ConnectionFlags, connectionOptions, withClient } from "../with-client.ts";

interface ProduceFlags extends ConnectionFlags {
  readonly file?: string;
  readonly keyField?: string;
  readonly json?: boolean;
}

const CHUNK_RECORDS = 10_000;

export function produceCommand(cli: CAC): void {
  connectionOptions(cli.command("produce <topic>", "Publish lines, from standard input or a file"))
    .option("--file <path>", "Read this file instead of standard input")
    .option("--key-field <name>", "Lines are JSON objects; this field is the key")
    .option("--json", "One JSON document at the end")
    .example("raftline produce orders --file orders.jsonl --key-field id")
    .action(runProduce);
}

async function runProduce(topic: string, flags: ProduceFlags): Promise<void> {
  const input = flags.file === undefined ? process.stdin : await openFile(flags.file);
  const progress = progressOnTerminal("records published", flags.json === true);
  const startedMs = performance.now();
  const records = await withClient(flags, async (client) => {
    const producer = client.producer();
    // A topic that is not there is no success, though no line comes.
    await producer.sendAll(topic, []);
    const sent = await publish(producer, topic, input, flags.keyField, progress);
    await producer.close();
    return sent;
  });
  const seconds = (performance.now() - startedMs) / 1000;
  progress.end();
  if (flags.json) console.log(JSON.stringify({ topic, records, seconds }));
  else console.log(`${records} records published to ${topic} in ${seconds.toFixed(2)} s, each on a majority's disks`);
}

/** Resolves with how many. @throws {PublishError} */
async function publish(
  producer: Producer,
  topic: string,
  input: NodeJS.ReadableStream,
  keyField: string | undefined,
  progress: Progress,
): Promise<number> {
  // Made where it is iterated: lines that came before anyone asks for them are lost.
  const lines = readline.createInterface({ input, crlfDelay: Infinity });
  stopSignal().then(() => lines.close());
  let sent = 0;
  let chunk: { key?: string; value: string }[] = [];
  const flush = async () => {
    await producer.sendAll(topic, chunk);
    sent += chunk.length;
    progress.update(sent);
    chunk = [];
  };
  try {
    for await (const line of lines) {
      chunk.push(toRecord(line, keyField));
      if (chunk.length >= CHUNK_RECORDS) await flush();
    }
    if (chunk.length > 0) await flush();
  } catch (error) {
    throw new PublishError(sent, error as Error);
  }
  return sent;
}

function openFile(path: string): Promise<fs.ReadStream> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string) => reject(new UsageError(`--file: cannot read ${path}: ${why}`));
    const stream = fs.createReadStream(path);
    stream.once("open", (descriptor) => {
      if (fs.fstatSync(descriptor).isDirectory()) refuse("it is a folder");
      else resolve(stream);
    });
    stream.once("error", (error) => refuse(error.message));
  });
}

function toRecord(line: string, keyField: string | undefined): { key?: string; value: string } {
  if (keyField === undefined) return { value: line };
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new UsageError(`--key-field wants JSON lines; this is not one: ${line.slice(0, 100)}`);
  }
  const key = typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>)[keyField] : undefined;
  if (key === undefined || key === null) throw new UsageError(`no field "${keyField}" in: ${line.slice(0, 100)}`);
  return { key: String(key), value: line };
}

#!/usr/bin/env -S UV_THREADPOOL_SIZE=16 MALLOC_ARENA_MAX=1 node --max-semi-space-size=2 --heap-growing-percent=300 --v8-pool-size=1
/** `raftline`: the command line. Each command is a file in commands/. */
import process from "node:process";
import { type CAC, cac } from "cac";
import { UsageError } from "./errors.ts";
import { reportFailure } from "./failure.ts";
import { bearClosedOutput } from "./output.ts";
import { runCommand } from "./run-command.ts";

/** Only the one asked for is loaded: a command that asks a cluster has no use for a whole node's code. */
const COMMANDS: Readonly<Record<string, () => Promise<(cli: CAC) => void>>> = {
  dev: async () => (await import("./commands/dev.ts")).devCommand,
  node: async () => (await import("./commands/node.ts")).nodeCommand,
  demo: async () => (await import("./commands/demo.ts")).demoCommand,
  cluster: async () => (await import("./commands/cluster.ts")).clusterCommand,
  topic: async () => (await import("./commands/topic.ts")).topicCommand,
  group: async () => (await import("./commands/group.ts")).groupCommand,
  produce: async () => (await import("./commands/produce.ts")).produceCommand,
  consume: async () => (await import("./commands/consume.ts")).consumeCommand,
  log: async () => (await import("./commands/log.ts")).logCommand,
};

const [name, ...words] = process.argv.slice(2);
const cli = cac("raftline");
for (const load of commandsFor(name)) (await load())(cli);
cli.help();
cli.version("0.1.0");
bearClosedOutput();

try {
  const command = cli.commands.find((one) => one.name === name);
  if (command) await runCommand(command, words);
  else if (name === undefined || name === "--help" || name === "-h") cli.outputHelp();
  else if (name === "--version" || name === "-v") cli.outputVersion();
  else if (name.startsWith("-")) throw new UsageError(`the command comes first, and ${name} after it`);
  else throw new UsageError(`there is no command "${name}"`);
} catch (error) {
  // At once: what a command that failed has left open, as the standard input that it listened to, holds up nothing.
  process.exit(await reportFailure(error, process.argv.includes("--json")));
}

/** All of them for `--help`, and where the first word is none. */
function commandsFor(asked: string | undefined): (() => Promise<(cli: CAC) => void>)[] {
  return asked !== undefined && Object.hasOwn(COMMANDS, asked) ? [COMMANDS[asked]!] : Object.values(COMMANDS);
}

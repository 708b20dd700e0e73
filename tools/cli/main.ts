#!/usr/bin/env -S UV_THREADPOOL_SIZE=16 MALLOC_ARENA_MAX=1 node --max-semi-space-size=2 --heap-growing-percent=300 --v8-pool-size=1
/** `raftline`: the command line. Each command is a file in commands/. */
import process from "node:process";
import { type CAC, cac } from "cac";
import { UsageError } from "./errors.ts";
import { reportFailure } from "./failure.ts";

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

const cli = cac("raftline");
for (const load of commandsFor(process.argv[2])) (await load())(cli);
cli.help();
cli.version("0.1.0");

try {
  cli.parse(process.argv, { run: false });
  if (!cli.matchedCommand && !cli.options.help && !cli.options.version) {
    if (cli.args.length > 0) throw new UsageError(`there is no command "${cli.args[0]}"`);
    cli.outputHelp();
  }
  await cli.runMatchedCommand();
} catch (error) {
  process.exitCode = reportFailure(error, cli.options.json === true);
}

/** All of them for `--help`, and where the first word is none. */
function commandsFor(name: string | undefined): (() => Promise<(cli: CAC) => void>)[] {
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
}

#!/usr/bin/env -S UV_THREADPOOL_SIZE=16 MALLOC_ARENA_MAX=1 node --max-semi-space-size=2 --heap-growing-percent=300 --v8-pool-size=1
/** `raftline`: the command line. Each command is a file in commands/. */
import process from "node:process";
import { cac } from "cac";
import { UsageError } from "./errors.ts";
import { reportFailure } from "./failure.ts";
import { consumeCommand } from "./commands/consume.ts";
import { demoCommand } from "./commands/demo.ts";
import { devCommand } from "./commands/dev.ts";
import { logCommand } from "./commands/log.ts";
import { groupCommand } from "./commands/group.ts";
import { nodeCommand } from "./commands/node.ts";
import { produceCommand } from "./commands/produce.ts";
import { topicCommand } from "./commands/topic.ts";

const COMMANDS = [
  devCommand,
  nodeCommand,
  demoCommand,
  topicCommand,
  groupCommand,
  produceCommand,
  consumeCommand,
  logCommand,
];

const cli = cac("raftline");
for (const register of COMMANDS) register(cli);
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

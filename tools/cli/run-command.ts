/**
 * Reads a command's arguments and runs it. cac declares the commands and prints their help; what was typed is read by
 * Node's own parser, for cac makes a number of whatever looks like one: a group "007" would be group "7".
 */
import { parseArgs } from "node:util";
import type { Command } from "cac";
import { UsageError } from "./errors.ts";

/** By name in camelCase: the text as it was typed, or true. */
type Flags = Record<string, string | boolean>;

/** @throws {UsageError} An option that is not known, has no value or is there twice; an argument too many or too few. */
export async function runCommand(command: Command, words: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(command, words);
  if (values["help"]) return command.outputHelp();
  const { args, rawName } = command;
  const missing = args.slice(positionals.length).find(({ required }) => required);
  if (missing) throw new UsageError(`raftline ${rawName}: <${missing.value}> is missing`);
  if (positionals.length > args.length) {
    throw new UsageError(`raftline ${rawName}: "${positionals[args.length]}" is one argument too many`);
  }
  await command.commandAction!(...args.map((_, i) => positionals[i]), flagsOf(command, values));
}

/** Every option is collected, so that the second of a kind is seen. */
type Values = Readonly<Record<string, readonly (string | boolean)[] | undefined>>;

function parsed(command: Command, words: readonly string[]): { values: Values; positionals: string[] } {
  const options = Object.fromEntries(command.options.map((option) => {
    return [nameOf(option.rawName), { type: option.isBoolean ? "boolean" : "string", multiple: true } as const];
  }));
  const help = { type: "boolean", multiple: true, short: "h" } as const;
  try {
    return parseArgs({
      args: [...words],
      options: { ...options, help },
      allowPositionals: true,
      allowNegative: true,
    });
  } catch (error) {
    throw new UsageError((error as Error).message.replaceAll("\n", " "));
  }
}

function flagsOf(command: Command, values: Values): Flags {
  const flags: Flags = {};
  for (const { rawName, config } of command.options) {
    const name = nameOf(rawName);
    const given = values[name] ?? [];
    if (given.length > 1) throw new UsageError(`--${name} is there twice`);
    const value = given[0] ?? config.default;
    if (value === "") throw new UsageError(`--${name} wants a value`);
    if (value !== undefined) flags[camelCase(name)] = value;
  }
  return flags;
}

/** "--key-field <name>" → "key-field" */
function nameOf(rawName: string): string {
  return /^--([a-z-]+)/.exec(rawName)![1]!;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

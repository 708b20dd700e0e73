/** How to start this project's programs as child processes, on whichever runtime this one runs. */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** `.ts` in a checkout, `.js` in dist/. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

export const runtimeName = "Deno" in globalThis ? "deno" : "node";

/** Path of a program, given relative to tools/ and without its ending. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`../${name}${EXTENSION}`, import.meta.url));
}

/** @example spawnProgram("cli/main", ["node", "--config", "node.yaml"], { stdio: "inherit" }) */
export function spawnProgram(name: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const prefix = runtimeName === "deno" ? ["run", "-A"] : process.execArgv;
  return spawn(process.execPath, [...prefix, programPath(name), ...args], options);
}

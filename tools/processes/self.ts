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

/**
 * Frames and batches are short-lived and large: with a young generation of this size a node spends a tenth of its time
 * less on collecting garbage (measured by `bench publish`).
 */
const YOUNG_GENERATION = "--max-semi-space-size=32";

/** @example spawnProgram("cli/main", ["node", "--config", "node.yaml"], { stdio: "inherit" }) */
export function spawnProgram(name: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const own = process.execArgv.filter((arg) => arg !== YOUNG_GENERATION);
  const prefix = runtimeName === "deno" ? ["run", "-A", `--v8-flags=${YOUNG_GENERATION}`] : [YOUNG_GENERATION, ...own];
  return spawn(process.execPath, [...prefix, programPath(name), ...args], options);
}

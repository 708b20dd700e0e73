/** How to start this project's programs as child processes, on whichever runtime this one runs. */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** `.ts` in a checkout, `.js` in dist/. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

export const runtimeName = "Deno" in globalThis ? "deno" : "node";

/**
 * Set by `npm test`, which has compiled them: programs are those in dist/, as users run them, though this process runs the
 * sources. A program that Node has to translate first takes more than twice as long to start.
 */
const USES_DIST = EXTENSION === ".ts" && process.env["RAFTLINE_PROGRAMS"] === "dist";

/** Path of a program, given relative to tools/ and without its ending. */
export function programPath(name: string): string {
  const path = USES_DIST ? `../../dist/tools/${name}.js` : `../${name}${EXTENSION}`;
  return fileURLToPath(new URL(path, import.meta.url));
}

/**
 * How a broker's garbage is collected. Frames and batches are short-lived, large and outside the heap, which is small: as
 * it comes, V8 marks the whole heap after every 45 MB that outlived two scavenges. So old space may grow fourfold between
 * two marks (`bench publish`: half the processor time a record; tenfold was no faster). Under load it is the bytes outside
 * of the heap that call for scavenges, five a second whatever the young generation's size: a small one stops a quiet
 * broker for 0.7 ms at a time where one of 16 MB stops it for 3.
 */
const COLLECTOR = ["--max-semi-space-size=2", "--heap-growing-percent=300"];

/**
 * Node gives V8 four helpers, whatever the machine has: on two cores four that mark the heap take both from everybody else
 * for 10 to 20 ms. Deno leaves it to V8: one less than the cores.
 */
const HELPERS = ["--v8-pool-size=1"];

/**
 * Disk threads of Node, which has four otherwise: the log reads with all but one. And one arena for all of them: with one
 * for each thread glibc keeps what is freed in each (50 to 100 MB more while a backlog is drained, and no faster). Deno
 * needs neither.
 */
const THREADS = { UV_THREADPOOL_SIZE: "16", MALLOC_ARENA_MAX: "1" };

/** @example spawnProgram("cli/main", ["node", "--config", "node.yaml"], { stdio: "inherit" }) */
export function spawnProgram(name: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const flags = [...COLLECTOR, ...HELPERS];
  const own = USES_DIST ? [] : process.execArgv.filter((arg) => !flags.includes(arg));
  const prefix = runtimeName === "deno" ? ["run", "-A", `--v8-flags=${COLLECTOR.join(",")}`] : [...flags, ...own];
  const env = { ...THREADS, ...options.env ?? process.env };
  return spawn(process.execPath, [...prefix, programPath(name), ...args], { ...options, env });
}

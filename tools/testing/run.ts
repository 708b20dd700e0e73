/** `npm test`: every test file in a process of its own, two at a time, closing with `N passed, N failed`. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type FileResult, RESULT_MARK } from "./result.ts";

/** What a file that hangs costs; four times what the longest takes on a machine of half the speed, so no slow machine meets it. */
const FILE_TIME_MS_MAX = 400_000;
const PROCESSES = 2;

const HELP = `npm test [-- [--json] [PART …]]   runs the test files whose path contains one of the parts (all without)

  npm test -- raft log      only test/raft and test/log
  --json                    the last line is {"passed":N,"failed":N,"files":N}`;

interface Outcome extends FileResult {
  readonly file: string;
  readonly output: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

export function findTestFiles(folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && entry.name !== "fixtures") found.push(...findTestFiles(path));
    else if (entry.name.endsWith(".test.ts")) found.push(path);
  }
  return found.sort();
}

export function runInChild(file: string, timeMsMax = FILE_TIME_MS_MAX): Promise<Outcome> {
  const runner = fileURLToPath(new URL("run-file.ts", import.meta.url));
  const isDeno = "Deno" in globalThis;
  const prefix = isDeno ? ["run", "-A", "--v8-flags=--expose-gc"] : [...process.execArgv, "--expose-gc"];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...prefix, runner, file], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(child.pid, "SIGKILL");
    }, timeMsMax);
    child.on("close", (code) => {
      clearTimeout(timer);
      const output = Buffer.concat(chunks).toString();
      const mark = output.lastIndexOf(RESULT_MARK);
      const why = timedOut ? `not finished after ${timeMsMax} ms` : `ended with code ${code} before its result`;
      const result: FileResult = mark < 0
        ? { passed: 0, failed: 0, problems: [why] }
        : JSON.parse(output.slice(mark + RESULT_MARK.length));
      resolve({ file, output: mark < 0 ? output : output.slice(0, mark), ...result });
    });
  });
}

/** A problem that is no test's own counts as one failure. */
export function failuresOf(outcome: FileResult): number {
  return outcome.failed + outcome.problems.length;
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--help")) return console.log(HELP);
  const parts = args.filter((arg) => !arg.startsWith("--"));
  const files = findTestFiles(`${root}test`)
    .filter((file) => parts.length === 0 || parts.some((part) => file.slice(root.length).includes(part)));
  if (!("Deno" in globalThis)) compilePrograms();
  let passed = 0;
  let failed = 0;
  const waiting = [...files];
  await Promise.all(Array.from({ length: PROCESSES }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const startedMs = performance.now();
      const outcome = await runInChild(file);
      passed += outcome.passed;
      failed += failuresOf(outcome);
      report(outcome, performance.now() - startedMs);
    }
  }));
  if (passed + failed === 0) {
    console.log("no test was run");
    failed = 1;
  }
  if (args.includes("--json")) console.log(JSON.stringify({ passed, failed, files: files.length }));
  else console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

/** See tools/processes/self.ts. */
function compilePrograms(): void {
  const { status } = spawnSync(process.execPath, [`${root}tools/build.mjs`], { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("the programs cannot be compiled");
  process.env["RAFTLINE_PROGRAMS"] = "dist";
}

function report(outcome: Outcome, tookMs: number): void {
  const bad = failuresOf(outcome) > 0;
  const name = outcome.file.slice(root.length);
  console.log(
    `${bad ? "✗" : "✓"} ${name}  ${outcome.passed} passed, ${outcome.failed} failed, ${(tookMs / 1000).toFixed(1)} s`,
  );
  if (!bad) return;
  for (const problem of outcome.problems) console.log(`  ${problem}`);
  console.log(outcome.output.trimEnd());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));

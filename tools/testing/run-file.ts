/**
 * Runs the uvu suites of one test file and prints one JSON line with what happened, last on standard output.
 * uvu alone says green when a test throws a non-Error, when a `before` hook throws, when `.run()` is forgotten; here
 * each of these is a failure. Used by run.ts, one process a file.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { type FileResult, RESULT_MARK } from "./result.ts";

type SuiteOutcome = readonly [errors: string | true, ran: number, skipped: number, total: number];
type QueuedSuite = () => Promise<SuiteOutcome>;

async function runFile(file: string): Promise<FileResult> {
  const queue: [null, ...QueuedSuite[]][] = [[null]];
  Object.assign(globalThis, { UVU_DEFER: 1, UVU_INDEX: 0, UVU_QUEUE: queue });
  await import(pathToFileURL(file).href);
  const source = readFileSync(file, "utf8");
  const problems = [...suitesNeverRun(source), ...testsLeftOut(source)];
  const suites = queue[0]!.slice(1) as QueuedSuite[];
  if (suites.length === 0) problems.push("no suite was registered: is .run() missing?");
  let passed = 0;
  let failed = 0;
  for (const suite of suites) {
    try {
      const [errors, ran, , total] = await suite();
      passed += ran;
      // Tests that neither passed nor were reported: the suite broke off, whatever it says.
      failed += total - ran;
      if (typeof errors === "string" && errors !== "") console.log(errors);
      if (total === 0) problems.push("a suite without tests");
    } catch (error) {
      problems.push(`a suite broke off: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  return { passed, failed, problems };
}

/** Names of suites that the source makes and never runs. */
function suitesNeverRun(source: string): string[] {
  return [...source.matchAll(/^const (\w+) = suite(?:<[^>]*>)?\(/gm)]
    .map(([, name]) => name!)
    .filter((name) => !source.includes(`${name}.run()`))
    .map((name) => `the suite ${name} is never run: ${name}.run() is missing`);
}

/** uvu does not count what `skip` leaves out, nor say that `only` left out the rest. */
function testsLeftOut(source: string): string[] {
  return [...source.matchAll(/^\w+\.(skip|only)\(/gm)].map(([, how]) => `.${how}( leaves tests out in silence`);
}

const file = process.argv[2];
if (file === undefined) throw new Error("usage: run-file.ts FILE");
const result = await runFile(file).catch((error: unknown): FileResult => ({
  passed: 0,
  failed: 0,
  problems: [error instanceof Error ? error.stack ?? error.message : String(error)],
}));
process.stdout.write(`\n${RESULT_MARK}${JSON.stringify(result)}\n`, () => process.exit(0));

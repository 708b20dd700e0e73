/** `npm run sim`: many seeds, or one with its story, or the planted bugs. */
import process from "node:process";
import { cac } from "cac";
import { UsageError } from "../cli/errors.ts";
import { reportFailure } from "../cli/failure.ts";
import { runBatch } from "./batch.ts";
import { CANARIES } from "./canaries.ts";
import { CANARY_SEEDS_MAX, type CanaryResult } from "./canary-run.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import { minimize } from "./minimize.ts";
import { canaryLine, failureText, replayCommand, totalsText } from "./report.ts";
import { DEFAULT_SECONDS, simulate } from "./simulation.ts";
import { defaultWorkers, runJobs } from "./workers.ts";

interface SimFlags {
  readonly seeds?: unknown;
  readonly seed?: unknown;
  readonly from: unknown;
  readonly seconds: unknown;
  readonly faults?: unknown;
  readonly workers: unknown;
  readonly trace?: boolean;
  readonly minimize?: boolean;
  readonly canaries?: boolean | string;
  readonly json?: boolean;
}

interface Settings {
  readonly seconds: number;
  readonly faults?: readonly FaultName[];
}

const cli = cac("sim");
cli.command("", "Simulate a cluster, its clients and faults, from seeds")
  .option("--seeds <n>", "How many seeds", { default: 20 })
  .option("--from <seed>", "The first of them", { default: 1 })
  .option("--seed <seed>", "One seed")
  .option("--seconds <n>", "Simulated seconds with faults, each", { default: DEFAULT_SECONDS })
  .option("--faults <names>", `Only these may be drawn: ${FAULT_NAMES.join(",")}`)
  .option("--workers <n>", "Processes", { default: defaultWorkers() })
  .option("--trace", "Print the whole story of a --seed")
  .option("--minimize", "Look for fewer faults and seconds with which a --seed fails")
  .option("--canaries", "Plant known bugs, and count the seeds until each is caught; --seeds bounds them")
  .option("--json", "The last line is one JSON object")
  .example("npm run sim -- --seeds 200 --json")
  .example("npm run sim -- --seed 42 --trace")
  .example("npm run sim -- --seed 42 --minimize")
  .action(run);
cli.help();

async function run(flags: SimFlags): Promise<number> {
  const seconds = wholeNumber("--seconds", flags.seconds, 1);
  const faults = parseFaults(flags.faults);
  const settings = { seconds, ...(faults && { faults }) };
  const workers = wholeNumber("--workers", flags.workers, 1);
  if (flags.canaries) return await runCanaries(flags, seconds, workers);
  if (flags.seed === undefined) {
    if (flags.minimize || flags.trace) throw new UsageError("--trace and --minimize want one --seed");
    const first = wholeNumber("--from", flags.from, 0);
    return await runSeeds(first, wholeNumber("--seeds", flags.seeds, 1), settings, workers, flags.json === true);
  }
  const seed = wholeNumber("--seed", flags.seed, 0);
  if (flags.minimize) return await runMinimize(seed, settings);
  if (flags.trace) return await runTraced(seed, settings);
  return await runSeeds(seed, 1, settings, 1, flags.json === true);
}

async function runSeeds(first: number, count: number, settings: Settings, workers: number, json: boolean) {
  const startedMs = performance.now();
  let done = 0;
  const totals = await runBatch({ first, count, workers, ...settings }, (outcome) => {
    done += 1;
    if (outcome.violation) console.log(failureText(outcome, settings));
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${count} seeds`);
  });
  const wallSeconds = Number(((performance.now() - startedMs) / 1000).toFixed(1));
  const { seeds, failures, simulatedSeconds, events, faults } = totals;
  const result = { seeds, failures, simulatedSeconds, events, faults, wallSeconds };
  console.log(json ? JSON.stringify(result) : totalsText(result));
  return failures === 0 ? 0 : 1;
}

async function runTraced(seed: number, { seconds, faults }: Settings): Promise<number> {
  const onTimeline = (line: string) => console.log(line);
  const { violation } = await simulate({ seed, seconds, ...(faults && { faults }), onTimeline });
  if (violation) console.log(`\nseed ${seed}: ${violation.invariant}\n  ${violation.detail}`);
  return violation ? 1 : 0;
}

async function runMinimize(seed: number, { seconds, faults }: Settings): Promise<number> {
  const found = await minimize(seed, seconds, faults, (smaller) => {
    console.log(`fails with ${smaller.seconds} s of ${smaller.faults.join(", ") || "no faults"}`);
  });
  if (!found) {
    console.log(`seed ${seed} does not fail`);
    return 0;
  }
  console.log(`${found.tries} tries: ${replayCommand(seed, found)}`);
  console.log(failureText(found.outcome, found));
  return 1;
}

async function runCanaries(flags: SimFlags, seconds: number, workers: number): Promise<number> {
  const asked = wholeNumber("--seeds", flags.seeds, 1);
  // Without --seeds its default stands there, which is meant for seeds without a bug.
  const seedsMax = process.argv.some((arg) => arg.startsWith("--seeds")) ? asked : CANARY_SEEDS_MAX;
  const results = new Map<string, CanaryResult>();
  const jobs = Array.from({ length: workers }, (_, worker) => ({
    kind: "canaries" as const,
    names: CANARIES.filter((_canary, i) => i % workers === worker).map(({ name }) => name),
    seconds,
    seedsMax,
  }));
  await runJobs(jobs, (line) => {
    if (!("canary" in line)) return;
    results.set(line.canary.name, line.canary);
    if (!flags.json) console.log(canaryLine(line.canary));
  });
  const canaries = CANARIES.flatMap(({ name }) => results.get(name) ?? []);
  const caught = canaries.filter((result) => result.caught).length;
  if (flags.json) console.log(JSON.stringify({ canaries }));
  else console.log(`${caught} of ${canaries.length} canaries caught within ${seedsMax} seeds`);
  return caught === CANARIES.length ? 0 : 1;
}

function parseFaults(value: unknown): FaultName[] | undefined {
  if (value === undefined) return undefined;
  return String(value).split(",").filter((name) => name !== "" && name !== "none").map((name) => {
    const known = FAULT_NAMES.find((fault) => fault === name);
    if (!known) throw new UsageError(`there is no fault "${name}": ${FAULT_NAMES.join(", ")}`);
    return known;
  });
}

function wholeNumber(flag: string, value: unknown, least: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${flag} wants a whole number from ${least} on, not ${String(value)}`);
}

try {
  cli.parse(process.argv, { run: false });
  process.exitCode = await cli.runMatchedCommand() ?? 0;
} catch (error) {
  process.exitCode = await reportFailure(error, cli.options.json === true);
}

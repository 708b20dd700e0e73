/** `npm run sim`: many seeds, or one with its story. */
import process from "node:process";
import { cac } from "cac";
import { reportFailure } from "../cli/failure.ts";
import { UsageError } from "../cli/errors.ts";
import { CANARIES } from "./canaries.ts";
import { type CanaryResult, catchCanary } from "./canary-run.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import { type Outcome, simulate } from "./simulation.ts";

interface SimFlags {
  readonly seeds?: number;
  readonly seed?: number;
  readonly from: number;
  readonly seconds: number;
  readonly faults?: string;
  readonly trace?: boolean;
  readonly canaries?: boolean;
  readonly json?: boolean;
}

const cli = cac("sim");
cli.command("", "Simulate a cluster, its clients and faults, from seeds")
  .option("--seeds <n>", "How many seeds", { default: 20 })
  .option("--from <seed>", "The first of them", { default: 1 })
  .option("--seed <seed>", "One seed, with its timeline if it fails")
  .option("--seconds <n>", "Simulated seconds with faults, each", { default: 15 })
  .option("--faults <names>", `Only these may be drawn: ${FAULT_NAMES.join(",")}`)
  .option("--trace", "Print the whole story of a --seed")
  .option("--canaries", "Plant known bugs, and count the seeds until each is caught")
  .option("--json", "The last line is one JSON object")
  .example("npm run sim -- --seeds 200 --json")
  .example("npm run sim -- --seed 42 --trace")
  .action(run);
cli.help();

async function run(flags: SimFlags): Promise<void> {
  if (flags.canaries) return await runCanaries(flags);
  const faults = parseFaults(flags.faults);
  const { seconds } = flags;
  const first = wholeNumber("--from", flags.seed ?? flags.from);
  const count = flags.seed === undefined ? wholeNumber("--seeds", flags.seeds) : 1;
  const startedMs = performance.now();
  const total = { simulatedSeconds: 0, events: 0, failures: 0, faults: {} as Record<string, number> };
  for (let seed = first; seed < first + count; seed++) {
    const onTimeline = flags.trace ? (line: string) => console.log(line) : undefined;
    const outcome = await simulate({ seed, seconds, ...(faults && { faults }), ...(onTimeline && { onTimeline }) });
    add(total, outcome);
    if (outcome.violation) tell(outcome, flags);
    if (process.stderr.isTTY) {
      process.stderr.write(`\r${seed - first + 1} of ${count} seeds, ${total.failures} failures`);
    }
  }
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const result = { seeds: count, ...total, wallSeconds: Number(wallSeconds.toFixed(1)) };
  if (flags.json) console.log(JSON.stringify(result));
  else console.log(`\n${inWords(result)}`);
  process.exit(total.failures === 0 ? 0 : 1);
}

async function runCanaries({ seconds, json }: SimFlags): Promise<void> {
  const caught: CanaryResult[] = [];
  for (const canary of CANARIES) {
    const result = await catchCanary(canary, seconds);
    caught.push(result);
    const { name, seedsNeeded, invariant } = result;
    if (!json) console.log(`${String(seedsNeeded).padStart(4)} seeds  ${name.padEnd(56)} ${invariant ?? "NOT CAUGHT"}`);
  }
  if (json) console.log(JSON.stringify({ canaries: caught }));
  process.exit(caught.every((result) => result.caught) ? 0 : 1);
}

function add(
  total: { simulatedSeconds: number; events: number; failures: number; faults: Record<string, number> },
  outcome: Outcome,
): void {
  total.simulatedSeconds = Math.round(total.simulatedSeconds + outcome.simulatedSeconds);
  total.events += outcome.events;
  if (outcome.violation) total.failures += 1;
  for (const [name, count] of Object.entries(outcome.faults)) total.faults[name] = (total.faults[name] ?? 0) + count;
}

const TIMELINE_SHOWN = 60;

function tell({ seed, violation, timeline }: Outcome, { seconds, faults, trace }: SimFlags): void {
  const options = `${seconds === 15 ? "" : ` --seconds ${seconds}`}${
    faults === undefined ? "" : ` --faults ${faults}`
  }`;
  console.log(`\nseed ${seed}: ${violation!.invariant}\n  ${violation!.detail}`);
  if (!trace) console.log(timeline.slice(-TIMELINE_SHOWN).join("\n"));
  console.log(`  again: npm run sim -- --seed ${seed}${options} --trace\n`);
}

function inWords(
  result: { seeds: number; failures: number; simulatedSeconds: number; events: number; wallSeconds: number },
): string {
  const { seeds, failures, simulatedSeconds, events, wallSeconds } = result;
  const speed = Math.round(simulatedSeconds / wallSeconds);
  return `${seeds} seeds, ${failures} failures: ${simulatedSeconds} simulated seconds, ${events} events, ${wallSeconds} s (${speed} × real time)`;
}

function parseFaults(text: string | undefined): FaultName[] | undefined {
  return text?.split(",").map((name) => {
    const known = FAULT_NAMES.find((fault) => fault === name);
    if (!known) throw new UsageError(`there is no fault "${name}": ${FAULT_NAMES.join(", ")}`);
    return known;
  });
}

function wholeNumber(flag: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new UsageError(`${flag} wants a whole number, not ${String(value)}`);
}

try {
  cli.parse(process.argv, { run: false });
  await cli.runMatchedCommand();
} catch (error) {
  process.exit(reportFailure(error, cli.options.json === true));
}

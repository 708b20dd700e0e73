/** Many seeds, by as many workers as there are cores; their results come in the order of the seeds. */
import type { FaultName } from "./faults.ts";
import type { SeedsJob } from "./job.ts";
import { type Outcome, simulate } from "./simulation.ts";
import { runJobs } from "./workers.ts";

export interface BatchOptions {
  readonly first: number;
  readonly count: number;
  /** Simulated, with faults, each. */
  readonly seconds: number;
  readonly faults?: readonly FaultName[];
  /** 1: in this process. */
  readonly workers: number;
}

export interface Totals {
  readonly seeds: number;
  failures: number;
  simulatedSeconds: number;
  events: number;
  readonly faults: Record<string, number>;
}

/** `onOutcome` hears of each seed, in order. */
export async function runBatch(options: BatchOptions, onOutcome: (outcome: Outcome) => void): Promise<Totals> {
  const totals: Totals = { seeds: options.count, failures: 0, simulatedSeconds: 0, events: 0, faults: {} };
  const take = (outcome: Outcome) => {
    add(totals, outcome);
    onOutcome(outcome);
  };
  if (options.workers === 1) await runHere(options, take);
  else await runThere(options, take);
  totals.simulatedSeconds = Math.round(totals.simulatedSeconds);
  return totals;
}

async function runHere({ first, count, seconds, faults }: BatchOptions, take: (outcome: Outcome) => void) {
  for (let seed = first; seed < first + count; seed++) {
    take(await simulate({ seed, seconds, ...(faults && { faults }) }));
  }
}

async function runThere(options: BatchOptions, take: (outcome: Outcome) => void): Promise<void> {
  const { first, count, seconds, faults, workers } = options;
  const jobs = Array.from({ length: Math.min(workers, count) }, (_, i): SeedsJob => ({
    kind: "seeds",
    first: first + i,
    stride: workers,
    count: Math.ceil((count - i) / workers),
    seconds,
    ...(faults && { faults }),
  }));
  const early = new Map<number, Outcome>();
  let next = first;
  await runJobs(jobs, (line) => {
    if (!("outcome" in line)) return;
    early.set(line.outcome.seed, line.outcome);
    for (let outcome = early.get(next); outcome; outcome = early.get(next)) {
      early.delete(next);
      next += 1;
      take(outcome);
    }
  });
}

function add(totals: Totals, outcome: Outcome): void {
  totals.simulatedSeconds += outcome.simulatedSeconds;
  totals.events += outcome.events;
  if (outcome.violation) totals.failures += 1;
  for (const [name, count] of Object.entries(outcome.faults)) totals.faults[name] = (totals.faults[name] ?? 0) + count;
}

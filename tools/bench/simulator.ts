/** `bench simulator`: how much simulated time the simulator gets through, of a cluster of three nodes under load and faults. */
import process from "node:process";
import { simulate } from "../simulator/simulation.ts";
import { round } from "./statistics.ts";

/** Seeds before those that are measured, others than them: until then V8 compiles more than it runs. */
const WARM_UP_SEEDS = 25;
const WARM_UP_FROM = 100_000;
const NODES = 3;

export interface SimulatorOptions {
  /** From 1 on. */
  readonly seeds: number;
  readonly onProgress: (stage: string) => void;
}

export interface SimulatorResult {
  readonly nodes: number;
  readonly seeds: number;
  readonly failures: number;
  /** Of every kind of load, as the seeds draw them. */
  readonly all: SimulatorFigures;
  /** Of producers, a consumer and reads of the leaders: the faults are the same. */
  readonly plain: SimulatorFigures;
}

export interface SimulatorFigures {
  readonly simulatedSeconds: number;
  readonly events: number;
  /** Records that were acknowledged to the producers. */
  readonly acknowledged: number;
  readonly simulatedSecondsPerSecond: number;
  /** The same beside the processor time of all threads: what one core gets through when it has nothing else. */
  readonly simulatedSecondsPerProcessorSecond: number;
}

/** In this process, one seed after the other: JavaScript runs on one core. */
export async function runSimulator({ seeds, onProgress }: SimulatorOptions): Promise<SimulatorResult> {
  onProgress(`${WARM_UP_SEEDS} seeds to warm up`);
  for (let i = 0; i < WARM_UP_SEEDS; i++) await simulate({ seed: WARM_UP_FROM + i, nodes: NODES });
  onProgress(`${seeds} seeds with every load`);
  const all = await measure(seeds, false);
  onProgress(`${seeds} seeds with producers and a consumer`);
  const plain = await measure(seeds, true);
  return {
    nodes: NODES,
    seeds,
    failures: all.failures + plain.failures,
    all: all.figures,
    plain: plain.figures,
  };
}

async function measure(seeds: number, plain: boolean): Promise<{ failures: number; figures: SimulatorFigures }> {
  let simulatedSeconds = 0;
  let events = 0;
  let acknowledged = 0;
  let failures = 0;
  const before = process.cpuUsage();
  const startedMs = performance.now();
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await simulate({ seed, nodes: NODES, plain });
    simulatedSeconds += outcome.simulatedSeconds;
    events += outcome.events;
    acknowledged += outcome.acknowledged;
    if (outcome.violation) failures += 1;
  }
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  const figures = {
    simulatedSeconds: Math.round(simulatedSeconds),
    events,
    acknowledged,
    simulatedSecondsPerSecond: round(simulatedSeconds / wallSeconds, 1),
    simulatedSecondsPerProcessorSecond: round(simulatedSeconds / ((user + system) / 1e6), 1),
  };
  return { failures, figures };
}

/**
 * Which faults a seed draws, and how hard (swarm testing: some are off in every run, so that others show what they can
 * do alone), and when they strike.
 */
import type { SeededRandom } from "./random.ts";

/** Every fault there is, by name; `--faults` on the command line takes these. */
export const FAULT_NAMES = [
  "crash",
  "crashAll",
  "pause",
  "partition",
  "oneWay",
  "slowNetwork",
  "cut",
  "slowDisk",
  "tornWrites",
  "syncError",
  "diskFull",
  "clockJump",
  "transfer",
  "restart",
] as const;

export type FaultName = typeof FAULT_NAMES[number];

export interface FaultPlan {
  readonly on: ReadonlySet<FaultName>;
  /** Milliseconds between two strikes, on average. */
  readonly everyMs: number;
}

const ON_CHANCE = 0.5;

export function drawFaults(random: SeededRandom, allowed: readonly FaultName[] = FAULT_NAMES): FaultPlan {
  const on = new Set(FAULT_NAMES.filter((name) => random.chance(ON_CHANCE) && allowed.includes(name)));
  return { on, everyMs: 200 + random.integer(2_000) };
}

/** Faults that strike at a moment; the rest colour the whole run. */
export const STRIKES: readonly FaultName[] = [
  "crash",
  "crashAll",
  "pause",
  "partition",
  "oneWay",
  "syncError",
  "diskFull",
  "clockJump",
  "transfer",
  "restart",
];

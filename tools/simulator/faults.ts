/**
 * Which faults a seed draws, and how hard (swarm testing: some are off in every run, so that others show what they can
 * do alone), and when they strike.
 */
import type { SeededRandom } from "./random.ts";

/** Faults that strike at a moment. */
export const STRIKES = [
  "crash",
  "crashAll",
  /** At one of the next operations on its disk. */
  "crashAtDisk",
  "chaseLeader",
  "pause",
  "partition",
  "oneWay",
  "bridge",
  "ring",
  "leaderAlone",
  /** A leader is cut off by what answers in its place: connections break, and its port seems to refuse. */
  "firewall",
  /** A leader is cut off, and all others are killed and come back at once: before its leases are over. */
  "restartFollowers",
  "syncError",
  "diskFull",
  "clockJump",
  "transfer",
  /** A partition's replicas are to be on other nodes. */
  "moveReplicas",
  "restart",
  "bitRot",
  /** A node comes back with an empty disk. */
  "emptyDisk",
  /** A node comes back with an earlier state of its disk. */
  "oldCopy",
] as const;

/** Faults that colour the whole run. */
export const COLOURS = [
  "slowNetwork",
  "cut",
  "slowDisk",
  "busyNodes",
  "slowConsumer",
  /** The nodes' monotonic clocks run at different rates. */
  "clockDrift",
  /** A crash is a loss of power: of what was not synced anything may survive. */
  "powerLoss",
] as const;

/**
 * A node is added, drained, removed and added again. Drawn after all others, and seldom: a run that has it has one more node.
 */
const GROWTH = "growth";

/** Every fault there is, by name; `--faults` on the command line takes these. */
export const FAULT_NAMES = [...STRIKES, ...COLOURS, GROWTH] as const;

export type StrikeName = typeof STRIKES[number] | typeof GROWTH;
export type FaultName = typeof FAULT_NAMES[number];

export interface FaultPlan {
  readonly on: ReadonlySet<FaultName>;
  /** Milliseconds between two strikes, on average. */
  readonly everyMs: number;
}

const ON_CHANCE = 0.4;
const GROWTH_CHANCE = 0.15;
const STORM_CHANCE = 0.25;

export function drawFaults(random: SeededRandom, allowed: readonly FaultName[] = FAULT_NAMES): FaultPlan {
  const on = new Set<FaultName>(
    [...STRIKES, ...COLOURS].filter((name) => random.chance(ON_CHANCE) && allowed.includes(name)),
  );
  const everyMs = random.chance(STORM_CHANCE) ? 50 + random.integer(250) : 300 + random.integer(2_000);
  if (random.chance(GROWTH_CHANCE) && allowed.includes(GROWTH)) on.add(GROWTH);
  return { on, everyMs };
}

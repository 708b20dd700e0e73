/** What is printed, in words. */
import type { CanaryResult } from "./canary-run.ts";
import type { FaultName } from "./faults.ts";
import { DEFAULT_SECONDS, type Outcome } from "./simulation.ts";

const TIMELINE_SHOWN = 60;

export interface RunSettings {
  readonly seconds: number;
  readonly faults?: readonly FaultName[];
}

/** The command that does the same run again. */
export function replayCommand(seed: number, { seconds, faults }: RunSettings): string {
  const flags = [`--seed ${seed}`];
  if (seconds !== DEFAULT_SECONDS) flags.push(`--seconds ${seconds}`);
  if (faults !== undefined) flags.push(`--faults ${faults.join(",") || "none"}`);
  return `npm run sim -- ${flags.join(" ")}`;
}

/** Seed, invariant, the last events, and how to see it again. */
export function failureText({ seed, violation, timeline }: Outcome, settings: RunSettings): string {
  const again = replayCommand(seed, settings);
  return [
    "",
    `seed ${seed}: ${violation?.invariant}`,
    `  ${violation?.detail}`,
    ...timeline.slice(-TIMELINE_SHOWN),
    `  the whole story:  ${again} --trace`,
    `  a smaller one:    ${again} --minimize`,
    "",
  ].join("\n");
}

export interface RunTotals {
  readonly seeds: number;
  readonly failures: number;
  readonly simulatedSeconds: number;
  readonly wallSeconds: number;
  readonly events: number;
}

export function totalsText({ seeds, failures, simulatedSeconds, wallSeconds, events }: RunTotals): string {
  const speed = Math.round(simulatedSeconds / wallSeconds);
  return `${seeds} seeds, ${failures} failures: ${simulatedSeconds} simulated seconds, ${events} events, ` +
    `${wallSeconds} s (${speed} × real time)`;
}

export function canaryLine({ name, seedsNeeded, invariant }: CanaryResult): string {
  return `${String(seedsNeeded).padStart(4)} seeds  ${name.padEnd(58)} ${invariant ?? "NOT CAUGHT"}`;
}

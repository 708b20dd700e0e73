import type { Canary } from "./canary.ts";
import { simulate } from "./simulation.ts";

/** A canary that needs more is not caught. */
export const CANARY_SEEDS_MAX = 500;

export interface CanaryResult {
  readonly name: string;
  readonly caught: boolean;
  readonly seedsNeeded: number;
  /** What was seen to be broken. */
  readonly invariant: string | undefined;
}

export interface CatchOptions {
  /** Simulated, of each run. */
  readonly seconds: number;
  readonly seedsMax: number;
  /** Tried before all others: where it was caught the last time. */
  readonly seedHint?: number | undefined;
  readonly onSeed?: (seed: number) => void;
}

/** Runs seeds with the bug in until one fails. */
export async function catchCanary(canary: Canary, options: CatchOptions): Promise<CanaryResult> {
  const { name } = canary;
  const { seconds, seedsMax, seedHint, onSeed } = options;
  const takeOut = canary.plant();
  try {
    for (let count = seedHint === undefined ? 1 : 0; count <= seedsMax; count++) {
      const seed = count === 0 ? seedHint! : count;
      onSeed?.(seed);
      const { violation } = await simulate({ seed, seconds });
      if (violation) return { name, caught: true, seedsNeeded: seed, invariant: violation.invariant };
    }
    return { name, caught: false, seedsNeeded: seedsMax, invariant: undefined };
  } finally {
    takeOut();
  }
}

import type { Canary } from "./canaries.ts";
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

/** Runs seeds with the bug in until one fails. */
export async function catchCanary(canary: Canary, seconds: number, seedsMax = CANARY_SEEDS_MAX): Promise<CanaryResult> {
  const { name } = canary;
  const takeOut = canary.plant();
  try {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { violation } = await simulate({ seed, seconds });
      if (violation) return { name, caught: true, seedsNeeded: seed, invariant: violation.invariant };
    }
    return { name, caught: false, seedsNeeded: seedsMax, invariant: undefined };
  } finally {
    takeOut();
  }
}

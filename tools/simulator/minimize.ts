/** From a run that fails to a smaller one that fails: fewer faults drawn, fewer seconds. */
import type { FaultName } from "./faults.ts";
import { type Outcome, simulate } from "./simulation.ts";

export interface Minimized {
  readonly outcome: Outcome;
  readonly faults: readonly FaultName[];
  readonly seconds: number;
  readonly tries: number;
}

const SECONDS_MIN = 1;

/**
 * Another set of faults makes another run of the same seed, which may fail differently: any failure counts. Undefined if
 * the seed does not fail.
 */
export async function minimize(
  seed: number,
  seconds: number,
  allowed: readonly FaultName[] | undefined,
  onSmaller: (found: Minimized) => void = () => {},
): Promise<Minimized | undefined> {
  const first = await simulate({ seed, seconds, ...(allowed && { faults: allowed }) });
  if (!first.violation) return undefined;
  let found: Minimized = { outcome: first, faults: first.drawn, seconds, tries: 1 };
  let tries = 1;
  const attempt = async (faults: readonly FaultName[], secondsTried: number): Promise<boolean> => {
    tries += 1;
    const outcome = await simulate({ seed, seconds: secondsTried, faults });
    if (!outcome.violation) return false;
    found = { outcome, faults, seconds: secondsTried, tries };
    onSmaller(found);
    return true;
  };
  let shrank = true;
  while (shrank) {
    shrank = false;
    for (const fault of found.faults) {
      if (await attempt(found.faults.filter((each) => each !== fault), found.seconds)) shrank = true;
    }
    const half = Math.max(SECONDS_MIN, Math.floor(found.seconds / 2));
    if (half < found.seconds && await attempt(found.faults, half)) shrank = true;
  }
  return { ...found, tries };
}

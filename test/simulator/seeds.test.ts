import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FAULT_NAMES } from "../../tools/simulator/faults.ts";
import { failureText } from "../../tools/simulator/report.ts";
import { DEFAULT_SECONDS, simulate } from "../../tools/simulator/simulation.ts";

/** What continuous integration can afford on every change; `npm run sim -- --seeds 5000` is for the night. */
const SEEDS = 60;

const seeds = suite("simulated clusters under faults");

seeds(`keep their promises for ${SEEDS} seeds, in which every fault strikes and clients get work done`, async () => {
  const struck = new Set<string>();
  let acknowledged = 0;
  let topicOperations = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await simulate({ seed });
    assert.is(outcome.violation, undefined, failureText(outcome, { seconds: DEFAULT_SECONDS }));
    for (const name of Object.keys(outcome.faults)) struck.add(name);
    acknowledged += outcome.acknowledged;
    topicOperations += outcome.topicOperations;
  }
  assert.is(struck.size, FAULT_NAMES.length, [...struck].sort().join());
  assert.ok(acknowledged > SEEDS * 100, `${acknowledged} records acknowledged`);
  assert.ok(topicOperations > SEEDS * 5, `${topicOperations} operations on topics checked`);
});

seeds.run();

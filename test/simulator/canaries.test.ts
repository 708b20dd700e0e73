import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CANARIES } from "../../tools/simulator/canaries.ts";
import { catchCanary } from "../../tools/simulator/canary-run.ts";
import { CANARY_SEEDS } from "./canary-seeds.ts";
import { simulate } from "../../tools/simulator/simulation.ts";

/** Of the 500 that are allowed, what continuous integration has time for where the seed noted is not the right one any more. */
const SEEDS_MAX = 60;

const canaries = suite("canaries");

canaries("there are at least 16, each with a name of its own", () => {
  assert.ok(CANARIES.length >= 16);
  assert.is(new Set(CANARIES.map(({ name }) => name)).size, CANARIES.length);
});

for (const canary of CANARIES) {
  canaries(`is caught: ${canary.name}`, async () => {
    const { caught, seedsNeeded } = await catchCanary(canary, {
      seconds: 15,
      seedsMax: SEEDS_MAX,
      seedHint: CANARY_SEEDS[canary.name],
    });
    assert.ok(caught, `not within ${seedsNeeded} seeds`);
  });
}

canaries("they leave nothing behind", async () => {
  const { violation } = await simulate({ seed: 1 });
  assert.is(violation, undefined);
});

canaries.run();

import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failuresOf, runInChild } from "../../../tools/testing/run.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.test.ts`, import.meta.url));
const runner = suite("the test runner");

runner("counts what passes", async () => {
  const outcome = await runInChild(fixture("green"));
  assert.is(outcome.passed, 1);
  assert.is(failuresOf(outcome), 0);
});

runner("counts what fails, and shows why", async () => {
  const outcome = await runInChild(fixture("red"));
  assert.is(outcome.passed, 1);
  assert.is(failuresOf(outcome), 1);
  assert.match(outcome.output, "fails");
});

for (const name of ["throws-a-string", "before-throws", "run-forgotten", "exits", "skips"]) {
  runner(`is red where uvu alone is green: ${name}`, async () => {
    assert.ok(failuresOf(await runInChild(fixture(name))) > 0);
  });
}

runner("ends a file that hangs", async () => {
  const outcome = await runInChild(fixture("hangs"), 3_000);
  assert.match(outcome.problems.join(), "not finished after 3000 ms");
});

runner.run();

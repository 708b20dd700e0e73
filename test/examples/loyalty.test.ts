import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runLoyalty } from "../../tools/examples/loyalty.ts";

const loyalty = suite("example loyalty");

loyalty("a node is killed while points are counted, and every customer's total is exact", async () => {
  const { killedNode, pointsEarned, pointsCounted, customersExact } = await runLoyalty(() => {});
  assert.ok(killedNode > 0);
  assert.is(pointsCounted, pointsEarned);
  assert.is(customersExact, 50);
});

loyalty.run();

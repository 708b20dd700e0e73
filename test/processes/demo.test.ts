import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runDemo } from "../../tools/demo/demo.ts";
import { Ledger } from "../../tools/demo/ledger.ts";

const demo = suite("the demo");

demo("the books tell a loss, a double, a wrong order and a changed text apart", () => {
  const books = (reads: [number, string][]) => {
    const ledger = new Ledger();
    for (const text of ["a", "b", "c", "d"]) ledger.sent("key", text);
    for (const [number, text] of reads) ledger.read("key", number, text);
    return ledger.compare();
  };
  const clean = { lost: 0, duplicated: 0, outOfOrder: 0, changedKeys: 0 };
  assert.equal(books([[0, "a"], [1, "b"], [2, "c"], [3, "d"]]), clean);
  assert.equal(books([[0, "a"], [1, "b"], [2, "c"], [3, "X"]]), { ...clean, changedKeys: 1 });
  assert.equal(books([[0, "a"], [1, "b"], [2, "c"]]), { ...clean, lost: 1 });
  assert.equal(books([[0, "a"], [1, "b"], [1, "b"], [2, "c"], [3, "d"]]), { ...clean, duplicated: 1 });
  const swapped = books([[0, "a"], [2, "c"], [1, "b"], [3, "d"]]);
  assert.ok(swapped.outOfOrder > 0);
  assert.ok(books([]).lost === 4);
});

demo(
  "loses, doubles and reorders nothing when its busiest node is killed, and the replicas are identical",
  async () => {
    const result = await runDemo({ records: 100_000, onProgress: () => {} });
    assert.is(result.records, 100_000);
    assert.is(result.consumedRecords, 100_000);
    assert.equal([result.lost, result.duplicated, result.outOfOrder, result.changedKeys], [0, 0, 0, 0]);
    assert.equal(result.replicaDifferences, []);
    assert.ok(result.killedNode > 0);
  },
);

demo.run();

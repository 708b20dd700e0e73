import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Routing } from "../../src/node/routing.ts";

const routing = suite("who leads what");

routing("the newest term wins, whoever tells it", () => {
  const table = new Routing(1, () => {});
  assert.equal(table.leaderOf(9), { node: 0, term: 0 });
  table.claimed(2, [{ shard: 9, term: 3, leading: true }]);
  table.observe(9, 2, 3);
  assert.equal(table.leaderOf(9), { node: 2, term: 3 });
  table.observe(9, 4, 3);
  table.claimed(2, [{ shard: 9, term: 3, leading: false }]);
  assert.equal(table.leaderOf(9), { node: 3, term: 4 });
  table.claimed(3, [{ shard: 9, term: 4, leading: false }]);
  assert.equal(table.leaderOf(9), { node: 0, term: 4 });
  table.forget(9);
  assert.equal(table.leaderOf(9), { node: 0, term: 0 });
});

routing("the others hear when this node begins and ceases to lead", () => {
  const said: string[] = [];
  const table = new Routing(1, ({ shard, term, leading }) => said.push(`${shard}/${term}/${leading}`));
  table.observe(9, 1, 1);
  table.observe(8, 1, 2);
  assert.equal(table.own(), [{ shard: 9, term: 1, leading: true }]);
  table.observe(9, 2, 0);
  assert.equal(said, ["9/1/true", "9/1/false"]);
  assert.equal(table.own(), []);
});

routing("a replica that leaves takes with it only what it said itself", () => {
  const said: string[] = [];
  const table = new Routing(1, ({ shard, term, leading }) => said.push(`${shard}/${term}/${leading}`));
  table.observe(9, 1, 1);
  table.left(9);
  assert.equal(table.leaderOf(9), { node: 0, term: 1 });
  assert.equal(said, ["9/1/true", "9/1/false"]);
  table.claimed(2, [{ shard: 9, term: 2, leading: true }]);
  table.left(9);
  assert.equal(table.leaderOf(9), { node: 2, term: 2 });
});

routing("a replica that was cut off and leaves does not hide who leads", () => {
  const table = new Routing(1, () => {});
  table.claimed(2, [{ shard: 9, term: 4, leading: true }, { shard: 8, term: 4, leading: true }]);
  table.observe(9, 4, 0);
  assert.equal(table.leaderOf(9), { node: 0, term: 4 });
  table.left(9);
  assert.equal(table.leaderOf(9), { node: 2, term: 4 });
  table.observe(8, 4, 0);
  table.claimed(2, [{ shard: 8, term: 4, leading: false }]);
  table.left(8);
  assert.equal(table.leaderOf(8), { node: 0, term: 4 });
  table.observe(9, 5, 3);
  table.left(9);
  assert.equal(table.leaderOf(9), { node: 3, term: 5 });
  table.forget(9);
  table.left(9);
  assert.equal(table.leaderOf(9), { node: 0, term: 0 });
});

routing.run();

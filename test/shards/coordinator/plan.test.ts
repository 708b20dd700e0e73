import { suite } from "uvu";
import * as assert from "uvu/assert";
import { planOf } from "../../../shards/coordinator/plan.ts";
import type { Group, Member } from "../../../shards/coordinator/state.ts";

const plan = suite("a group's plan");

function groupOf(members: readonly string[], owners: Record<number, [memberId: string, generation: number]>): Group {
  const member = (memberId: string): [string, Member] => [
    memberId,
    { memberId, instanceId: "", topics: ["t"], sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 },
  ];
  return {
    generation: 9,
    members: new Map(members.map(member)),
    owners: new Map(
      Object.entries(owners).map(([shard, [memberId, generation]]) => [Number(shard), { memberId, generation }]),
    ),
  };
}

plan(
  "a member that is to hold what it held before is told another name until it has let go of what it was given since",
  () => {
    const shards = () => [1000, 1001];
    const before = planOf(groupOf(["a", "b"], { 1000: ["a", 4], 1001: ["b", 4] }), shards);
    // "b" went, "a" was given its partition, and "c" came and is to have it: "a" may not have heard of any of that.
    const after = planOf(groupOf(["a", "c"], { 1000: ["a", 4], 1001: ["a", 6] }), shards);
    assert.equal(after.told.get("a")!.assigned, before.told.get("a")!.assigned);
    assert.is.not(after.told.get("a")!.hash, before.told.get("a")!.hash);
    assert.equal(after.moves, [{ shard: 1001, from: "a", to: "c" }]);
    const done = planOf(groupOf(["a", "c"], { 1000: ["a", 4], 1001: ["c", 8] }), shards);
    assert.is(done.told.get("a")!.hash, before.told.get("a")!.hash);
  },
);

plan.run();

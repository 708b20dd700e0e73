import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  applyCommand,
  type CoordinatorCommand,
  decodeCommand,
  encodeCommand,
} from "../../../shards/coordinator/commands.ts";
import { MEMBERS_PER_GROUP_MAX } from "../../../shards/coordinator/limits.ts";
import { CoordinatorState, type Member } from "../../../shards/coordinator/state.ts";

const commands = suite("coordinator commands");

function member(memberId: string, instanceId = ""): Member {
  return { memberId, instanceId, topics: ["t"], sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 2_000 };
}

function join(group: string, memberId: string, instanceId = ""): CoordinatorCommand {
  return { type: "join", group, member: member(memberId, instanceId) };
}

function owners(state: CoordinatorState, group: string): [number, string][] {
  return [...state.groups.get(group)!.owners].map(([shard, { memberId }]) => [shard, memberId]);
}

commands("a partition given to another gets a generation that is newer than any before", () => {
  const state = new CoordinatorState();
  applyCommand(state, join("g", "a"));
  applyCommand(state, join("g", "b"));
  const group = state.groups.get("g")!;
  assert.is(applyCommand(state, { type: "assign", group: "g", generation: group.generation, changes: [[7, "a"]] }), "");
  const { generation } = group.owners.get(7)!;
  applyCommand(state, { type: "assign", group: "g", generation: group.generation, changes: [[7, "b"], [8, "a"]] });
  assert.ok(group.owners.get(7)!.generation > generation);
  applyCommand(state, { type: "assign", group: "g", generation: group.generation, changes: [[8, ""]] });
  assert.equal(owners(state, "g"), [[7, "b"]]);
});

commands("an assignment decided on an older state does nothing", () => {
  const state = new CoordinatorState();
  applyCommand(state, join("g", "a"));
  const { generation } = state.groups.get("g")!;
  applyCommand(state, join("g", "b"));
  const before = state.encode();
  const late = { type: "assign", group: "g", generation, changes: [[7, "a"]] } as const;
  assert.is(applyCommand(state, late), "STALE_GENERATION");
  assert.is(applyCommand(state, { ...late, group: "unknown" }), "STALE_GENERATION");
  assert.equal(state.encode(), before);
});

commands("who leaves owns nothing any more; an empty group is forgotten, its generations are not used again", () => {
  const state = new CoordinatorState();
  for (const one of ["a", "b"]) applyCommand(state, join("g", one));
  const { generation } = state.groups.get("g")!;
  applyCommand(state, { type: "assign", group: "g", generation, changes: [[7, "a"], [8, "b"]] });
  applyCommand(state, { type: "leave", group: "g", memberIds: ["a", "nobody"] });
  assert.equal(owners(state, "g"), [[8, "b"]]);
  const last = state.groups.get("g")!.generation;
  applyCommand(state, { type: "leave", group: "g", memberIds: ["b"] });
  assert.not.ok(state.groups.has("g"));
  assert.is(state.memberCount, 0);
  applyCommand(state, join("g", "c"));
  assert.ok(state.groups.get("g")!.generation > last);
});

commands("a static member that comes back takes over what it had, under a new generation", () => {
  const state = new CoordinatorState();
  applyCommand(state, join("g", "a1", "instance-a"));
  applyCommand(state, join("g", "b1", "instance-b"));
  const group = state.groups.get("g")!;
  applyCommand(state, {
    type: "assign",
    group: "g",
    generation: group.generation,
    changes: [[7, "a1"], [8, "b1"]],
  });
  const before = group.owners.get(7)!.generation;
  applyCommand(state, join("g", "a2", "instance-a"));
  assert.equal([...group.members.keys()], ["b1", "a2"]);
  assert.equal(owners(state, "g"), [[7, "a2"], [8, "b1"]]);
  assert.ok(group.owners.get(7)!.generation > before);
  assert.is(state.memberCount, 2);
});

commands("a group has its limit of members; one that is in it already may change its settings", () => {
  const state = new CoordinatorState();
  for (let i = 0; i < MEMBERS_PER_GROUP_MAX; i++) applyCommand(state, join("g", `m${i}`));
  assert.is(applyCommand(state, join("g", "one-more")), "TOO_MANY_MEMBERS");
  assert.is(applyCommand(state, join("g", "m7", "now-static")), "");
  assert.is(applyCommand(state, join("g", "m7-again", "now-static")), "");
  assert.is(state.memberCount, MEMBERS_PER_GROUP_MAX);
});

commands("a captured state is the same again", () => {
  const state = new CoordinatorState();
  for (const one of ["a", "b"]) applyCommand(state, join("g", one));
  const { generation } = state.groups.get("g")!;
  applyCommand(state, decodeCommand(encodeCommand({ type: "assign", group: "g", generation, changes: [[7, "a"]] })));
  const copy = new CoordinatorState();
  copy.load(state.encode());
  assert.equal(copy.groups, state.groups);
  assert.is(copy.memberCount, 2);
  assert.is(copy.nextGeneration(), state.nextGeneration());
});

commands.run();

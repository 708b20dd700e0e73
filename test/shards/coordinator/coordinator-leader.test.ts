import { suite } from "uvu";
import * as assert from "uvu/assert";
import { applyCommand, decodeCommand } from "../../../shards/coordinator/commands.ts";
import { CoordinatorLeader } from "../../../shards/coordinator/coordinator-leader.ts";
import { CoordinatorState } from "../../../shards/coordinator/state.ts";
import type { GroupHeartbeatResponse } from "../../../src/wire/coordinator-responses.ts";
import { fakeTime } from "../host/fake-time.ts";

const leading = suite("a coordinator's leader");

const SESSION_MS = 9_000;

/** A coordinator whose log commits at once. */
function coordinator(partitions: number, state = new CoordinatorState()) {
  const time = fakeTime();
  const topics = new Map([["t", Array.from({ length: partitions }, (_, i) => 1_000 + i)]]);
  const leader = new CoordinatorLeader({
    runtime: time.runtime,
    state,
    partitionsOf: (topic) => topics.get(topic) ?? [],
    propose: (entry, waiter) => {
      const command = decodeCommand(entry);
      const code = applyCommand(state, command);
      leader.changed(command.group);
      waiter.settled("", entry, code);
    },
  });
  return { leader, time, state, topics };
}

/** A member that does as it is told, when it is asked to. */
class TestMember {
  readonly memberId: string;
  readonly instanceId: string;
  readonly #leader: CoordinatorLeader;
  #generation = 0;
  #told = 0;
  sequence = 0;
  assigned: number[] = [];
  owned: number[] = [];
  refused: number[] = [];
  last: GroupHeartbeatResponse | undefined;

  constructor(leader: CoordinatorLeader, memberId: string, instanceId = "") {
    this.#leader = leader;
    this.memberId = memberId;
    this.instanceId = instanceId;
  }

  get shards(): number[] {
    return this.assigned.filter((_, i) => i % 2 === 0);
  }

  /** The answer may come later. */
  async beat(sequence = ++this.sequence): Promise<void> {
    const answer = await this.#leader.heartbeat({
      type: "groupHeartbeat",
      group: "g",
      memberId: this.memberId,
      instanceId: this.instanceId,
      generation: this.#generation,
      topics: ["t"],
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: 20_000,
      told: this.#told,
      sequence,
      owned: this.owned,
      refused: this.refused,
    });
    this.last = answer;
    if (answer.code !== "") return;
    this.#generation = answer.generation;
    this.#told = answer.told;
    if (answer.assigned !== null) this.assigned = [...answer.assigned];
  }

  /** Until nothing is new: holds what it is told. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      void this.beat();
      await turn();
      this.owned = this.assigned;
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

leading("a heartbeat waits until there is news, or for a third of the session at most", async () => {
  const { leader, time, topics } = coordinator(2);
  const member = new TestMember(leader, "a");
  await member.settle();
  assert.equal(member.shards, [1_000, 1_001]);
  member.last = undefined;
  await turn();
  assert.is(member.last, undefined);
  topics.set("t", [1_000, 1_001, 1_002]);
  leader.topicsChanged();
  await turn();
  assert.is(member.shards.length, 3);
  await member.settle();
  member.last = undefined;
  await turn();
  assert.is(member.last, undefined);
  time.advance(SESSION_MS / 3);
  await turn();
  assert.is(member.last!.assigned, null);
  leader.close();
  assert.is(time.waiting(), 0);
});

leading("a partition is given on only when its owner has said that it let go, knowing that it should", async () => {
  const { leader, state } = coordinator(2);
  const first = new TestMember(leader, "a");
  await first.settle();
  const second = new TestMember(leader, "b");
  await second.settle();
  assert.equal(second.shards, []);
  // Said before it knew: nothing.
  assert.equal(first.shards, [1_000]);
  first.owned = [];
  assert.is(state.groups.get("g")!.owners.get(1_001)!.memberId, "a");
  void first.beat();
  await turn();
  await second.settle();
  assert.equal(second.shards, [1_001]);
  leader.close();
});

leading("a heartbeat that was overtaken on its way changes nothing, and the newer one goes on waiting", async () => {
  const { leader, state, topics } = coordinator(2);
  const first = new TestMember(leader, "a");
  await first.settle();
  const second = new TestMember(leader, "b");
  await second.settle();
  const overtaken = ++first.sequence;
  void first.beat();
  await turn();
  // Said before the last one: that it holds nothing, knowing what it should let go.
  first.owned = [];
  await first.beat(overtaken);
  assert.equal([first.last!.code, first.last!.assigned], ["", null]);
  assert.is(state.groups.get("g")!.owners.get(1_001)!.memberId, "a");
  topics.set("t", [1_000, 1_001, 1_002]);
  leader.topicsChanged();
  await turn();
  assert.not.equal(first.last!.assigned, null);
  leader.close();
});

leading("an owner whom its partition refuses is given it anew, above the generation known there", async () => {
  const { leader, state } = coordinator(2);
  const member = new TestMember(leader, "a");
  await member.settle();
  member.owned = member.owned.slice(0, 2);
  member.refused = [1_001, 70];
  void member.beat();
  await turn();
  assert.equal(member.shards, [1_000, 1_001]);
  assert.ok(member.assigned[3]! > 70, "above what the partition knows");
  const { generation } = state.groups.get("g")!;
  // It may say so again before it has heard; and what is past belief is not believed.
  void member.beat();
  member.refused = [1_001, Number.MAX_SAFE_INTEGER, 1_000, member.assigned[1]!];
  void member.beat();
  await turn();
  assert.is(state.groups.get("g")!.generation, generation);
  leader.close();
});

leading("a silent member is put out when its session ends, and is told so when it comes again", async () => {
  const { leader, time, state } = coordinator(4);
  const first = new TestMember(leader, "a");
  const second = new TestMember(leader, "b");
  await first.settle();
  await second.settle();
  await first.settle();
  await second.settle();
  assert.is(second.shards.length, 2);
  time.advance(SESSION_MS - 1_000);
  await turn();
  await second.settle();
  time.advance(1_500);
  await turn();
  assert.equal([...state.groups.get("g")!.members.keys()], ["b"]);
  await second.settle();
  assert.is(second.shards.length, 4);
  await first.beat();
  assert.is(first.last!.code, "UNKNOWN_MEMBER");
  leader.close();
});

leading("who does not let go in time is put out although it is heard", async () => {
  const { leader, time, state } = coordinator(2);
  const first = new TestMember(leader, "a");
  await first.settle();
  const second = new TestMember(leader, "b");
  await second.settle();
  for (let i = 0; i < 11; i++) {
    time.advance(2_000);
    void first.beat();
    void second.beat();
    await turn();
  }
  assert.equal([...state.groups.get("g")!.members.keys()], ["b"]);
  assert.is(second.shards.length, 2);
  leader.close();
});

leading("a new leader gives every member a whole session, and everybody keeps what he has", async () => {
  const before = coordinator(4);
  const first = new TestMember(before.leader, "a");
  await first.settle();
  before.leader.close();
  const { leader, time, state } = coordinator(4, before.state);
  time.advance(SESSION_MS - 1);
  await turn();
  assert.is(state.groups.get("g")!.members.size, 1);
  const owners = structuredClone(state.groups.get("g")!.owners);
  const second = new TestMember(leader, "b");
  await second.settle();
  time.advance(2);
  await turn();
  assert.equal([...state.groups.get("g")!.members.keys()], ["b"]);
  assert.is(owners.size, 4);
  leader.close();
});

leading("an instance that starts again takes the place of the one before, which is refused", async () => {
  const { leader } = coordinator(4);
  const other = new TestMember(leader, "x");
  const first = new TestMember(leader, "a1", "instance");
  for (const member of [other, first, other, first]) await member.settle();
  const had = first.shards;
  const again = new TestMember(leader, "a2", "instance");
  await again.settle();
  assert.equal(again.shards, had);
  await turn();
  await first.beat();
  assert.is(first.last!.code, "INSTANCE_FENCED");
  leader.close();
});

leading("the partitions of a deleted topic are nobody's", async () => {
  const { leader, state, topics } = coordinator(2);
  const member = new TestMember(leader, "a");
  await member.settle();
  topics.delete("t");
  leader.topicsChanged();
  await member.settle();
  assert.equal(member.shards, []);
  assert.is(state.groups.get("g")!.owners.size, 0);
  leader.close();
});

leading.run();

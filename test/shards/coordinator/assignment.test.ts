import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { type AssignmentMember, assignPartitions } from "../../../shards/coordinator/assignment.ts";

const assignment = suite("assignment of partitions");

const TOPICS = ["a", "b", "c"];

/** Partitions of three topics, by number of partitions each. */
function partitionsOf(counts: readonly number[]): { shard: number; topic: string }[] {
  return counts.flatMap((count, t) => {
    return Array.from({ length: count }, (_, i) => ({ shard: 1_000 + t * 100 + i, topic: TOPICS[t]! }));
  });
}

function loadsOf(members: readonly AssignmentMember[], target: ReadonlyMap<number, string>): number[] {
  return members.map(({ memberId }) => [...target.values()].filter((owner) => owner === memberId).length);
}

const counts = fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30));
const everyTopic = fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,4}$/), { minLength: 1, maxLength: 12 })
  .map((ids) => ids.map((memberId) => ({ memberId, topics: TOPICS })));
const someTopics = fc.uniqueArray(
  fc.record({ memberId: fc.stringMatching(/^[a-z0-9]{1,4}$/), topics: fc.subarray(TOPICS, { minLength: 1 }) }),
  { minLength: 1, maxLength: 12, selector: ({ memberId }) => memberId },
);

assignment("every partition that is read has one owner, who reads its topic", () => {
  fc.assert(fc.property(counts, someTopics, (sizes, members) => {
    const partitions = partitionsOf(sizes);
    const target = assignPartitions(members, partitions, () => undefined);
    for (const { shard, topic } of partitions) {
      const readers = members.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => memberId);
      if (readers.length === 0) assert.not.ok(target.has(shard));
      else assert.ok(readers.includes(target.get(shard)!));
    }
  }));
});

assignment("with the same topics for all, nobody has more than one partition more than another", () => {
  const owners = fc.array(fc.nat(15), { maxLength: 90 });
  fc.assert(fc.property(counts, everyTopic, owners, (sizes, members, before) => {
    const partitions = partitionsOf(sizes);
    const target = assignPartitions(members, partitions, (shard) => {
      const position = before[partitions.findIndex((one) => one.shard === shard)];
      return position === undefined ? undefined : members[position]?.memberId;
    });
    const loads = loadsOf(members, target);
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 1);
  }));
});

assignment("when one joins, only its own share moves; when one leaves, only what it had", () => {
  fc.assert(fc.property(counts, everyTopic, (sizes, members) => {
    const partitions = partitionsOf(sizes);
    const before = assignPartitions(members, partitions, () => undefined);
    const joined = [...members, { memberId: "joining", topics: TOPICS }];
    const after = assignPartitions(joined, partitions, (shard) => before.get(shard));
    for (const [shard, owner] of after) assert.ok(owner === "joining" || owner === before.get(shard));
    assert.ok(loadsOf(joined, after).at(-1)! <= Math.ceil(partitions.length / joined.length));
    const again = assignPartitions(members, partitions, (shard) => after.get(shard));
    for (const [shard, owner] of after) if (owner !== "joining") assert.is(again.get(shard), owner);
  }));
});

assignment("the same members, partitions and owners give the same shares, in whatever order they come", () => {
  fc.assert(fc.property(counts, someTopics, (sizes, members) => {
    const partitions = partitionsOf(sizes);
    const one = assignPartitions(members, partitions, () => undefined);
    const other = assignPartitions([...members].reverse(), [...partitions].reverse(), () => undefined);
    assert.equal([...other].sort(), [...one].sort());
  }));
});

assignment("what is half on its way still goes there, and it comes to an end", () => {
  const steps = fc.infiniteStream(fc.nat(1_000));
  fc.assert(fc.property(counts, someTopics, someTopics, steps, (sizes, before, after, stream) => {
    const partitions = partitionsOf(sizes);
    const owners = assignPartitions(before, partitions, () => undefined);
    const random = stream[Symbol.iterator]();
    for (let moved = 0;; moved++) {
      const target = assignPartitions(after, partitions, (shard) => owners.get(shard));
      const moving = [...target].filter(([shard, owner]) => owners.get(shard) !== owner);
      if (moving.length === 0) break;
      assert.ok(moved <= partitions.length * 2, "it does not settle");
      const [shard, owner] = moving[random.next().value! % moving.length]!;
      owners.set(shard, owner);
    }
  }));
});

assignment.run();

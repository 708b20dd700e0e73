/** Quorum arithmetic against the naive definition. openraft#1802: a fast path lost its order and committed alone. */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasQuorum, quorumIndex, voteResult } from "../../src/raft/quorum.ts";
import type { Configuration, NodeId } from "../../src/raft/types.ts";
import { group } from "./test-entry.ts";

const quorum = suite("quorums");

const voters = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 9 });
const configurations: fc.Arbitrary<Configuration> = fc.record({
  voters,
  outgoing: fc.oneof(fc.constant<number[]>([]), voters),
  learners: fc.constant<number[]>([]),
  learnersNext: fc.constant<number[]>([]),
});
const matches = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 13, maxLength: 13 });

/** More than half of each half. */
function naive({ voters, outgoing }: Configuration, holds: (voter: NodeId) => boolean): boolean {
  return [voters, outgoing].every((half) => half.length === 0 || half.filter(holds).length > half.length / 2);
}

quorum("what a quorum has is the highest index that more than half of each half have", () => {
  fc.assert(
    fc.property(configurations, matches, (configuration, match) => {
      let expected = 0;
      for (let index = 0; index <= 20; index++) {
        if (naive(configuration, (voter) => match[voter]! >= index)) expected = index;
      }
      assert.is(quorumIndex(configuration, { matchOf: (voter) => match[voter]! }), expected);
    }),
    { numRuns: 2000 },
  );
});

quorum("the order of the voters says nothing", () => {
  fc.assert(fc.property(voters, matches, fc.func(fc.integer()), (nodes, match, rank) => {
    const source = { matchOf: (voter: NodeId) => match[voter]! };
    const shuffled = [...nodes].sort((a, b) => rank(a) - rank(b));
    assert.is(quorumIndex(group(...shuffled), source), quorumIndex(group(...nodes), source));
  }));
});

quorum("an election is won with yes from a quorum, lost when that is out of reach, open in between", () => {
  const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 13, maxLength: 13 });
  fc.assert(
    fc.property(configurations, votes, (configuration, cast) => {
      const map = new Map<NodeId, boolean>();
      cast.forEach((vote, voter) => vote !== undefined && map.set(voter, vote));
      const isWon = naive(configuration, (voter) => cast[voter] === true);
      const isPossible = naive(configuration, (voter) => cast[voter] !== false);
      assert.is(voteResult(configuration, map), isWon ? "won" : isPossible ? "pending" : "lost");
    }),
    { numRuns: 2000 },
  );
});

quorum("any two quorums of one configuration share a voter", () => {
  fc.assert(
    fc.property(configurations, matches, (configuration, match) => {
      const one = (voter: NodeId) => match[voter]! > 10;
      const other = (voter: NodeId) => match[voter]! <= 10;
      assert.not.ok(hasQuorum(configuration, one) && hasQuorum(configuration, other));
      assert.is(hasQuorum(configuration, one), naive(configuration, one));
    }),
    { numRuns: 2000 },
  );
});

quorum("without voters nothing is ever decided", () => {
  assert.is(quorumIndex(group(), { matchOf: () => 9 }), 0);
  assert.is(voteResult(group(), new Map([[1, true]])), "lost");
  assert.is(hasQuorum(group(), () => true), false);
});

quorum.run();

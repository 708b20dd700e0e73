/** Followers that a quiet leader can do without: when they wait, and what ends that. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FanOut, type FanOutPolicy } from "../../src/raft/fan-out.ts";
import { accepted } from "./messages.ts";
import { Solo, type SoloOptions } from "./solo.ts";

const PATIENCE_MS = 5;

/** A leader of three whose quick follower is 2. `told`: how long its rounds took. */
function quietLeader(options: SoloOptions = {}): { solo: Solo; told: number[] } {
  const told: number[] = [];
  const fanOut: FanOutPolicy = {
    begin: () => ({ quorumFirst: true, inTrial: false }),
    took: (_, ms) => void told.push(ms),
    patienceMs: PATIENCE_MS,
  };
  const solo = new Solo({ ...options, fanOut });
  solo.lead();
  return { solo, told };
}

const spares = suite("spares");

spares("new entries go to a quorum first, and to the others with the news that they are committed", () => {
  const { solo, told } = quietLeader();
  solo.propose("a");
  assert.equal(solo.sent(), ["1>2 append t1 after 1@1: 2@1, commit 1"]);
  solo.nowMs += 2;
  assert.equal(solo.receive(accepted({ from: 2, term: 1 }, 2)), ["1>3 append t1 after 1@1: 2@1, commit 2"]);
  assert.equal(told, [2]);
  assert.is(solo.raft.sparesUntilMs, Infinity);
});

spares("when the quorum takes too long the others are asked; those who are in time come first from then on", () => {
  const { solo } = quietLeader();
  solo.propose("a");
  solo.sent();
  assert.is(solo.raft.sparesUntilMs, PATIENCE_MS);
  assert.equal(solo.wait(PATIENCE_MS - 1), []);
  assert.equal(solo.wait(1), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
  solo.receive(accepted({ from: 3, term: 1 }, 2), accepted({ from: 2, term: 1 }, 2));
  solo.propose("b");
  assert.equal(solo.sent(), ["1>3 append t1 after 2@1: 3@1, commit 2"]);
});

spares("the leader's own disk counts as well: until it has the entry nothing is committed, and patience ends", () => {
  const { solo } = quietLeader();
  solo.slow = true;
  solo.propose("a");
  solo.sent();
  assert.equal(solo.receive(accepted({ from: 2, term: 1 }, 2)), []);
  assert.equal(solo.wait(PATIENCE_MS), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
  solo.receive(accepted({ from: 3, term: 1 }, 2));
  assert.is(solo.raft.commit, 2);
});

spares("nobody waits while entries follow one another, and such a round is not measured", () => {
  const { solo, told } = quietLeader();
  solo.propose("a");
  solo.sent();
  solo.propose("b");
  assert.equal(solo.sent(), [
    "1>2 append t1 after 2@1: 3@1, commit 1",
    "1>3 append t1 after 1@1: 2@1 3@1, commit 1",
  ]);
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  assert.equal(told, []);
  solo.propose("c");
  assert.is(solo.sent().length, 2, "3 has not answered yet");
});

spares("nobody waits for what is large", () => {
  const { solo } = quietLeader({ limits: { quietBytesMax: 1 } });
  solo.propose("a");
  assert.is(solo.sent().length, 2);
});

spares("nobody waits for a quick one that is gone, and the one that answers instead is quick from then on", () => {
  const { solo } = quietLeader();
  solo.raft.peerLost(2, solo.nowMs);
  solo.propose("a");
  assert.equal(solo.sent(), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
  solo.receive(accepted({ from: 3, term: 1 }, 2));
  assert.is(solo.raft.commit, 2);
});

spares("a spare that is to lead is sent everything at once", () => {
  const { solo } = quietLeader();
  solo.propose("a");
  solo.sent();
  solo.raft.transfer(3, solo.nowMs);
  assert.equal(solo.sent(), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
});

spares("a delay is bounded, whatever was measured", () => {
  const { solo } = quietLeader({ limits: { spareDelayMsMax: 3 } });
  solo.propose("a");
  solo.sent();
  assert.is(solo.raft.sparesUntilMs, 3);
});

spares.run();

const ways = suite("the way entries go");

/** Rounds that take so long, at once and a quorum first; returns how many of the last hundred went to a quorum first. */
function chosen(fanOut: FanOut, rounds: number, atOnceMs: number, firstMs: number): number {
  let first = 0;
  for (let round = 0; round < rounds; round++) {
    const way = fanOut.begin();
    fanOut.took(way, way.quorumFirst ? firstMs : atOnceMs);
    if (way.quorumFirst && round >= rounds - 100) first++;
  }
  return first;
}

ways("what is quicker is chosen, and again when that changes", () => {
  const fanOut = new FanOut();
  assert.is(chosen(fanOut, 512, 1, 0.9), 100);
  assert.is(chosen(fanOut, 512 * 6, 1, 1.2), 0);
  assert.is(chosen(fanOut, 512 * 6, 1, 0.9), 100);
});

ways("a trial takes both by turns", () => {
  const fanOut = new FanOut();
  const way = () => {
    const begun = fanOut.begin();
    fanOut.took(begun, 1);
    return begun.quorumFirst;
  };
  assert.equal([way(), way(), way(), way()], [false, true, false, true]);
});

ways("a disk that stood still decides nothing", () => {
  const fanOut = new FanOut();
  for (let pair = 0; pair < 64; pair++) {
    fanOut.took(fanOut.begin(), 1);
    fanOut.took(fanOut.begin(), pair === 30 ? 1_000 : 0.9);
  }
  assert.is(fanOut.begin().quorumFirst, true);
});

ways("patience is half as much again as usual", () => {
  const fanOut = new FanOut();
  fanOut.took(fanOut.begin(), 2);
  assert.is(fanOut.patienceMs, 3);
});

ways.run();

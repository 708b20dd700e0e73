/** Bugs found in the wild in other systems, as far as the scenarios do not already show them (see README.md). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Core } from "../../src/raft/core.ts";
import { InvariantError } from "../../src/raft/invariant.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, rejected, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group, testEntries } from "./test-entry.ts";

const isBroken = (error: unknown) => error instanceof InvariantError;

const wild = suite("bugs found in the wild");

wild("redpanda#3003: what was proposed and then cut is told apart by its term, not called replicated", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(20);
  cluster.isolate(1);
  const proposed = cluster.propose(1, "cut");
  assert.equal(proposed, { ok: true, firstIndex: 2, term: 1 });
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  cluster.propose(cluster.leader, "kept");
  cluster.heal();
  cluster.advance(500);
  const { term, value } = cluster.member(1).applied[1]!;
  assert.ok(term > 1, "another term's entry stands where it was promised");
  assert.not.equal(value, "cut");
});

wild("nats-server#7850: replaying the log's configurations after a restart makes no cluster of one", () => {
  const cluster = new Cluster(1, { extra: [2, 3], configuration: group(1) });
  cluster.raft(1).campaign(0);
  cluster.settle();
  for (const voters of [[1, 2], [1, 2, 3]]) {
    assert.ok(cluster.change(1, { voters, learners: [] }).ok);
    cluster.advance(100);
  }
  cluster.crash(1);
  cluster.restart(1);
  // Its checkpoint still says that it is alone.
  assert.equal(cluster.raft(1).configuration.voters, [1]);
  cluster.raft(1).campaign(cluster.nowMs);
  cluster.isolate(1);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.not.equal(cluster.raft(1).role, "leader");
  assert.ok(cluster.leader > 1);
});

wild("redpanda#17675: two learners promoted at once go through a joint configuration", () => {
  const cluster = new Cluster(1, { extra: [2, 3], configuration: { ...group(1), learners: [2, 3] } });
  cluster.raft(1).campaign(0);
  cluster.settle();
  cluster.isolate(1);
  assert.ok(cluster.change(1, { voters: [1, 2, 3], learners: [] }).ok);
  assert.not.ok(cluster.change(1, { voters: [1, 2], learners: [] }).ok);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, 0, "1 alone is no majority of the new half, 2 and 3 know nothing of it");
  cluster.heal();
  assert.not.equal(cluster.waitForLeader(), 0);
});

wild("nats-server#5684: terms never move backwards, and a vote is not given twice", () => {
  const core = new Core({
    id: 1,
    entries: testEntries,
    configuration: group(1, 2, 3),
    hardState: { term: 5, vote: 2, commit: 0 },
    log: { firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 },
    applied: 0,
    nowMs: 0,
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
    random: () => 0,
    peerHeardMs: () => -Infinity,
  });
  assert.throws(() => core.enterTerm(5), isBroken);
  assert.throws(() => core.enterTerm(4), isBroken);
  assert.throws(() => core.castVote(3), isBroken);
  assert.throws(() => core.commitTo(1), isBroken);
});

wild("redpanda#9254: a reply of somebody who was not asked, or that is meant for somebody else, is ignored", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.sent();
  assert.equal(solo.receive(accepted({ from: 9, term: 1 }, 2), accepted({ from: 2, to: 7, term: 1 }, 2)), []);
  assert.equal(solo.receive(rejected({ from: 9, term: 1 }, 1, [0, 0])), []);
  assert.is(solo.raft.commit, 1);
});

wild("redpanda#12990: writes are numbered without reuse, also those that need no disk", () => {
  const solo = new Solo();
  const sequences: number[] = [];
  for (let round = 0; round < 3; round++) {
    solo.raft.readIndex(round, 0);
    sequences.push(solo.raft.takeReady().sequence);
  }
  assert.equal(sequences, [1, 2, 3]);
});

wild("redpanda#21361: two elections at once in one node: votes for the first do not count in the second", () => {
  const solo = new Solo({ configuration: group(1, 2, 3, 4, 5) });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false));
  solo.raft.campaign(0, false);
  solo.sent();
  assert.is(solo.raft.term, 2);
  solo.receive(voteResponse({ from: 3, term: 2 }, false), voteResponse({ from: 4, term: 1 }, false));
  assert.is(solo.raft.role, "candidate", "2 has voted in term 1, 3 in term 2, 4 in term 1");
  solo.receive(voteResponse({ from: 3, term: 2 }, false));
  assert.is(solo.raft.role, "candidate", "and nobody votes twice");
});

wild("etcd PR#10063: committed entries that are applied in pages are all applied, in order", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1, 1, 1, 1]));
  solo.member.applies = false;
  solo.receive(append({ from: 2, term: 1 }, [5, 1], [], 5));
  for (let index = 1; index <= 5; index++) {
    solo.raft.appliedTo(index);
    assert.is(solo.raft.applied, index);
  }
  solo.raft.appliedTo(3);
  assert.is(solo.raft.applied, 5, "an old report changes nothing");
  assert.throws(() => solo.raft.appliedTo(6), isBroken, "nor may anything be applied that is not committed");
});

wild("KAFKA-12619: what may be applied is never past what is committed, nor past the own disk", () => {
  const solo = new Solo();
  solo.slow = true;
  solo.raft.step(append({ from: 2, term: 1 }, [0, 0], [1, 1, 1], 2), 0);
  const ready = solo.raft.takeReady();
  assert.is(ready.committedIndex, 0);
  solo.raft.persisted(ready.sequence, 0);
  assert.is(solo.raft.takeReady().committedIndex, 2);
});

wild("KAFKA-14238: the log is not cut past the snapshot that replaces it", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1, 1], 3));
  const snapshot = { index: 2, term: 1, configuration: group(1, 2, 3) };
  assert.throws(() => solo.raft.compacted(4, snapshot), isBroken);
  assert.throws(() => solo.raft.compacted(1, { ...snapshot, index: 9 }), isBroken);
  solo.raft.compacted(3, snapshot);
  assert.is(solo.raft.log.firstIndex, 3);
});

wild("nats-server#7424: catching up twice at the same time cuts nothing", () => {
  const solo = new Solo();
  const first = append({ from: 2, term: 1 }, [0, 0], [1, 1, 1], 3);
  const second = append({ from: 2, term: 1 }, [1, 1], [1, 1, 1, 1], 5);
  solo.receive(first, second, first, append({ from: 2, term: 1 }, [2, 1], [1], 3), second);
  assert.is(solo.raft.lastIndex, 5);
  assert.is(solo.raft.commit, 5);
});

wild("two leaders in one term are a broken invariant, whoever notices", () => {
  const leader = new Solo();
  leader.lead();
  assert.throws(() => leader.receive(append({ from: 2, term: 1 }, [0, 0], [1])), isBroken);
  const follower = new Solo();
  follower.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  assert.throws(() => follower.receive(append({ from: 3, term: 1 }, [0, 0], [1])), isBroken);
});

wild("an acknowledgement past the end of the leader's log is a broken invariant", () => {
  const solo = new Solo();
  solo.lead();
  assert.throws(() => solo.receive(accepted({ from: 2, term: 1 }, 99)), isBroken);
});

wild.run();

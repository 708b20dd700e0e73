/** Scenarios 41 to 43: linearizable reads (Raft thesis §6.4). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, confirmed, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group } from "./test-entry.ts";

const reads = suite("reads");

reads("41: a new leader answers reads only after its no-op commits", () => {
  // etcd#7331: before that it may not know everything that its predecessor committed.
  const solo = new Solo({ log: [1], hardState: { term: 1 } });
  solo.raft.campaign(0, false);
  solo.receive(voteResponse({ from: 2, term: 2 }, false));
  solo.raft.readIndex(7, 0);
  assert.equal(solo.sent(), [], "not even asked");
  assert.equal(solo.receive(accepted({ from: 2, term: 2 }, 2)), [
    "1>2 heartbeat t2 round 1, commit 2",
    "1>3 heartbeat t2 round 1, commit 2",
  ]);
  solo.receive(confirmed({ from: 2, term: 2 }, 1));
  assert.equal(solo.member.reads, [{ context: 7, index: 2 }]);
});

reads("42: a paused leader that wakes serves nothing stale", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(10);
  // The process stands still: the others elect somebody, who commits more.
  cluster.isolate(1);
  cluster.raft(1).readIndex(1, cluster.nowMs);
  cluster.pump();
  cluster.letters = [];
  for (const id of [2, 3]) cluster.raft(id).peerLost(1, cluster.nowMs);
  cluster.pass(60);
  cluster.advance(200);
  cluster.propose(cluster.members.find(({ id, raft }) => id !== 1 && raft.role === "leader")!.id, "newer");
  cluster.advance(20);
  cluster.heal();
  // It wakes, still takes itself for the leader, and is asked.
  cluster.raft(1).readIndex(2, cluster.nowMs);
  cluster.advance(2 * ELECTION_TIMEOUT_MS);
  assert.equal(cluster.member(1).reads, [{ context: 1, index: -1 }, { context: 2, index: -1 }]);
});

reads("43: a read needs a quorum of fresh replies, and all earlier reads ride on it", () => {
  const solo = new Solo({ configuration: group(1, 2, 3, 4, 5) });
  solo.lead();
  solo.raft.readIndex(1, 0);
  solo.raft.readIndex(2, 0);
  assert.is(solo.sent().length, 4, "one question to each voter, for both reads");
  solo.raft.readIndex(3, 0);
  assert.equal(solo.sent(), [], "the third one came too late for this round");
  solo.receive(confirmed({ from: 2, term: 1 }, 1));
  assert.equal(solo.member.reads, []);
  const next = solo.receive(confirmed({ from: 3, term: 1 }, 1));
  assert.equal(solo.member.reads.splice(0), [{ context: 1, index: 1 }, { context: 2, index: 1 }]);
  assert.equal(next.length, 4, "and now the next round begins");
  solo.receive(confirmed({ from: 4, term: 1 }, 1), confirmed({ from: 5, term: 1 }, 1));
  assert.equal(solo.member.reads, [], "late answers to the first round");
  solo.receive(confirmed({ from: 4, term: 1 }, 2), confirmed({ from: 5, term: 1 }, 2));
  assert.equal(solo.member.reads, [{ context: 3, index: 1 }]);
});

reads("43: a read is answered with what was committed when it was asked, or later", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1));
  assert.equal(solo.member.reads, [{ context: 1, index: 2 }]);
});

reads("a round of which messages are lost is asked again", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.raft(1).readIndex(1, cluster.nowMs);
  assert.is(cluster.take(({ type }) => type === "heartbeat").length, 2);
  cluster.advance(200);
  assert.equal(cluster.member(1).reads, [{ context: 1, index: 1 }]);
});

reads("learners confirm nothing, and are not asked", () => {
  const solo = new Solo({ configuration: { ...group(1, 2, 3), learners: [4, 5] } });
  solo.lead();
  solo.raft.readIndex(1, 0);
  assert.is(solo.sent().filter((line) => line.includes("round 1")).length, 2);
  solo.receive(confirmed({ from: 4, term: 1 }, 1), confirmed({ from: 5, term: 1 }, 1));
  assert.equal(solo.member.reads, []);
});

reads("in a joint configuration both halves must confirm", () => {
  const solo = new Solo({ configuration: { ...group(1, 2, 3), outgoing: [1, 4, 5] } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false), voteResponse({ from: 4, term: 1 }, false));
  solo.receive(accepted({ from: 2, term: 1 }, 1), accepted({ from: 4, term: 1 }, 1));
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1), confirmed({ from: 3, term: 1 }, 1));
  assert.equal(solo.member.reads, []);
  solo.receive(confirmed({ from: 5, term: 1 }, 1));
  assert.is(solo.member.reads.length, 1);
});

reads("a single voter answers at once, when its term has a commit", () => {
  const solo = new Solo({ configuration: group(1) });
  solo.slow = true;
  solo.raft.campaign(0);
  solo.sent();
  solo.persist();
  assert.is(solo.raft.role, "leader");
  solo.raft.readIndex(1, 0);
  solo.sent();
  assert.equal(solo.member.reads, []);
  solo.persist();
  assert.equal(solo.member.reads.splice(0), [{ context: 1, index: 1 }]);
  solo.raft.readIndex(2, 0);
  solo.sent();
  assert.equal(solo.member.reads, [{ context: 2, index: 1 }]);
});

reads("a follower refuses, and a leader that steps down refuses all that wait", () => {
  const solo = new Solo();
  solo.raft.readIndex(1, 0);
  solo.sent();
  assert.equal(solo.member.reads.splice(0), [{ context: 1, index: -1 }]);
  solo.lead();
  solo.raft.readIndex(2, 0);
  solo.sent();
  solo.raft.readIndex(3, 0);
  solo.receive(append({ from: 2, term: 2 }, [1, 1], [2]));
  assert.equal(solo.member.reads, [{ context: 2, index: -1 }, { context: 3, index: -1 }]);
});

reads("reads that wait are bounded", () => {
  const solo = new Solo({ limits: { readsMax: 2 } });
  solo.lead();
  for (const context of [1, 2, 3]) solo.raft.readIndex(context, 0);
  solo.sent();
  assert.equal(solo.member.reads, [{ context: 3, index: -1 }]);
});

reads.run();

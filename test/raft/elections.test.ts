/** Scenarios 1 to 19: who may lead, and how the others find out. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, voteRequest, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group, placed } from "./test-entry.ts";
import { emptyDisk, type TestDisk } from "./member.ts";

/** A disk with a log of entries of these terms. */
function diskOf(size: number, terms: readonly number[], term = terms.at(-1) ?? 0): TestDisk {
  const nodes = Array.from({ length: size }, (_, at) => at + 1);
  return {
    ...emptyDisk(group(...nodes)),
    entries: terms.map((entryTerm, at) => placed(entryTerm, at + 1)),
    hardState: { term, vote: 0, commit: 0 },
  };
}

const voting = suite("votes");

voting("1: one vote a term: a second candidate is refused, the first one is answered again", () => {
  const solo = new Solo();
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), ["1>2 vote t1 yes"]);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 1 }, [9, 1])), ["1>3 vote t1 no"]);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), ["1>2 vote t1 yes"]);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 1])), ["1>3 vote t2 yes"]);
});

voting("1: a vote is refused to a log that is less up to date, by term first and then by length", () => {
  const log = [1, 1, 2];
  const cases: [lastIndex: number, lastTerm: number, answer: string][] = [
    [3, 2, "yes"],
    [2, 2, "no"],
    [9, 1, "no"],
    [1, 3, "yes"],
  ];
  for (const [lastIndex, lastTerm, answer] of cases) {
    const solo = new Solo({ log });
    const request = voteRequest({ from: 2, term: 4 }, [lastIndex, lastTerm]);
    assert.equal(solo.receive(request), [`1>2 vote t4 ${answer}`], `${lastIndex}@${lastTerm}`);
  }
});

voting("2: a message of an older term changes nothing; its sender learns the newer term", () => {
  const solo = new Solo({ log: [1, 2], hardState: { term: 3 } });
  assert.equal(solo.receive(append({ from: 2, term: 2 }, [1, 1], [1, 1])), ["1>2 heartbeat-response t3 round 0"]);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 2 }, [9, 2])), ["1>2 vote t3 no"]);
  assert.equal(solo.receive(voteResponse({ from: 2, term: 2 }, false)), []);
  assert.is(solo.raft.lastIndex, 2);
  assert.is(solo.raft.leader, 0);
  assert.is(solo.raft.term, 3);
});

voting("14: the vote is kept after stepping down: no second vote in the term", () => {
  const solo = new Solo();
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, true), voteResponse({ from: 3, term: 1 }, true));
  assert.is(solo.raft.role, "follower");
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [9, 1])), ["1>2 vote t1 no"]);
});

voting("14: the vote is kept through a restart", () => {
  const cluster = new Cluster(3);
  cluster.raft(1).campaign(0, false);
  cluster.settle();
  cluster.crash(2);
  cluster.restart(2);
  cluster.deliver({ message: voteRequest({ from: 3, to: 2, term: 1 }, [9, 1]), state: undefined });
  const [answer] = cluster.take(({ from, type }) => from === 2 && type === "vote-response");
  assert.ok(answer?.message.type === "vote-response" && answer.message.reject);
});

voting("15: a vote is not sent before it is durable", () => {
  const solo = new Solo();
  solo.slow = true;
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), []);
  assert.equal(solo.persist(), ["1>2 vote t1 yes"]);
});

voting("15: a candidate does not lead before its own vote is durable, whoever else voted for it", () => {
  // Else it could crash, forget the term, win it once more and put another entry where its first one was.
  const solo = new Solo();
  solo.slow = true;
  solo.raft.campaign(0, false);
  solo.receive(voteResponse({ from: 2, term: 1 }, false), voteResponse({ from: 3, term: 1 }, false));
  assert.is(solo.raft.role, "candidate");
  solo.persist();
  assert.is(solo.raft.role, "leader");
});

voting("17: the vote of a peer that is no voter any more is ignored", () => {
  const solo = new Solo({ configuration: group(1, 2, 3) });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 8, term: 1 }, false), voteResponse({ from: 9, term: 1 }, false));
  assert.is(solo.raft.role, "candidate");
  solo.receive(voteResponse({ from: 8, term: 1 }, true), voteResponse({ from: 9, term: 1 }, true));
  assert.is(solo.raft.role, "candidate", "nor does its refusal count");
  solo.receive(voteResponse({ from: 3, term: 1 }, false));
  assert.is(solo.raft.role, "leader");
});

voting("18: a learner that does not know yet that it was promoted votes", () => {
  const solo = new Solo({ configuration: { ...group(2, 3), learners: [1] } });
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), ["1>2 vote t1 yes"]);
  assert.is(solo.raft.deadlineMs, Infinity, "but it does not campaign itself");
});

voting.run();

const committing = suite("what an election may not lose");

committing("3: an entry of an earlier term is never committed by counting replicas (figure 8)", () => {
  const solo = new Solo({ log: [1, 2], hardState: { term: 2 } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 3 }, false));
  assert.is(solo.raft.role, "leader");
  solo.receive(accepted({ from: 2, term: 3 }, 2));
  assert.is(solo.raft.commit, 0, "a majority has entry 2, of term 2");
  solo.receive(accepted({ from: 2, term: 3 }, 3));
  assert.is(solo.raft.commit, 3, "with an entry of term 3 it is committed");
});

committing("4: the divergent logs of figure 7 converge", () => {
  const logs: Record<number, number[]> = {
    1: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    2: [1, 1, 1, 4, 4, 5, 5, 6, 6],
    3: [1, 1, 1, 4],
    4: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    5: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    6: [1, 1, 1, 4, 4, 4, 4],
    7: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  const disks: Record<number, TestDisk> = {};
  for (const [id, terms] of Object.entries(logs)) disks[Number(id)] = diskOf(7, terms, 7);
  const cluster = new Cluster(7, { disks });
  cluster.elect(1);
  const terms = (id: number) => cluster.member(id).disk.entries.map(({ term }) => term);
  for (const id of [1, 2, 3, 4, 5, 6, 7]) assert.equal(terms(id), [...logs[1]!, 8], `member ${id}`);
});

committing("19: all replicas are killed, a majority returns: nothing acknowledged is lost", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.propose(1, "a", "b");
  cluster.settle();
  for (const id of [1, 2, 3, 4, 5]) cluster.crash(id);
  for (const id of [3, 4, 5]) cluster.restart(id);
  const leader = cluster.waitForLeader();
  assert.equal(cluster.values(leader), ["a", "b"]);
});

committing.run();

const timing = suite("when to campaign");

timing("5: the timeouts of a thousand groups that lost the same leader spread over a whole timeout", () => {
  // All of them heard the leader's node at the same moment, for the last time.
  const deadlines: number[] = [];
  for (let seed = 0; seed < 1000; seed++) {
    const cluster = new Cluster(3, { seed });
    cluster.elect(1);
    cluster.advance(100);
    cluster.isolate(1);
    cluster.raft(2).tick(cluster.raft(2).deadlineMs);
    deadlines.push(cluster.raft(2).deadlineMs - cluster.nowMs);
  }
  const tenth = ELECTION_TIMEOUT_MS / 10;
  const counts = new Map<number, number>();
  for (const deadline of deadlines) {
    counts.set(Math.floor(deadline / tenth), (counts.get(Math.floor(deadline / tenth)) ?? 0) + 1);
  }
  assert.ok(Math.max(...counts.values()) < 200, `${[...counts.values()]} of 1000 in each tenth`);
});

timing("5: timeouts rarely conflict: most groups elect somebody in the first campaign", () => {
  let quick = 0;
  for (let seed = 0; seed < 100; seed++) {
    const cluster = new Cluster(3, { seed });
    cluster.waitForLeader();
    if (cluster.raft(1).term === 1) quick += 1;
  }
  assert.ok(quick > 90, `${quick} of 100`);
});

timing("6: duelling candidates: a split vote ends in another election", () => {
  const cluster = new Cluster(4);
  for (const id of [1, 2]) cluster.raft(id).campaign(0, false);
  cluster.pump();
  // 3 votes for 1 and 4 for 2.
  const [first, second] = [cluster.take(({ to }) => to === 3), cluster.take(({ to }) => to === 4)];
  for (const letter of first.filter(({ message }) => message.from === 1)) cluster.deliver(letter);
  for (const letter of second.filter(({ message }) => message.from === 2)) cluster.deliver(letter);
  cluster.settle();
  assert.is(cluster.leader, 0);
  cluster.waitForLeader();
  assert.ok(cluster.raft(1).term > 1);
});

timing("13: a vote that is refused leaves the election timer alone, also when it brings a new term", () => {
  const solo = new Solo({ log: [1, 1] });
  const { deadlineMs } = solo.raft;
  solo.nowMs = 700;
  assert.equal(solo.receive(voteRequest({ from: 2, term: 2 }, [1, 1])), ["1>2 vote t2 no"]);
  assert.is(solo.raft.deadlineMs, deadlineMs);
  assert.ok(solo.wait(deadlineMs - solo.nowMs).includes("1>2 pre-vote? t3 last 2@1"));
});

timing("13: a vote that is granted gives the candidate time", () => {
  const solo = new Solo();
  const { deadlineMs } = solo.raft;
  solo.nowMs = 700;
  solo.receive(voteRequest({ from: 2, term: 2 }, [0, 0]));
  assert.equal(solo.wait(deadlineMs - solo.nowMs), [], "its old deadline passes");
  assert.ok(solo.raft.deadlineMs >= 700 + ELECTION_TIMEOUT_MS);
});

timing.run();

const preVotes = suite("pre-votes");

preVotes("7: a pre-vote with a log behind loses, and nobody's term moves", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  cluster.crash(1);
  cluster.heal();
  cluster.raft(3).campaign(cluster.nowMs);
  cluster.settle();
  assert.not.equal(cluster.raft(3).role, "leader");
  assert.is(cluster.raft(3).term, 1);
  assert.is(cluster.waitForLeader(), 2);
});

preVotes("8: a pre-vote is refused while a leader is alive", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(2500);
  cluster.raft(3).campaign(cluster.nowMs);
  cluster.settle();
  cluster.advance(2500);
  assert.is(cluster.leader, 1);
  assert.is(cluster.raft(1).term, 1);
});

preVotes("8: a replica that comes back from a partition disturbs nobody", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.advance(10 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.raft(3).term, 1, "alone it does not even begin a term");
  cluster.heal();
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.raft(1).role, "leader");
  assert.is(cluster.raft(1).term, 1);
  assert.is(cluster.raft(3).leader, 1);
});

preVotes("9: a split pre-vote resolves", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(10);
  cluster.crash(1);
  cluster.advance(1);
  for (const id of [2, 3]) {
    cluster.raft(id).peerLost(1, cluster.nowMs);
    cluster.raft(id).campaign(cluster.nowMs);
  }
  cluster.settle();
  assert.ok(cluster.waitForLeader() > 1);
});

preVotes("10: a pre-voter with a stale term catches up", () => {
  const solo = new Solo({ log: [1], hardState: { term: 1 } });
  solo.raft.campaign(0);
  assert.equal(solo.sent(), ["1>2 pre-vote? t2 last 1@1", "1>3 pre-vote? t2 last 1@1"]);
  solo.receive(voteResponse({ from: 2, term: 7 }, true, { preVote: true }));
  assert.is(solo.raft.term, 7);
  assert.is(solo.raft.role, "follower");
  const other = new Solo({ hardState: { term: 7 } });
  assert.equal(other.receive(voteRequest({ from: 2, term: 2 }, [1, 1], { preVote: true })), ["1>2 pre-vote t7 no"]);
});

preVotes("11: granting a pre-vote leaves timer, term and vote alone", () => {
  const solo = new Solo();
  const { deadlineMs } = solo.raft;
  solo.nowMs = deadlineMs - 1;
  const request = (from: number) => voteRequest({ from, term: 1 }, [0, 0], { preVote: true });
  assert.equal(solo.receive(request(2)), ["1>2 pre-vote t1 yes"]);
  assert.equal(solo.receive(request(3)), ["1>3 pre-vote t1 yes"], "it binds nobody");
  assert.is(solo.raft.term, 0);
  assert.ok(solo.wait(1).includes("1>2 pre-vote? t1 last 0@0"));
});

preVotes("a pre-vote's promise of another campaign is not a vote", () => {
  const solo = new Solo();
  solo.raft.campaign(0);
  solo.receive(voteResponse({ from: 2, term: 1 }, false, { preVote: true }));
  assert.is(solo.raft.role, "candidate");
  solo.receive(voteResponse({ from: 3, term: 1 }, false, { preVote: true }));
  assert.is(solo.raft.role, "candidate");
});

preVotes.run();

const quorums = suite("leaders without followers");

quorums("12: a leader without a quorum steps down, and answers nothing in between", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.advance(100);
  cluster.isolate(1, 2);
  cluster.propose(1, "lost");
  cluster.advance(2.5 * ELECTION_TIMEOUT_MS);
  assert.not.equal(cluster.raft(1).role, "leader");
  assert.equal(cluster.values(1), []);
  assert.ok([3, 4, 5].includes(cluster.leader));
});

quorums("12: a leader with a quorum stays, for ever", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.isolate(4, 5);
  cluster.advance(20 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, 1);
  assert.is(cluster.raft(1).term, 1);
});

quorums("16: one-way isolation: a leader that hears nobody goes, one that nobody hears is replaced", () => {
  const deaf = new Cluster(3);
  deaf.elect(1);
  deaf.advance(100);
  for (const id of [2, 3]) deaf.cut(id, 1);
  deaf.advance(4 * ELECTION_TIMEOUT_MS);
  assert.ok(deaf.leader > 1, "deaf");
  assert.not.equal(deaf.raft(1).role, "leader");

  const mute = new Cluster(3);
  mute.elect(1);
  mute.advance(100);
  for (const id of [2, 3]) mute.cut(1, id);
  mute.advance(4 * ELECTION_TIMEOUT_MS);
  assert.ok(mute.leader > 1, "mute");
  assert.is(mute.raft(1).leader, mute.leader, "the old leader learns of the new one");
});

quorums("16: a follower that hears nobody changes nothing, for ever", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(100);
  for (const id of [1, 2]) cluster.cut(id, 3);
  cluster.advance(20 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, 1);
  assert.is(cluster.raft(1).term, 1);
  cluster.propose(1, "a");
  cluster.advance(20);
  assert.equal(cluster.values(2), ["a"]);
});

quorums("a bridge: two that hear only the third one do not fight over it", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(100);
  cluster.cut(1, 2);
  cluster.cut(2, 1);
  cluster.advance(20 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.raft(1).term, 1);
  cluster.propose(1, "a");
  cluster.advance(20);
  assert.equal(cluster.values(3), ["a"]);
});

quorums.run();

/** Scenarios 47 to 53: changing who takes part (Raft §6, thesis §4). */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isJoint, leaveJoint, planChange } from "../../src/raft/configuration.ts";
import { DEFAULT_RAFT_LIMITS } from "../../src/raft/limits.ts";
import { Membership } from "../../src/raft/membership.ts";
import { hasQuorum } from "../../src/raft/quorum.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, describe, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { describeConfiguration, group } from "./test-entry.ts";

const plans = suite("planning a change");

plans("one voter more or less is a simple change, anything else a joint one", () => {
  const plan = (voters: number[], learners: number[], joint = false) => {
    const next = planChange({ ...group(1, 2, 3), learners: [4] }, { voters, learners, joint });
    return next && describeConfiguration(next);
  };
  assert.is(plan([1, 2, 3, 4], []), "1 2 3 4");
  assert.is(plan([1, 2], [4]), "1 2 + 4");
  assert.is(plan([1, 2, 3], [4, 5, 6]), "1 2 3 + 4 5 6", "learners come and go freely");
  assert.is(plan([1, 2], [3, 4]), "1 2 + 3 4", "a voter becomes a learner");
  assert.is(plan([1, 2, 4], []), "1 2 4 & 1 2 3");
  assert.is(plan([1, 4, 5], [2]), "1 4 5 & 1 2 3 then + 2", "it votes until the end of the joint configuration");
  assert.is(plan([1, 2, 3, 4], [], true), "1 2 3 4 & 1 2 3");
});

plans("nonsense is refused", () => {
  const current = group(1, 2, 3);
  for (
    const change of [
      { voters: [], learners: [1] },
      { voters: [1, 1], learners: [] },
      { voters: [1, 2], learners: [2] },
      { voters: [1, 0], learners: [] },
      { voters: [1, 2.5], learners: [] },
    ]
  ) {
    assert.is(planChange(current, change), undefined, JSON.stringify(change));
  }
  assert.is(planChange({ ...current, outgoing: [4] }, { voters: [1], learners: [] }), undefined);
});

plans("50: a quorum of one configuration and a quorum of the next one always share a voter", () => {
  const some = (min: number) => fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: min, maxLength: 6 });
  const subsets = Array.from({ length: 64 }, (_, bits) => (voter: number) => (bits & (1 << (voter - 1))) !== 0);
  fc.assert(fc.property(some(1), some(1), some(0), fc.boolean(), (present, voters, all, joint) => {
    const learners = all.filter((node) => !voters.includes(node));
    const chain = [group(...present), planChange(group(...present), { voters, learners, joint })!];
    if (isJoint(chain[1]!)) chain.push(leaveJoint(chain[1]!));
    const last = chain.at(-1)!;
    assert.equal([[...last.voters].sort(), [...last.learners].sort()], [[...voters].sort(), [...learners].sort()]);
    for (let at = 1; at < chain.length; at++) {
      for (const holds of subsets) {
        const isApart = hasQuorum(chain[at - 1]!, holds) && hasQuorum(chain[at]!, (voter) => !holds(voter));
        assert.not.ok(isApart, `${describeConfiguration(chain[at - 1]!)} and ${describeConfiguration(chain[at]!)}`);
      }
    }
  }));
});

plans.run();

const changes = suite("changes");

changes("47: add two replicas and leave the joint configuration by itself", () => {
  const cluster = new Cluster(3, { extra: [4, 5] });
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.advance(20);
  assert.ok(cluster.change(1, { voters: [1, 2, 3, 4, 5], learners: [] }).ok);
  cluster.advance(100);
  const configurations = cluster.member(5).applied.filter(({ value }) => value.startsWith("configuration "));
  assert.equal(configurations.map(({ value }) => value), [
    "configuration 1 2 3 4 5 & 1 2 3",
    "configuration 1 2 3 4 5",
  ]);
  for (const id of [1, 2, 3, 4, 5]) {
    assert.is(describeConfiguration(cluster.raft(id).configuration), "1 2 3 4 5");
    assert.equal(cluster.values(id), ["a"]);
  }
  cluster.crash(1, true);
  cluster.crash(2);
  assert.ok(cluster.waitForLeader() >= 3);
});

changes("48: removing the leader makes it step down, after the commit", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(20);
  assert.ok(cluster.change(1, { voters: [2, 3], learners: [] }).ok);
  cluster.pump();
  assert.is(cluster.raft(1).role, "leader", "it leads until it is committed");
  cluster.settle();
  assert.not.equal(cluster.raft(1).role, "leader");
  assert.is(describeConfiguration(cluster.raft(1).configuration), "2 3");
  cluster.advance(200);
  assert.ok(cluster.leader > 1, "the others were told, and need no timeout");
  cluster.propose(cluster.leader, "a");
  cluster.advance(20);
  assert.equal(cluster.values(2), ["a"]);
});

changes("48: it leads until a majority of those who stay know, and takes no proposals meanwhile", () => {
  // If it left before, they would still need its vote, or those of others who left with it.
  const cluster = new Cluster(3, { limits: { commitNoticeMs: 100_000 } });
  cluster.elect(1);
  cluster.advance(20);
  cluster.change(1, { voters: [2, 3], learners: [] });
  cluster.pump();
  for (let rounds = 0; rounds < 2; rounds++) {
    for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
    for (const member of cluster.members) member.persist(cluster.nowMs);
  }
  for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
  assert.is(describeConfiguration(cluster.raft(1).configuration), "2 3");
  assert.is(cluster.raft(1).role, "leader");
  assert.equal(cluster.propose(1, "late"), { ok: false, code: "TRANSFERRING" });
  cluster.settle();
  assert.not.equal(cluster.raft(1).role, "leader");
});

changes("48: a leader that becomes a learner steps down too, and goes on as one", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(20);
  cluster.change(1, { voters: [2, 3], learners: [1] });
  cluster.advance(2 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.leader > 1);
  cluster.propose(cluster.leader, "a");
  cluster.advance(20);
  assert.equal(cluster.values(1), ["a"]);
});

changes("a removed leader that was not heard when it resigned repeats it until there is another", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(20);
  cluster.change(1, { voters: [2, 3], learners: [] });
  for (let rounds = 0; rounds < 50; rounds++) {
    cluster.pump();
    for (const member of cluster.members) member.persist(cluster.nowMs);
    cluster.take(({ type }) => type === "heartbeat-response");
    for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
  }
  assert.is(cluster.raft(1).role, "follower");
  assert.is(cluster.raft(2).leader, 1, "nobody has heard");
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.leader > 1);
});

changes("49: an uncommitted membership change is undone by truncation", () => {
  const cluster = new Cluster(3, { extra: [4] });
  cluster.elect(1);
  cluster.advance(20);
  cluster.isolate(1);
  cluster.change(1, { voters: [1, 2, 3, 4], learners: [] });
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  const { leader } = cluster;
  assert.ok(leader > 1);
  cluster.propose(leader, "a");
  cluster.heal();
  cluster.advance(500);
  for (const id of [1, 2, 3]) assert.is(describeConfiguration(cluster.raft(id).configuration), "1 2 3");
  assert.equal(cluster.values(1), ["a"]);
  assert.ok(cluster.change(leader, { voters: [1, 2, 3, 4], learners: [] }).ok, "and another can be made");
});

changes("49: what was cut leaves no trace in what is waiting to take effect", () => {
  const membership = new Membership(group(1, 2, 3), 0);
  membership.appended(4, group(1));
  membership.appended(6, group(2));
  membership.truncateFrom(5);
  membership.appended(5, group(3));
  assert.ok(membership.appliedTo(4, undefined));
  assert.equal(membership.current.voters, [1]);
  assert.ok(membership.appliedTo(9, undefined));
  assert.equal(membership.current.voters, [3]);
  assert.not.ok(membership.appliedTo(9, undefined));
});

changes("50: no second change while one is in flight: it waits until the first is in use", () => {
  const cluster = new Cluster(3, { extra: [4, 5] });
  cluster.elect(1);
  cluster.advance(20);
  cluster.member(1).applies = false;
  assert.ok(cluster.change(1, { voters: [1, 2, 3, 4], learners: [] }).ok);
  assert.equal(cluster.change(1, { voters: [1, 2, 3, 5], learners: [] }), { ok: false, code: "CHANGE_IN_PROGRESS" });
  cluster.advance(100);
  assert.equal(cluster.change(1, { voters: [1, 2, 3, 5], learners: [] }), { ok: false, code: "CHANGE_IN_PROGRESS" });
  cluster.member(1).applies = true;
  cluster.advance(20);
  assert.ok(cluster.change(1, { voters: [1, 2, 3, 4, 5], learners: [] }).ok);
});

changes("50: nor while a joint configuration is being left", () => {
  const solo = new Solo({ configuration: { ...group(1, 2, 3), outgoing: [1] } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false));
  solo.receive(accepted({ from: 2, term: 1 }, 1));
  assert.is(solo.raft.applied, 1);
  const change = { voters: [1, 2], learners: [] };
  assert.equal(solo.raft.proposeConfiguration(change, 0), { ok: false, code: "CHANGE_IN_PROGRESS" });
  assert.is(solo.raft.lastIndex, 2, "the entry that leaves it was proposed by itself");
});

changes("50: a new leader makes no change before it has committed something of its term", () => {
  const solo = new Solo();
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false));
  const change = { voters: [1, 2], learners: [] };
  assert.equal(solo.raft.proposeConfiguration(change, 0), { ok: false, code: "CHANGE_IN_PROGRESS" });
  solo.receive(accepted({ from: 2, term: 1 }, 1));
  assert.ok(solo.raft.proposeConfiguration(change, 0).ok);
});

changes("50: nobody campaigns with a configuration that it knows to be superseded", () => {
  // Two changes later a majority of the old one could share no voter with one of the new.
  const solo = new Solo({ configuration: group(1, 2, 3) });
  solo.member.applies = false;
  const change = append({ from: 2, term: 1 }, [0, 0], [1], 1);
  const { entries: [entry] } = change;
  Object.assign(entry!, { configuration: group(1, 2, 3, 4) });
  solo.receive(change);
  solo.raft.campaign(0);
  assert.equal(solo.sent(), []);
  solo.member.applies = true;
  solo.sent();
  solo.raft.campaign(0);
  assert.is(solo.sent().length, 3, "to 2, 3 and 4");
});

changes("50: nor after a restart, before it has applied again what it knew to be committed", () => {
  // The commit index that was written with a later entry says so.
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 1, commit: 2 } });
  solo.raft.campaign(0);
  assert.is(solo.raft.role, "follower");
  solo.sent();
  assert.is(solo.raft.applied, 2);
  solo.raft.campaign(0);
  assert.is(solo.raft.role, "pre-candidate");
});

changes("50: an entry that changes the configuration is written together with the commit index known by then", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1]));
  solo.raft.step(append({ from: 2, term: 1 }, [2, 1], [1], 2), 0);
  assert.equal(solo.raft.takeReady().hardState, { term: 1, vote: 0, commit: 2 });
});

changes("51: the joint configuration commits only with both halves", () => {
  const cluster = new Cluster(3, { extra: [4, 5] });
  cluster.elect(1);
  cluster.advance(20);
  cluster.isolate(4, 5);
  cluster.change(1, { voters: [1, 4, 5], learners: [] });
  cluster.advance(50);
  assert.is(describeConfiguration(cluster.raft(1).configuration), "1 4 5 & 1 2 3", "the old majority begins it");
  cluster.propose(1, "a");
  cluster.advance(500);
  assert.equal(cluster.values(1), [], "but nothing goes on without the new one");
  cluster.heal();
  cluster.advance(200);
  assert.is(describeConfiguration(cluster.raft(1).configuration), "1 4 5");
  assert.equal(cluster.values(5), ["a"]);
});

changes("51: entries of a joint configuration need a majority of each half", () => {
  const solo = new Solo({ configuration: { ...group(1, 2, 3), outgoing: [1, 4, 5] } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false), voteResponse({ from: 3, term: 1 }, false));
  assert.is(solo.raft.role, "candidate", "three of five, but one of the outgoing half");
  solo.receive(voteResponse({ from: 4, term: 1 }, false));
  assert.is(solo.raft.role, "leader");
  solo.receive(accepted({ from: 2, term: 1 }, 1), accepted({ from: 3, term: 1 }, 1));
  assert.is(solo.raft.commit, 0);
  solo.receive(accepted({ from: 5, term: 1 }, 1));
  assert.is(solo.raft.commit, 1);
});

changes("52: membership change while partitioned: the minority can change nothing, the majority can", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.advance(20);
  cluster.isolate(1, 2);
  assert.ok(cluster.change(1, { voters: [1, 2], learners: [] }).ok, "it is proposed");
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  const { leader } = cluster;
  assert.ok(leader > 2);
  assert.is(describeConfiguration(cluster.raft(1).configuration), "1 2 3 4 5");
  assert.ok(cluster.change(leader, { voters: [3, 4, 5], learners: [] }).ok);
  cluster.advance(500);
  assert.is(describeConfiguration(cluster.raft(leader).configuration), "3 4 5");
  cluster.heal();
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, leader, "and those who were removed meanwhile disturb nobody");
});

changes("52: a change of which only the one that left with it knows the commit does not leave the rest stuck", () => {
  // 2 and 3 still use the joint configuration, where 1 votes; 1 has a longer log and would refuse them for ever.
  const solo = new Solo({ configuration: { ...group(1, 2), outgoing: [3] }, log: [1, 1], hardState: { term: 1 } });
  solo.raft.campaign(0);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 2 }, false, { preVote: true }));
  solo.receive(voteResponse({ from: 3, term: 1 }, true, { preVote: true, commit: 2, commitTerm: 1 }));
  assert.is(solo.raft.commit, 2, "the refusal says what is committed");
  solo.receive(voteResponse({ from: 3, term: 1 }, true, { preVote: true, commit: 9, commitTerm: 1 }));
  assert.is(solo.raft.commit, 2, "which helps only for what is here too");
});

changes("52: what a refusal says of commits is for those who look for a leader, and disturbs nobody else", () => {
  const solo = new Solo({ log: [1, 1], hardState: { term: 1 } });
  solo.receive(append({ from: 2, term: 2 }, [2, 1], []));
  solo.receive(voteResponse({ from: 3, term: 2 }, true, { commit: 2, commitTerm: 1 }));
  assert.is(solo.raft.leader, 2);
  assert.is(solo.raft.commit, 0);
});

changes("53: a group created again under the same name shares nothing with its past", () => {
  // Its number is new (groups are told apart by number), so no message reaches it; and the core keeps no state outside.
  const past = new Cluster(3);
  past.elect(1);
  past.propose(1, "past");
  past.advance(20);
  const present = new Cluster(3);
  present.settle();
  for (const id of [1, 2, 3]) {
    assert.is(present.raft(id).term, 0);
    assert.is(present.raft(id).lastIndex, 0);
    assert.equal(present.member(id).disk.hardState, { term: 0, vote: 0, commit: 0 });
  }
  present.elect(2);
  present.propose(2, "present");
  present.advance(20);
  for (const id of [1, 2, 3]) {
    assert.equal(present.values(id), ["present"]);
    assert.equal(past.values(id), ["past"]);
  }
  assert.ok(Object.isFrozen(DEFAULT_RAFT_LIMITS), "what they share nobody can change");
});

changes("learners get the log and count for nothing", () => {
  const cluster = new Cluster(3, { extra: [4], configuration: { ...group(1, 2, 3), learners: [4] } });
  cluster.elect(1);
  cluster.isolate(1, 4);
  cluster.propose(1, "a");
  cluster.advance(100);
  assert.is(cluster.raft(4).lastIndex, 2);
  assert.is(cluster.raft(1).commit, 1);
  cluster.heal();
  cluster.advance(100);
  assert.equal(cluster.values(4), ["a"]);
});

changes("promoting a learner, golden", () => {
  const cluster = new Cluster(1, { extra: [2], configuration: { ...group(1), learners: [2] } });
  cluster.raft(1).campaign(0);
  cluster.settle();
  cluster.advance(20);
  cluster.delivered.length = 0;
  cluster.change(1, { voters: [1, 2], learners: [] });
  cluster.advance(20);
  assert.equal(cluster.delivered.map(describe), [
    "1>2 append t1 after 1@1: 2@1, commit 1",
    "2>1 accept t1 2",
    // Empty: with it on its disk member 2 will know after a restart that the change was committed.
    "1>2 append t1 after 2@1: 3@1, commit 2",
    "2>1 accept t1 3",
    "1>2 append t1 after 3@1: nothing, commit 3",
    "2>1 accept t1 3",
  ]);
  assert.is(describeConfiguration(cluster.raft(2).configuration), "1 2");
});

changes.run();

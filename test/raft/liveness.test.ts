/**
 * Heartbeats per pair of nodes instead of per group: no group may stay without a leader for ever, and nobody may be
 * taken for a leader for ever. README.md of src/raft, "Who is alive", has the argument; here are its steps.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LeaderContact } from "../../src/raft/leader-contact.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, confirmed, describe, voteRequest } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group } from "./test-entry.ts";

const idle = suite("an idle group");

idle("sends nothing at all, for minutes, and keeps its leader", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.advance(1000);
  cluster.delivered.length = 0;
  cluster.advance(120_000);
  assert.equal(cluster.delivered, []);
  assert.is(cluster.leader, 1);
  assert.is(cluster.raft(1).term, 1);
});

idle("asks for a tick about once in an election timeout", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  let ticks = 0;
  while (solo.nowMs < 60_000) {
    solo.nowMs = solo.raft.deadlineMs;
    solo.raft.tick(solo.nowMs);
    ticks += 1;
  }
  assert.ok(ticks <= 60, `${ticks} ticks in a minute`);
});

idle("a follower's deadline does not move when it hears its leader: the host need not look again", () => {
  const solo = new Solo();
  const { deadlineMs } = solo.raft;
  for (let index = 0; index < 5; index++) {
    solo.nowMs += 100;
    solo.receive(append({ from: 2, term: 1 }, [index, index === 0 ? 0 : 1], [1]));
    assert.is(solo.raft.deadlineMs, deadlineMs);
  }
  assert.equal(solo.wait(deadlineMs - solo.nowMs), [], "when it comes, nothing happens");
  assert.is(solo.raft.deadlineMs, deadlineMs + 500);
});

idle("a clock that goes back changes nothing", () => {
  const solo = new Solo();
  solo.raft.tick(900);
  solo.nowMs = 100;
  assert.equal(solo.receive(append({ from: 2, term: 1 }, [0, 0], [1])), ["1>2 accept t1 1"]);
  solo.nowMs = 1800;
  assert.equal(solo.wait(0), [], "it was heard at 900, not at 100");
});

idle.run();

const cover = suite("who is taken for alive");

cover("the leader's node being heard counts once the leader has spoken in this term and session", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  assert.equal(solo.wait(5000), [], "covered");
  solo.raft.peerUp(2, solo.nowMs);
  assert.equal(solo.wait(999), []);
  assert.ok(solo.wait(1001).includes("1>2 pre-vote? t2 last 1@1"), "a new session, and not a word");
});

cover("in a new session a word of the leader covers it again", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.wait(5000);
  solo.raft.peerUp(2, solo.nowMs);
  solo.receive({ type: "heartbeat", from: 2, to: 1, term: 1, commit: 0, readRound: 0, vouch: false });
  assert.equal(solo.wait(5000), []);
});

cover("sessions that come and go do not put an election off for ever", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  let asked = false;
  for (let session = 0; session < 10; session++) {
    solo.raft.peerUp(2, solo.nowMs);
    asked ||= solo.wait(400).some((line) => line.includes("pre-vote"));
  }
  assert.ok(asked);
});

cover("a leader announces itself at once when a session begins, and until it is answered", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.lead();
  for (const from of [2, 3]) solo.receive(accepted({ from, term: 1 }, 1, 1));
  assert.equal(solo.wait(5000), [], "there is nothing to say");
  solo.raft.peerUp(2, solo.nowMs);
  assert.equal(solo.sent(), ["1>2 append t1 after 1@1: nothing, commit 1"]);
  assert.ok(solo.wait(150).includes("1>2 append t1 after 1@1: nothing, commit 1"));
});

cover("a leader that restarts is replaced, although its node is heard again at once", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(5000);
  cluster.crash(1);
  cluster.advance(10);
  cluster.restart(1);
  cluster.advance(2.5 * ELECTION_TIMEOUT_MS);
  assert.not.equal(cluster.leader, 0);
  for (const { raft } of cluster.members) assert.is(raft.leader, cluster.leader);
});

cover("a leader that gives up tells the others, who elect another within a fraction of the timeout", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.advance(1000);
  // It cannot hear 3, 4 and 5, who hear it.
  for (const id of [3, 4, 5]) cluster.cut(id, 1);
  const before = cluster.nowMs;
  while (cluster.raft(1).role === "leader") cluster.advance(10);
  assert.ok(cluster.nowMs - before < 2.1 * ELECTION_TIMEOUT_MS);
  cluster.advance(300);
  assert.ok(cluster.leader > 1);
});

cover("if its word is lost, its own pre-vote tells them", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.wait(5000);
  assert.is(solo.raft.leader, 2);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 2 }, [1, 1], { preVote: true })), ["1>2 pre-vote t2 yes"]);
  assert.is(solo.raft.leader, 0);
});

cover("an old pre-vote of the leader, from before it led, proves nothing", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 5 }, [0, 0], [5]));
  solo.receive(voteRequest({ from: 2, term: 5 }, [0, 0], { preVote: true }));
  assert.is(solo.raft.leader, 2);
});

cover("no answer but a leader's own message makes a leader", () => {
  const solo = new Solo();
  solo.receive(confirmed({ from: 2, term: 3 }, 0));
  assert.is(solo.raft.term, 3);
  assert.is(solo.raft.leader, 0);
});

cover("a follower whose term moves on tells the leader it knew", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.nowMs = 1500;
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [1, 1])), [
    "1>2 heartbeat-response t2 round 0",
    "1>3 vote t2 yes",
  ]);
});

cover("a leader answers doubts about it with its presence, and learns a higher term that way", () => {
  const solo = new Solo();
  solo.lead();
  assert.equal(solo.receive(voteRequest({ from: 2, term: 9 }, [1, 1], { preVote: true })), [
    "1>2 append t1 after 1@1: nothing, commit 1",
    "1>3 append t1 after 1@1: nothing, commit 1",
  ]);
  // 2 is at term 8 and says so; somebody else has to be elected.
  const lines = solo.receive(confirmed({ from: 2, term: 8 }, 0));
  assert.is(solo.raft.role, "follower");
  assert.equal(lines, ["1>2 heartbeat-response t8 round 0", "1>3 heartbeat-response t8 round 0"]);
});

cover("a follower that refuses a vote for the sake of a leader it has not heard itself doesn't do so for ever", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.wait(5000);
  const request = voteRequest({ from: 3, term: 7 }, [1, 1], { preVote: true });
  assert.equal(solo.receive(request), ["1>2 pre-vote? t2 last 1@1", "1>3 pre-vote t1 no"], "it asks its leader");
  solo.nowMs += ELECTION_TIMEOUT_MS;
  assert.equal(solo.receive(request), ["1>3 pre-vote t7 yes"], "node 2 is heard all the time, but says nothing");
});

cover(
  "a voter that may not campaign itself does not go on refusing others for the sake of a leader that is gone",
  () => {
    const solo = new Solo();
    solo.member.applies = false;
    const change = append({ from: 2, term: 1 }, [0, 0], [1], 1);
    Object.assign(change.entries[0]!, { configuration: group(1, 2, 3, 4) });
    solo.receive(change);
    solo.wait(solo.raft.deadlineMs - solo.nowMs);
    solo.wait(solo.raft.deadlineMs - solo.nowMs);
    assert.is(solo.raft.role, "follower");
    assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [1, 1], { preVote: true })), ["1>3 pre-vote t2 yes"]);
  },
);

cover("a doubt in an idle group is settled by the leader, and the group falls silent again", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  cluster.advance(5000);
  cluster.raft(3).campaign(cluster.nowMs);
  cluster.advance(1000);
  cluster.delivered.length = 0;
  cluster.advance(20_000);
  assert.equal(cluster.delivered.map(describe), []);
  assert.is(cluster.raft(1).term, 1);
});

cover("a replica that was removed and does not know is calmed down", () => {
  const solo = new Solo({ configuration: group(1, 2, 3) });
  solo.lead();
  const request = voteRequest({ from: 9, term: 9 }, [1, 1], { preVote: true });
  assert.ok(solo.receive(request).includes("1>9 heartbeat t1 round 0, commit 1"));
  assert.is(solo.raft.role, "leader");
});

cover("a group whose terms drifted apart comes together", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(100);
  // 3 was made to begin a term that nobody else has heard of.
  cluster.isolate(3);
  cluster.raft(3).campaign(cluster.nowMs, false);
  cluster.advance(10);
  cluster.letters = [];
  assert.is(cluster.raft(3).term, 2);
  cluster.heal();
  cluster.advance(4 * ELECTION_TIMEOUT_MS);
  const { leader } = cluster;
  assert.not.equal(leader, 0);
  for (const { raft } of cluster.members) assert.is(raft.leader, leader);
});

cover.run();

const loss = suite("a leader's process that is gone");

loss("costs a few hundred milliseconds when its port refuses, in every group", () => {
  for (let seed = 0; seed < 100; seed++) {
    const cluster = new Cluster(3, { seed });
    cluster.elect(1);
    cluster.advance(500);
    cluster.crash(1, true);
    cluster.advance(300);
    assert.ok(cluster.leader > 1, `seed ${seed}`);
  }
});

loss("costs an election timeout or two when nobody says so", () => {
  for (let seed = 0; seed < 30; seed++) {
    const cluster = new Cluster(3, { seed });
    cluster.elect(1);
    cluster.advance(500);
    cluster.crash(1);
    cluster.advance(3.5 * ELECTION_TIMEOUT_MS);
    assert.ok(cluster.leader > 1, `seed ${seed}`);
  }
});

loss("the campaigns of many groups that lost it together do not start together", () => {
  const starts = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    const cluster = new Cluster(3, { seed });
    cluster.elect(1);
    cluster.crash(1, true);
    starts.add(Math.floor(cluster.raft(2).deadlineMs - cluster.nowMs));
  }
  assert.ok(starts.size > 20, `${starts.size} different milliseconds`);
});

loss("a new group's preferred leader asks again quickly: the others may have it a moment later", () => {
  const solo = new Solo();
  solo.raft.campaign(0);
  assert.is(solo.sent().length, 2);
  solo.wait(200);
  assert.equal(solo.wait(200), ["1>2 pre-vote? t1 last 0@0", "1>3 pre-vote? t1 last 0@0"]);
});

loss("a mere hiccup: one follower that takes it for gone is refused by the other, and nothing changes", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(500);
  cluster.raft(2).peerLost(1, cluster.nowMs);
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, 1);
  assert.is(cluster.raft(1).term, 1);
  assert.is(cluster.raft(2).leader, 1);
});

loss("a voter that knows it, too, grants in spite of the lease", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  const request = voteRequest({ from: 3, term: 2 }, [1, 1], { preVote: true });
  assert.equal(solo.receive(request), ["1>3 pre-vote t1 no"]);
  solo.raft.peerLost(2, 0);
  assert.equal(solo.receive(request), ["1>3 pre-vote t2 yes"]);
});

loss("who campaigned in a hurry waits for the leader that was found as long as anybody", () => {
  const contact = new LeaderContact({ electionTimeoutMs: 1_000, lostLeaderJitterMs: 50, random: () => 0.5 }, 0);
  contact.lose(0);
  contact.campaigns(30);
  assert.ok(contact.dueMs(-Infinity) < 30 + 250, "the next campaign would follow soon");
  contact.heard(40);
  assert.is(contact.dueMs(40), 40 + 1_500);
});

loss.run();

/** Scenarios 44 to 46: handing leadership over (Raft thesis §3.10). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group } from "./test-entry.ts";

const transfers = suite("transfers");

transfers("a follower that has everything campaigns at once, and no lease stands in its way", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(100);
  cluster.raft(1).transfer(3, cluster.nowMs);
  cluster.settle();
  assert.is(cluster.leader, 3);
  assert.is(cluster.raft(1).leader, 3);
});

transfers("44: a slow follower first gets what it lacks", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a", "b");
  cluster.advance(20);
  cluster.heal();
  cluster.raft(1).transfer(3, cluster.nowMs);
  cluster.advance(200);
  assert.is(cluster.leader, 3);
  assert.equal(cluster.values(3), ["a", "b"]);
});

transfers("44: even through a snapshot", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a", "b");
  cluster.advance(20);
  cluster.member(1).checkpoint();
  cluster.heal();
  cluster.raft(1).transfer(3, cluster.nowMs);
  cluster.advance(200);
  assert.is(cluster.leader, 3);
  assert.equal(cluster.values(3), ["a", "b"]);
});

transfers("45: it times out, and proposals resume", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.raft(1).transfer(3, cluster.nowMs);
  assert.is(cluster.raft(1).transferTarget, 3);
  assert.equal(cluster.propose(1, "a"), { ok: false, code: "TRANSFERRING" });
  assert.equal(cluster.change(1, { voters: [1, 2], learners: [] }), { ok: false, code: "TRANSFERRING" });
  cluster.advance(ELECTION_TIMEOUT_MS + 10);
  assert.is(cluster.raft(1).transferTarget, 0);
  assert.ok(cluster.propose(1, "a").ok);
  cluster.advance(20);
  assert.equal(cluster.values(2), ["a"]);
});

transfers("45: a second target replaces the first", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.raft(1).transfer(3, cluster.nowMs);
  cluster.raft(1).transfer(2, cluster.nowMs);
  cluster.settle();
  assert.is(cluster.leader, 2);
});

transfers("a transfer to nobody, to itself, to a learner or to one that forgot is ignored", () => {
  const solo = new Solo({ configuration: { ...group(1, 2, 3), learners: [4] } });
  solo.lead();
  solo.receive(accepted({ from: 3, term: 1 }, 1, 1, false));
  for (const target of [0, 1, 3, 4, 9]) {
    solo.raft.transfer(target, 0);
    assert.is(solo.raft.transferTarget, 0, `${target}`);
  }
  solo.propose("a");
  assert.is(solo.raft.lastIndex, 2);
});

transfers("a follower passes the wish on to its leader", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.raft(2).transfer(3, cluster.nowMs);
  cluster.settle();
  assert.is(cluster.leader, 3);
});

transfers("a removed target ends the transfer", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(20);
  cluster.isolate(3);
  assert.ok(cluster.change(1, { voters: [1, 2], learners: [] }).ok);
  cluster.raft(1).transfer(3, cluster.nowMs);
  cluster.advance(20);
  assert.is(cluster.raft(1).transferTarget, 0);
  assert.ok(cluster.propose(1, "a").ok);
});

transfers("46: transfer under load loses and doubles nothing", () => {
  const cluster = new Cluster(3, { limits: { inFlightMessagesMax: 2, appendBytesMax: 30 } });
  cluster.elect(1);
  const accepted: string[] = [];
  for (let count = 0; count < 300; count++) {
    const { leader } = cluster;
    if (leader !== 0 && cluster.propose(leader, `${count}`).ok) accepted.push(`${count}`);
    if (leader !== 0 && count % 7 === 0) cluster.raft(leader).transfer(1 + (leader % 3), cluster.nowMs);
    cluster.pass(1);
    for (const member of cluster.members) member.persist(cluster.nowMs, 1);
    for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
  }
  cluster.advance(2 * ELECTION_TIMEOUT_MS);
  const kept = cluster.values(1);
  assert.is(new Set(kept).size, kept.length);
  assert.equal(kept, accepted.filter((value) => kept.includes(value)), "in the order of the proposals");
  for (const id of [2, 3]) assert.equal(cluster.values(id), kept);
  assert.ok(kept.length > 100, `${kept.length} of ${accepted.length} kept`);
  assert.ok(cluster.raft(1).term > 10, "leadership has moved often");
});

transfers.run();

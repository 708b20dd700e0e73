/** Scenarios 31 to 34: followers behind the log's start; and entries that are only on disk. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LoadRequest } from "../../src/raft/types.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, describe, rejected, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { placed, type TestEntry } from "./test-entry.ts";

const snapshots = suite("snapshots");

snapshots("31: a follower behind the log's start is given a snapshot, then the rest", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a", "b", "c");
  cluster.advance(20);
  cluster.member(1).checkpoint();
  cluster.propose(1, "d");
  cluster.advance(20);
  cluster.heal();
  cluster.advance(50);
  assert.equal(cluster.values(3), ["a", "b", "c", "d"]);
  assert.is(cluster.raft(3).log.firstIndex, 5, "its log begins where the snapshot ends");
  assert.is(cluster.delivered.filter(({ type }) => type === "snapshot").length, 1);
});

snapshots(
  "31: where logs begin alike, the follower's begins where the leader's does, and not at the newest checkpoint",
  () => {
    const cluster = new Cluster(3, { snapshotAt: "start" });
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a", "b", "c", "d");
    cluster.advance(20);
    cluster.member(1).checkpoint(3);
    cluster.heal();
    cluster.advance(50);
    assert.equal(cluster.values(3), ["a", "b", "c", "d"]);
    assert.is(cluster.raft(1).log.firstIndex, 3);
    assert.is(cluster.raft(3).log.firstIndex, 3);
  },
);

snapshots("31: what a log does not know of the entry before its start nobody is given: it would lack entries", () => {
  const cluster = new Cluster(3, { snapshotAt: "start" });
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a", "b", "c", "d");
  cluster.advance(20);
  for (const id of [1, 2]) cluster.member(id).checkpoint(3);
  for (const id of [1, 2]) {
    cluster.member(id).disk.start = { index: 2, term: 0 };
    cluster.crash(id);
    cluster.restart(id);
  }
  cluster.heal();
  cluster.advance(5000);
  assert.equal(cluster.values(3), []);
});

snapshots("31: a snapshot that fails is offered again", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.advance(20);
  cluster.member(1).checkpoint();
  cluster.heal();
  for (let count = 0; count < 3; count++) {
    while (cluster.take(({ type }) => type === "snapshot").map((letter) => cluster.lose(letter)).length === 0) {
      for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
      cluster.pass(10);
    }
  }
  cluster.advance(1000);
  assert.equal(cluster.values(3), ["a"]);
});

snapshots("31: one of which the host never tells is offered again after a while", () => {
  const silent = new Cluster(3, { limits: { snapshotRetryMs: 2000 } });
  silent.elect(1);
  silent.isolate(3);
  silent.propose(1, "a");
  silent.advance(20);
  silent.member(1).checkpoint();
  silent.heal();
  while (silent.take(({ type }) => type === "snapshot").length === 0) {
    for (const letter of silent.letters.splice(0)) silent.deliver(letter);
    silent.pass(10);
  }
  silent.advance(1500);
  assert.equal(silent.values(3), []);
  silent.advance(3000);
  assert.equal(silent.values(3), ["a"]);
});

snapshots("32: a snapshot is acknowledged through an append response", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a", "b");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  solo.member.checkpoint();
  solo.raft.peerUp(3, 0);
  assert.equal(solo.sent(), ["1>3 snapshot t1 3@1"]);
  assert.is(solo.raft.followers()[1]!.state, "snapshot");
  assert.equal(solo.receive(accepted({ from: 3, term: 1 }, 3, 3)), []);
  assert.is(solo.raft.followers()[1]!.state, "replicate");
});

snapshots("32: an acknowledgement that was lost is asked for again", () => {
  const solo = new Solo({ heardMs: () => 0 });
  solo.lead();
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  solo.member.checkpoint();
  solo.raft.peerUp(3, 0);
  solo.sent();
  solo.raft.snapshotSent(3, 0);
  assert.ok(solo.wait(101).includes("1>3 append t1 after 2@1: nothing, commit 2"));
});

snapshots("32: also when the leader's log was cut past the snapshot meanwhile", () => {
  const solo = new Solo({ heardMs: () => 0 });
  solo.lead();
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  solo.member.checkpoint();
  solo.raft.peerUp(3, 0);
  assert.equal(solo.sent(), ["1>3 snapshot t1 2@1"]);
  solo.propose("b");
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  solo.member.checkpoint();
  assert.ok(solo.wait(101).includes("1>3 append t1 after 2@1: nothing, commit 3"));
  assert.equal(solo.receive(accepted({ from: 3, term: 1 }, 2)), ["1>3 snapshot t1 3@1"]);
});

snapshots("a snapshot of what is here already only says that it is committed", () => {
  const solo = new Solo({ log: [1, 1, 1, 1] });
  const snapshot = { index: 3, term: 1, configuration: solo.raft.configuration };
  assert.equal(solo.receive({ type: "snapshot", from: 2, to: 1, term: 1, snapshot }), ["1>2 accept t1 3"]);
  assert.is(solo.raft.commit, 3);
  assert.is(solo.raft.lastIndex, 4);
  assert.equal(solo.receive({ type: "snapshot", from: 2, to: 1, term: 1, snapshot: { ...snapshot, index: 2 } }), [
    "1>2 accept t1 3",
  ]);
});

snapshots("33: a stale append after a snapshot changes nothing", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a", "b", "c");
  cluster.advance(20);
  cluster.member(1).checkpoint();
  cluster.heal();
  cluster.advance(50);
  const member = cluster.member(3);
  const before = JSON.stringify(member.disk);
  for (let previous = 0; previous < 4; previous++) {
    const terms = Array.from({ length: 4 - previous }, () => 1);
    const message = append({ from: 1, to: 3, term: 1 }, [previous, previous === 0 ? 0 : 1], terms, 4);
    cluster.deliver({ message, state: undefined });
    cluster.settle();
    const answer = cluster.delivered.filter(({ from }) => from === 3).at(-1)!;
    assert.is(describe(answer), "3>1 accept t1 4");
  }
  assert.is(JSON.stringify(member.disk), before);
});

snapshots("34: a leader whose log is trimmed to nothing and a new follower", () => {
  const cluster = new Cluster(3, { extra: [4] });
  cluster.elect(1);
  cluster.propose(1, "a", "b");
  cluster.advance(20);
  for (const id of [1, 2, 3]) cluster.member(id).checkpoint();
  assert.is(cluster.raft(1).log.firstIndex, cluster.raft(1).lastIndex + 1);
  assert.ok(cluster.change(1, { voters: [1, 2, 3, 4], learners: [] }).ok);
  cluster.advance(200);
  assert.equal(cluster.values(4), ["a", "b"]);
  assert.equal(cluster.raft(4).configuration.voters, [1, 2, 3, 4]);
  cluster.crash(1);
  cluster.crash(2);
  cluster.restart(1);
  assert.ok(cluster.waitForLeader() > 0);
});

snapshots("34: after all replicas restarted with empty logs, they know terms and go on", () => {
  // etcd-io/raft#31: an empty append with term 0 after compaction panicked a follower.
  const cluster = new Cluster(3);
  cluster.elect(2);
  cluster.propose(2, "a");
  cluster.advance(20);
  for (const id of [1, 2, 3]) cluster.member(id).checkpoint();
  for (const id of [1, 2, 3]) cluster.crash(id);
  for (const id of [1, 2, 3]) cluster.restart(id);
  const leader = cluster.waitForLeader();
  cluster.propose(leader, "b");
  cluster.advance(20);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a", "b"]);
});

snapshots("old entries come from the log, one load at a time, and never more than asked", () => {
  const cluster = new Cluster(3, { limits: { loadBytesMax: 30, appendBytesMax: 20 } });
  cluster.elect(1);
  cluster.isolate(3);
  for (let count = 0; count < 30; count++) cluster.propose(1, `${count}`);
  cluster.advance(20);
  cluster.raft(1).log.evictTo(Infinity);
  assert.is(cluster.raft(1).log.tailFirstIndex, cluster.raft(1).lastIndex + 1, "nothing is in memory");
  cluster.heal();
  cluster.advance(500);
  assert.is(cluster.values(3).length, 30);
});

/** A leader of term 2 that has entries 1 to 3 only on disk, and has asked for them for node 2. */
function loading(): { solo: Solo; request: LoadRequest; entries: readonly TestEntry[] } {
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 1 } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 2 }, false));
  // The probe goes without entries, and a load follows once the place is known.
  solo.receive(rejected({ from: 2, term: 2 }, 3, [0, 0]));
  solo.receive(accepted({ from: 2, term: 2 }, 0));
  const [request] = solo.member.loads.splice(0);
  assert.equal(request, { peer: 2, term: 2, fromIndex: 1, bytesMax: 2 * 1024 * 1024 });
  return { solo, request: request!, entries: solo.member.disk.entries.slice(0, 3) };
}

snapshots("what was loaded is sent, and then what is in memory", () => {
  const { solo, request, entries } = loading();
  solo.raft.loaded(request, entries, 0);
  assert.equal(solo.sent(), [
    "1>2 append t2 after 0@0: 1@1 2@1 3@1, commit 0",
    "1>2 append t2 after 3@1: 4@2, commit 0",
  ]);
});

snapshots(
  "a load that nobody asked for, or of another term, is thrown away, and does not end the one under way",
  () => {
    const { solo, request, entries } = loading();
    solo.raft.loaded({ ...request, fromIndex: 2 }, entries.slice(1), 0);
    solo.raft.loaded({ ...request, term: 1 }, entries, 0);
    solo.raft.loaded({ ...request, peer: 3 }, entries, 0);
    assert.equal(solo.sent(), []);
    assert.equal(solo.member.loads, [], "one load at a time");
  },
);

snapshots("a load that was overtaken by an acknowledgement is thrown away, and the rest is asked for", () => {
  const { solo, request, entries } = loading();
  solo.receive(accepted({ from: 2, term: 2 }, 2));
  solo.raft.loaded(request, entries, 0);
  assert.equal(solo.sent(), []);
  assert.equal(solo.member.loads.map(({ fromIndex }) => fromIndex), [3]);
});

snapshots("a load of entries that are not those of the log is thrown away", () => {
  const { solo, request } = loading();
  solo.raft.loaded(request, [placed(1, 1), placed(2, 2)], 0);
  assert.equal(solo.sent(), []);
});

snapshots("a load that fails is tried again, and ends in a snapshot if the log was trimmed meanwhile", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  for (let count = 0; count < 5; count++) cluster.propose(1, `${count}`);
  cluster.advance(20);
  cluster.raft(1).log.evictTo(Infinity);
  cluster.heal();
  while (cluster.member(1).loads.length === 0) {
    cluster.pass(1);
    for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
    for (const member of cluster.members) member.persist(cluster.nowMs);
  }
  const [request] = cluster.member(1).loads.splice(0);
  cluster.raft(1).loaded(request!, [], cluster.nowMs);
  cluster.pass(200);
  cluster.member(1).checkpoint();
  cluster.advance(2 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.values(3).length, 5);
  assert.ok(cluster.delivered.some(({ type }) => type === "snapshot"));
});

snapshots("the newest snapshot wins: an older checkpoint that is told late is ignored", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a", "b");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  solo.member.checkpoint();
  solo.raft.compacted(1, { index: 1, term: 1, configuration: solo.raft.configuration });
  solo.raft.peerUp(3, 0);
  assert.ok(solo.sent().includes("1>3 snapshot t1 3@1"));
});

snapshots.run();

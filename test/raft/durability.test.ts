/** Scenarios 21, 22, 27 to 29, 35, 37 and 40: what a disk's late word is worth. Singles; and reports that come twice. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../src/raft/invariant.ts";
import { WriteLedger } from "../../src/raft/write-ledger.ts";
import { Cluster } from "./harness.ts";
import { accepted, append, voteRequest, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group, TestEntry } from "./test-entry.ts";

const reports = suite("durability reports");

reports("a follower acknowledges an entry when it is on its disk, and not before", () => {
  const solo = new Solo();
  solo.slow = true;
  assert.equal(solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1])), []);
  assert.equal(solo.persist(), ["1>2 accept t1 2"]);
});

reports("a leader sends entries while its own disk writes, and counts itself when that is done", () => {
  const solo = new Solo();
  solo.lead();
  solo.slow = true;
  solo.propose("a");
  assert.equal(solo.sent().length, 2, "both followers have it");
  assert.is(solo.raft.commit, 1);
  solo.persist();
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  assert.is(solo.raft.commit, 2);
});

reports("a leader commits and applies what a majority has, though its own disk does not have it yet", () => {
  const solo = new Solo();
  solo.lead();
  solo.slow = true;
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2), accepted({ from: 3, term: 1 }, 2));
  solo.sent();
  assert.equal([solo.raft.commit, solo.raft.applied, solo.raft.durable], [2, 2, 1]);
  solo.persist();
  assert.is(solo.raft.durable, 2);
});

reports("a follower applies what is committed when it is on its own disk", () => {
  const solo = new Solo();
  solo.slow = true;
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1], 2));
  assert.equal([solo.raft.commit, solo.raft.applied], [2, 0]);
  solo.persist();
  assert.is(solo.raft.applied, 2);
});

reports("a leader whose own disk stands still takes no more than it may hold", () => {
  const solo = new Solo({ limits: { uncommittedBytesMax: 15 } });
  solo.lead();
  solo.slow = true;
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2), accepted({ from: 3, term: 1 }, 2));
  assert.is(solo.raft.applied, 2);
  const more = () => solo.raft.propose([new TestEntry("b")], 0);
  assert.equal(more(), { ok: false, code: "UNCOMMITTED_FULL" });
  solo.persist();
  assert.ok(more().ok);
});

reports("a single voter commits only after its own fsync", () => {
  // etcd#14370: it was committed, applied and answered before it was on disk.
  const solo = new Solo({ configuration: group(1) });
  solo.raft.campaign(0);
  solo.sent();
  solo.slow = true;
  solo.propose("a");
  solo.sent();
  assert.is(solo.raft.commit, 1);
  solo.persist();
  assert.is(solo.raft.commit, 2);
});

reports("35: commit is impossible while the WAL is down, and comes when it is back", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  for (const id of [1, 2, 3]) cluster.slowDisks.add(id);
  cluster.propose(1, "a");
  cluster.advance(300);
  assert.is(cluster.raft(1).commit, 1);
  cluster.slowDisks.clear();
  cluster.advance(30);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a"]);
});

reports("35: one slow disk of three holds nobody up", () => {
  for (const slow of [1, 2, 3]) {
    const cluster = new Cluster(3);
    cluster.elect(1);
    cluster.slowDisks.add(slow);
    cluster.propose(1, "a");
    cluster.advance(300);
    assert.is(cluster.raft(1).commit, 2, `slow disk ${slow}`);
    assert.is(cluster.leader, 1);
  }
});

reports("21: the leader's own disk acknowledgement after a term change is ignored", () => {
  const solo = new Solo();
  solo.lead();
  solo.slow = true;
  solo.propose("a", "b");
  solo.sent();
  // Another leader, of term 2, replaces entries 2 and 3; then this one leads again, in term 3.
  solo.receive(append({ from: 2, term: 2 }, [1, 1], [2]));
  solo.raft.campaign(0, false);
  solo.receive(voteResponse({ from: 3, term: 3 }, false));
  solo.persist(1);
  assert.is(solo.member.raft.role, "candidate", "the first write was that of term 1");
  solo.persist();
  assert.is(solo.raft.role, "leader");
  assert.is(solo.raft.log.term(3), 3);
  solo.receive(accepted({ from: 2, term: 3 }, 3));
  assert.is(solo.raft.commit, 1, "entry 3 of term 3 is on one disk");
  solo.persist();
  assert.is(solo.raft.commit, 3);
});

reports("22: the append A-B-A race: an entry that was cut and came again is durable only with its last write", () => {
  const solo = new Solo();
  solo.slow = true;
  const log = () => solo.member.disk.entries.map(({ term }) => term);
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.receive(append({ from: 3, term: 2 }, [0, 0], [2]));
  // Of term 2 only a minority had it: the leader of term 3 has entry 1 of term 1 again.
  solo.receive(append({ from: 2, term: 3 }, [0, 0], [1, 3]));
  const answers: string[][] = [];
  while (solo.member.writes.length > 0) answers.push([...solo.persist(1), JSON.stringify(log())]);
  assert.equal(answers, [
    ["1>2 accept t1 1", "[1]"],
    ["1>3 accept t2 1", "[2]"],
    ["1>2 accept t3 2", "[1,3]"],
  ]);
});

reports("22: in between, the first report must not make the third write's entry count", () => {
  const ledger = new WriteLedger({ term: 0, vote: 0, commit: 0 }, 0);
  const first = ledger.begin(1, undefined);
  ledger.truncateFrom(1);
  const second = ledger.begin(1, undefined);
  ledger.truncateFrom(1);
  const third = ledger.begin(1, undefined);
  ledger.persisted(first);
  assert.is(ledger.durableIndex, 0);
  ledger.persisted(second);
  assert.is(ledger.durableIndex, 0);
  ledger.persisted(third);
  assert.is(ledger.durableIndex, 1);
});

reports("28: truncation lowers the durable mark", () => {
  const solo = new Solo({ log: [1, 1, 1, 1] });
  solo.slow = true;
  solo.receive(append({ from: 2, term: 2 }, [1, 1], [2]));
  solo.raft.campaign(0, false);
  solo.receive(voteResponse({ from: 3, term: 3 }, false));
  // Were entries 2 to 4 still called durable, this leader would count itself for its entries of term 3.
  solo.persist(2);
  assert.is(solo.raft.role, "leader");
  solo.receive(accepted({ from: 3, term: 3 }, 3));
  assert.is(solo.raft.commit, 0);
  solo.persist();
  assert.is(solo.raft.commit, 3);
});

reports("29: the leader changes before a write's report arrives", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.slowDisks.add(1);
  cluster.isolate(1);
  cluster.propose(1, "cut");
  cluster.pump();
  cluster.advance(3000);
  const leader = cluster.leader;
  assert.ok(leader > 1);
  cluster.propose(leader, "kept");
  cluster.advance(50);
  cluster.heal();
  cluster.advance(500);
  cluster.slowDisks.clear();
  cluster.advance(500);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["kept"]);
});

reports("37: flush racing with truncate and append, in every order of reports", () => {
  // Three writes are made: [1 1 1], a cut to [1 2 2], a cut to [1 2 3]. The disk reports any number of them at a time.
  for (const groups of [[1, 1, 1], [2, 1], [1, 2], [3]]) {
    const solo = new Solo();
    solo.slow = true;
    solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1, 1]));
    solo.receive(append({ from: 3, term: 2 }, [1, 1], [2, 2]));
    solo.receive(append({ from: 2, term: 3 }, [2, 2], [3], 2));
    const applied: number[] = [];
    for (const count of groups) {
      solo.persist(count);
      applied.push(solo.raft.applied);
    }
    assert.equal(solo.member.disk.entries.map(({ term }) => term), [1, 2, 3], `reports ${groups}`);
    assert.is(solo.raft.applied, 2);
    assert.equal(applied, [...applied].sort(), "and never backwards");
    assert.is(solo.member.applied[1]!.term, 2, "what was written first at index 2 is not what was committed");
  }
});

reports("40: acknowledgements of before a truncation form no quorum", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  // 2 has "old" of term 1 and acknowledges it; the word is on its way while leadership changes.
  cluster.cut(1, 3);
  cluster.propose(1, "old");
  cluster.pump();
  for (const letter of cluster.take(({ to }) => to === 2)) cluster.deliver(letter);
  cluster.member(2).persist(cluster.nowMs);
  const late = cluster.take(({ type }) => type === "append-response");
  assert.is(late.length, 1);
  cluster.crash(1);
  cluster.restart(1);
  cluster.elect(2);
  const { term } = cluster.raft(2);
  cluster.crash(2);
  cluster.restart(2);
  cluster.heal();
  cluster.elect(1);
  cluster.propose(1, "new");
  cluster.pump();
  for (const letter of late) cluster.deliver(letter);
  assert.ok(cluster.raft(1).commit < cluster.raft(1).lastIndex, "an answer of an earlier term says nothing now");
  assert.ok(cluster.raft(1).term > term);
});

reports("40: an acknowledgement that its follower has meanwhile taken back counts for nothing", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.sent();
  solo.raft.campaign(0, false);
  solo.receive(voteRequest({ from: 3, term: 2 }, [9, 2], { transfer: true }));
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 3, term: 3 }, false));
  assert.is(solo.raft.role, "leader");
  solo.receive(accepted({ from: 2, term: 1 }, 3), accepted({ from: 3, term: 1 }, 3));
  assert.is(solo.raft.commit, 1, "both acknowledged index 3, in term 1");
});

reports("a report that comes twice changes nothing; one of a write that was never made is a broken invariant", () => {
  const solo = new Solo();
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  solo.raft.persisted(1, 0);
  solo.raft.persisted(0, 0);
  assert.throws(() => solo.raft.persisted(99, 0), (error: unknown) => error instanceof InvariantError);
});

reports.run();

const truncation = suite("truncation");

truncation("27: a stale append never truncates what is committed", () => {
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 1, commit: 3 } });
  solo.receive(append({ from: 2, term: 1 }, [3, 1], [1, 1], 5));
  for (const [previous, count] of [[0, 1], [1, 1], [0, 5], [2, 1], [4, 1], [4, 0]] as const) {
    const terms = Array.from({ length: count }, () => 1);
    const [answer] = solo.receive(append({ from: 2, term: 1 }, [previous, previous === 0 ? 0 : 1], terms, 1));
    assert.is(answer, "1>2 accept t1 5");
  }
  assert.is(solo.raft.lastIndex, 5);
  assert.is(solo.raft.commit, 5);
});

truncation("27: an append that overlaps what is committed adds what is new", () => {
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 1, commit: 3 } });
  assert.equal(solo.receive(append({ from: 2, term: 2 }, [1, 1], [1, 1, 2], 4)), ["1>2 accept t2 4"]);
  assert.is(solo.raft.commit, 4);
});

truncation("27: a leader that would cut what is committed is no leader: the process stops", () => {
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 1, commit: 2 } });
  const cut = append({ from: 2, term: 3 }, [2, 1], [3]);
  solo.receive(cut);
  assert.is(solo.raft.log.term(3), 3, "what is not committed may go");
  const rogue = new Solo({ log: [1, 1, 1], hardState: { term: 1, commit: 3 } });
  const entries = append({ from: 2, term: 3 }, [1, 1], [3, 3, 3]);
  // It claims another entry 3. What is committed is not compared, and so not cut either.
  rogue.receive(entries);
  assert.is(rogue.raft.log.term(3), 1);
});

truncation("a truncation is told to the log once, at the lowest place, and only of what the log was given", () => {
  const solo = new Solo({ log: [1, 1, 1, 1] });
  const { raft } = solo;
  raft.step(append({ from: 2, term: 2 }, [2, 1], [2, 2]), 0);
  raft.step(append({ from: 3, term: 3 }, [1, 1], [3]), 0);
  raft.step(append({ from: 3, term: 3 }, [2, 3], [3]), 0);
  const ready = raft.takeReady();
  assert.is(ready.truncateFrom, 2);
  assert.equal(ready.entries.map(({ index, term }) => [index, term]), [[2, 3], [3, 3]]);
  raft.step(append({ from: 2, term: 4 }, [3, 3], [4]), 0);
  assert.is(raft.takeReady().truncateFrom, 0);
});

truncation.run();

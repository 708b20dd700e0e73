/** Scenarios 23 to 26, 30, 36, 38 and 39: getting the log to followers. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "./harness.ts";
import { accepted, append, rejected, voteResponse } from "./messages.ts";
import { Solo } from "./solo.ts";
import { TestEntry } from "./test-entry.ts";

const flow = suite("flow control");

flow("23: replication pauses at a full window of messages and resumes with the answer", () => {
  const solo = new Solo({ limits: { inFlightMessagesMax: 2, appendBytesMax: 10 } });
  solo.lead();
  solo.propose("a", "b", "c", "d");
  const to2 = (lines: string[]) => lines.filter((line) => line.startsWith("1>2"));
  assert.equal(to2(solo.sent()), [
    "1>2 append t1 after 1@1: 2@1, commit 1",
    "1>2 append t1 after 2@1: 3@1, commit 1",
  ]);
  assert.equal(to2(solo.receive(accepted({ from: 2, term: 1 }, 2))), ["1>2 append t1 after 3@1: 4@1, commit 2"]);
  assert.equal(to2(solo.receive(accepted({ from: 2, term: 1 }, 4))), ["1>2 append t1 after 4@1: 5@1, commit 4"]);
});

flow("23: the window is bounded in bytes as well, and one message more never hurts", () => {
  const solo = new Solo({ limits: { inFlightBytesMax: 15, appendBytesMax: 10 } });
  solo.lead();
  solo.propose("a", "b", "c", "d");
  const appends = () => solo.sent().filter((line) => line.startsWith("1>2 append")).length;
  assert.is(appends(), 2, "20 bytes are under way");
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  assert.is(solo.raft.followers()[0]!.match, 3);
});

flow("23: an answer that was lost frees its bytes with the next one", () => {
  // etcd-io/raft#54: in-flight bytes leaked until the flow stopped.
  const solo = new Solo({ limits: { inFlightBytesMax: 20, appendBytesMax: 10 } });
  solo.lead();
  for (let index = 2; index < 200; index++) {
    solo.propose(`${index}`);
    solo.sent();
    if (index % 2 === 0) continue;
    solo.receive(accepted({ from: 2, term: 1 }, index), accepted({ from: 3, term: 1 }, index));
  }
  assert.is(solo.raft.commit, 199);
});

flow("24: the uncommitted limit refuses proposals, then recovers, and its count never drifts", () => {
  const cluster = new Cluster(3, { limits: { uncommittedBytesMax: 35 } });
  cluster.elect(1);
  for (let round = 0; round < 50; round++) {
    assert.ok(cluster.propose(1, "a", "b").ok);
    assert.ok(cluster.propose(1, "c").ok);
    assert.equal(cluster.propose(1, "d"), { ok: false, code: "UNCOMMITTED_FULL" });
    cluster.settle();
  }
  assert.is(cluster.values(1).length, 150);
});

flow("24: one proposal always fits, however large, and nothing of a refused one remains", () => {
  const solo = new Solo({ limits: { uncommittedBytesMax: 20 } });
  solo.lead();
  assert.ok(solo.raft.propose([new TestEntry("large", undefined, 1000)], 0).ok);
  const { lastIndex } = solo.raft;
  assert.not.ok(solo.raft.propose([new TestEntry("small")], 0).ok);
  assert.is(solo.raft.lastIndex, lastIndex);
});

flow("24: entries that a new leader inherits count for nothing, neither in nor out", () => {
  const solo = new Solo({ limits: { uncommittedBytesMax: 20 } });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1, 1, 1, 1]));
  solo.lead();
  assert.is(solo.raft.commit, 5);
  assert.ok(solo.raft.propose([new TestEntry("a"), new TestEntry("b")], 0).ok);
  assert.not.ok(solo.raft.propose([new TestEntry("c")], 0).ok);
});

flow.run();

const finding = suite("finding where the logs agree");

finding("38: an append that matches at the log's very start", () => {
  const solo = new Solo({ log: [1, 1] });
  assert.equal(solo.receive(append({ from: 2, term: 2 }, [0, 0], [2, 2, 2])), ["1>2 accept t2 3"]);
  assert.is(solo.raft.log.term(1), 2);
});

finding("39: a rejection names the last place where the logs could agree", () => {
  const cases: [log: number[], previous: [number, number], answer: string][] = [
    [[1, 1, 1], [9, 3], "try 3@1"],
    [[1, 1, 2, 2, 2], [9, 1], "try 2@1"],
    [[2, 2, 2], [3, 1], "try 0@0"],
    [[1, 4, 4, 4], [4, 3], "try 1@1"],
    [[], [5, 2], "try 0@0"],
  ];
  for (const [log, previous, answer] of cases) {
    const solo = new Solo({ log });
    const [line] = solo.receive(append({ from: 2, term: 5 }, previous, [5]));
    assert.is(line, `1>2 reject t5 ${previous[0]}, ${answer}`);
  }
});

finding("39: the leader skips whole terms, in one step", () => {
  const solo = new Solo({ log: [1, 1, 1, 3, 3, 3, 3, 3, 5, 5] });
  solo.raft.campaign(0, false);
  solo.receive(voteResponse({ from: 2, term: 6 }, false));
  // The follower had a leader of term 2, of which this one knows nothing: only term 1 can be common.
  const lines = solo.receive(rejected({ from: 2, term: 6 }, 10, [8, 2]));
  assert.equal(lines, ["1>2 append t6 after 3@1: nothing, commit 0"]);
});

finding("39: ten thousand terms apart, the logs meet in a few messages", () => {
  const cluster = new Cluster(2);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.settle();
  cluster.isolate(2);
  // Entries that 2 never had, and that 1 never committed.
  for (let count = 0; count < 1000; count++) cluster.propose(1, `${count}`);
  cluster.settle();
  cluster.heal();
  cluster.delivered.length = 0;
  cluster.advance(10);
  const rejections = cluster.delivered.filter((message) => message.type === "append-response" && message.reject);
  assert.ok(rejections.length <= 1, `${rejections.length} rejections`);
  assert.is(cluster.raft(2).lastIndex, cluster.raft(1).lastIndex);
});

finding("38: what is committed matches, also when its term is not known any more", () => {
  // A log that was cut at the front, of which the checkpoint is elsewhere.
  const solo = new Solo({ start: { index: 3, term: 0 } });
  assert.is(solo.raft.log.term(3), undefined);
  assert.equal(solo.receive(append({ from: 2, term: 5 }, [3, 2], [5])), ["1>2 accept t5 4"]);
});

finding("25: appends that arrive out of order", () => {
  const solo = new Solo();
  const [first, second, third] = [
    append({ from: 2, term: 1 }, [0, 0], [1]),
    append({ from: 2, term: 1 }, [1, 1], [1]),
    append({ from: 2, term: 1 }, [2, 1], [1], 3),
  ];
  assert.equal(solo.receive(third), ["1>2 reject t1 2, try 0@0"]);
  assert.equal(solo.receive(first), ["1>2 accept t1 1"]);
  assert.is(solo.raft.commit, 0);
  assert.equal(solo.receive(third), ["1>2 reject t1 2, try 1@1"]);
  assert.equal(solo.receive(second, third, first), ["1>2 accept t1 2", "1>2 accept t1 3", "1>2 accept t1 3"]);
  assert.is(solo.raft.lastIndex, 3, "the late first one cuts nothing");
  assert.is(solo.raft.commit, 3);
});

finding("25: a rejection that arrives late moves nothing back", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a", "b");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 3));
  assert.equal(solo.receive(rejected({ from: 2, term: 1 }, 1, [0, 0])), []);
  solo.propose("c");
  assert.ok(solo.sent().includes("1>2 append t1 after 3@1: 4@1, commit 3"));
});

finding("26: appends that arrive twice are acknowledged twice and stored once", () => {
  const solo = new Solo();
  const message = append({ from: 2, term: 1 }, [0, 0], [1, 1]);
  assert.equal(solo.receive(message, message), ["1>2 accept t1 2", "1>2 accept t1 2"]);
  assert.is(solo.member.disk.entries.length, 2);
});

finding("36: the commit index is used only after the log was compared", () => {
  // Entries 2 and 3 are of a leader that lost; the new one's heartbeat and a probe that misses say commit 3.
  const solo = new Solo({ log: [1, 1, 1], hardState: { term: 2, commit: 1 } });
  solo.receive({ type: "heartbeat", from: 2, to: 1, term: 2, commit: 3, readRound: 0, vouch: false });
  assert.is(solo.raft.commit, 1, "a heartbeat compares nothing");
  solo.receive(append({ from: 2, term: 2 }, [3, 2], [], 3));
  assert.is(solo.raft.commit, 1, "a rejected append neither");
  solo.receive(append({ from: 2, term: 2 }, [2, 1], [], 3));
  assert.is(solo.raft.commit, 2, "only up to where the logs were compared");
});

finding.run();

const links = suite("links that break");

links("30: an unreachable follower is probed with one message, and catches up when it is back", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  for (let count = 0; count < 20; count++) {
    cluster.propose(1, `${count}`);
    cluster.advance(100);
  }
  const late = cluster.values(1);
  cluster.heal();
  cluster.advance(50);
  assert.equal(cluster.values(3), late);
  assert.is(cluster.raft(1).followers().find(({ peer }) => peer === 3)?.state, "replicate");
});

links("30: a follower whose process is gone is sent nothing until its link is up", () => {
  const solo = new Solo();
  solo.lead();
  solo.raft.peerLost(2, 0);
  solo.propose("a");
  assert.equal(solo.sent(), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
  assert.equal(solo.wait(500).filter((line) => line.startsWith("1>2")), []);
  solo.raft.peerUp(2, 500);
  assert.equal(solo.sent(), ["1>2 append t1 after 1@1: 2@1, commit 1"]);
});

links("30: one lost message is noticed within the retry time, and costs no data sent twice", () => {
  const solo = new Solo({ heardMs: () => 0 });
  solo.lead();
  solo.propose("a");
  solo.sent();
  solo.receive(accepted({ from: 3, term: 1 }, 2, 2));
  // A question with an open end: a follower that is only slow answers when its disk is done, one that has nothing at once.
  assert.ok(solo.wait(101).includes("1>2 append t1 after 2@1: nothing, commit 2"));
  assert.equal(solo.receive(rejected({ from: 2, term: 1 }, 2, [1, 1])), ["1>2 append t1 after 1@1: 2@1, commit 2"]);
});

links("30: a follower that had everything for long is given the same time for the next entry", () => {
  const solo = new Solo({ heardMs: () => solo.nowMs });
  solo.lead();
  for (const from of [2, 3]) solo.receive(accepted({ from, term: 1 }, 1, 1));
  solo.wait(5000);
  solo.propose("a");
  solo.sent();
  assert.equal(solo.wait(50), []);
  assert.is(solo.wait(60).length, 2, "asked again after a hundred milliseconds");
});

links(
  "30: while entries go out their commits go with the next ones; after the last they are told, until they are known",
  () => {
    const solo = new Solo({ limits: { commitNoticeMs: 200 }, heardMs: () => solo.nowMs });
    solo.lead();
    const answer = (index: number, commit: number) => {
      for (const from of [2, 3]) solo.receive(accepted({ from, term: 1 }, index, commit));
      solo.sent();
    };
    answer(1, 0);
    for (let index = 2; index < 20; index++) {
      solo.propose("a");
      assert.is(solo.sent().length, 2);
      answer(index, index - 1);
      assert.equal(solo.wait(150), [], `after ${index}`);
    }
    assert.equal(solo.wait(60), [2, 3].map((to) => `1>${to} append t1 after 19@1: nothing, commit 19`));
    answer(19, 18);
    assert.is(solo.wait(110).length, 2, "they have not heard it yet");
    answer(19, 19);
    assert.equal(solo.wait(2_000), []);
  },
);

links("30: to a node that is not heard nothing is sent again and again", () => {
  const solo = new Solo({ heardMs: (peer) => peer === 3 ? solo.nowMs : 0 });
  solo.lead();
  solo.propose("a");
  solo.receive(accepted({ from: 3, term: 1 }, 2, 2));
  const sentTo2 = (untilMs: number) => {
    const lines: string[] = [];
    while (solo.nowMs < untilMs) lines.push(...solo.wait(20).filter((line) => line.startsWith("1>2")));
    return lines.length;
  };
  assert.ok(sentTo2(2000) > 2);
  assert.ok(sentTo2(3000) <= 1);
  assert.is(sentTo2(60_000), 0);
  assert.is(solo.raft.role, "leader");
});

links("30: whatever is lost, one at a time, the group goes on", () => {
  for (let lost = 0; lost < 40; lost++) {
    const cluster = new Cluster(3);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.settle();
    cluster.propose(1, "b");
    for (let count = 0, rest = 30; rest > 0; rest--) {
      cluster.pump();
      for (const member of cluster.members) member.persist(cluster.nowMs);
      for (const letter of cluster.letters.splice(0)) if (count++ !== lost) cluster.deliver(letter);
      cluster.pass(10);
    }
    cluster.advance(500);
    for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a", "b"], `without message ${lost}, member ${id}`);
  }
});

links("an idle follower hears of a commit without being asked", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.settle();
  assert.equal(cluster.values(2), []);
  cluster.advance(20);
  assert.equal(cluster.values(2), ["a"]);
});

links.run();

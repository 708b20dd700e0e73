/** Scenario 20, and what of 54 to 58 a pure core can show: disks that come back empty, old, or half written. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../src/raft/invariant.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { emptyDisk } from "./member.ts";
import { accepted, append, confirmed, rejected, voteRequest } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group } from "./test-entry.ts";

const lost = suite("a lost disk");

/** Member `id` comes back with an empty disk. */
function loseDisk(cluster: Cluster, id: number): void {
  cluster.crash(id);
  cluster.replaceDisk(id, emptyDisk(cluster.configuration));
  cluster.restart(id);
}

lost("20: a replica that returns with an empty disk does not vote under its old identity", () => {
  // "a" is on 1 and 2 only; 2 forgets it. With 2's vote 3 could lead without it.
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.advance(50);
  cluster.crash(1);
  loseDisk(cluster, 2);
  cluster.heal();
  cluster.advance(10 * ELECTION_TIMEOUT_MS);
  assert.is(cluster.leader, 0, "nobody leads");
  cluster.restart(1);
  assert.is(cluster.waitForLeader(), 1);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a"]);
  assert.ok(cluster.raft(2).vouched, "and then it takes part again");
});

lost("20: it neither votes, nor pre-votes, nor campaigns, nor confirms reads", () => {
  const solo = new Solo({ forgot: true });
  solo.wait(10 * ELECTION_TIMEOUT_MS);
  assert.is(solo.raft.term, 0, "all it does is to introduce itself");
  solo.sent();
  solo.raft.campaign(0);
  assert.is(solo.raft.role, "follower");
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [9, 9], { preVote: true })), ["1>2 pre-vote t0 no"]);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [9, 9])), ["1>2 vote t1 no"]);
  const question = { type: "heartbeat", from: 2, to: 1, term: 1, commit: 0, readRound: 4, vouch: false } as const;
  assert.equal(solo.receive(question), ["1>2 heartbeat-response t1 round 0"]);
});

lost("20: its acknowledgements do not count: it may have helped another leader to a later term", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 2, 0, false));
  assert.is(solo.raft.commit, 1);
  solo.receive(accepted({ from: 3, term: 1 }, 2));
  assert.is(solo.raft.commit, 2);
});

lost("20: what it acknowledged before is forgotten with the first word that it forgot", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  assert.is(solo.raft.followers()[0]!.match, 2);
  solo.raft.peerUp(2, 0);
  solo.receive(accepted({ from: 2, term: 1 }, 0, 0, false));
  assert.equal(solo.raft.followers()[0], { peer: 2, state: "replicate", match: 0, commit: 0, vouched: false });
});

lost("20: it is vouched for when it has everything and every other voter has confirmed the leader since", () => {
  const round = (from: number, readRound: number) => confirmed({ from, term: 1 }, readRound);
  const forgetful = (index: number) => accepted({ from: 2, term: 1 }, index, index, false);
  const vouches = (lines: string[]) => lines.includes("1>2 heartbeat t1 round 1, commit 1 vouch");
  for (const confirmedFirst of [true, false]) {
    const solo = new Solo();
    solo.lead();
    assert.ok(solo.receive(forgetful(0)).includes("1>3 heartbeat t1 round 1, commit 1"));
    const [first, last] = confirmedFirst ? [round(3, 1), forgetful(1)] : [forgetful(1), round(3, 1)];
    assert.not.ok(vouches(solo.receive(first)), "one of the two is not enough");
    assert.ok(vouches(solo.receive(last)));
    assert.is(solo.raft.followers()[0]!.vouched, false, "until it has answered");
    solo.receive(round(2, 1));
    assert.is(solo.raft.followers()[0]!.vouched, true);
  }
});

lost("20: it need not have what came after its return: under load that would never end", () => {
  const solo = new Solo();
  solo.lead();
  solo.receive(accepted({ from: 2, term: 1 }, 0, 0, false));
  solo.propose("a");
  solo.receive(accepted({ from: 3, term: 1 }, 2));
  assert.is(solo.raft.commit, 2);
  solo.receive(confirmed({ from: 3, term: 1 }, 1));
  const lines = solo.receive(accepted({ from: 2, term: 1 }, 1, 1, false));
  assert.ok(lines.includes("1>2 heartbeat t1 round 1, commit 1 vouch"), lines.join());
});

lost("20: with a new link session everything it said is void: it may have lost its disk once more", () => {
  const solo = new Solo();
  solo.lead();
  solo.receive(accepted({ from: 2, term: 1 }, 0, 0, false), accepted({ from: 2, term: 1 }, 1, 1, false));
  assert.is(solo.raft.followers()[0]!.match, 1);
  solo.receive(confirmed({ from: 3, term: 1 }, 1));
  solo.raft.peerUp(2, 0);
  assert.is(solo.raft.followers()[0]!.match, 0);
  assert.ok(solo.sent().includes("1>3 heartbeat t1 round 2, commit 1"), "and another round is asked");
});

lost("20: it is not vouched for while another voter is silent, who might lead with the vote it forgot", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.advance(100);
  cluster.crash(3);
  loseDisk(cluster, 2);
  cluster.raft(1).readIndex(1, cluster.nowMs);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.not.ok(cluster.raft(2).vouched);
  cluster.restart(3);
  cluster.waitForLeader();
  cluster.advance(3 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.raft(2).vouched);
});

lost("20: a word of vouching that was meant for an earlier return is not believed", () => {
  const solo = new Solo({ forgot: true });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1], 1));
  const vouch = { type: "heartbeat", from: 2, to: 1, term: 1, commit: 5, readRound: 1, vouch: true } as const;
  assert.equal(solo.receive(vouch), ["1>2 reject t1 0, try 0@0", "1>2 heartbeat-response t1 round 0"], "and denied");
  assert.equal(solo.receive({ ...vouch, commit: 1 }), ["1>2 heartbeat-response t1 round 1", "1>2 accept t1 1"]);
  assert.ok(solo.raft.vouched);
});

lost("20: one of five may lose its disk under load, and is whole again soon", () => {
  const cluster = new Cluster(5);
  cluster.elect(1);
  for (let count = 0; count < 50; count++) {
    cluster.propose(1, `${count}`);
    cluster.advance(20);
    if (count === 20) loseDisk(cluster, 4);
  }
  cluster.advance(2 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.raft(4).vouched);
  assert.is(cluster.values(4).length, 50);
  assert.equal(cluster.raft(1).followers().map(({ vouched }) => vouched), [true, true, true, true]);
});

lost("20: a replica that learns late that its disk is old takes back what it has not said yet", () => {
  const solo = new Solo();
  solo.slow = true;
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), []);
  solo.raft.doubt(0);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [0, 0])), ["1>3 vote t2 no"]);
  solo.wait(10 * ELECTION_TIMEOUT_MS);
  assert.is(solo.raft.role, "follower");
});

lost("20: a leader that learns that its disk is old leads no more, and says so", () => {
  const solo = new Solo();
  solo.lead();
  solo.raft.doubt(0);
  assert.equal(solo.sent(), ["1>2 heartbeat-response t1 round 0", "1>3 heartbeat-response t1 round 0"]);
  assert.is(solo.raft.role, "follower");
  solo.raft.campaign(0);
  assert.equal(solo.sent(), []);
});

lost("20: an old copy of a disk is brought up to date, and then takes part again", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.advance(100);
  const copy = structuredClone({ ...cluster.member(2).disk, entries: [] });
  const entries = [...cluster.member(2).disk.entries];
  cluster.propose(1, "b");
  cluster.advance(100);
  cluster.crash(2);
  cluster.replaceDisk(2, { ...copy, entries });
  cluster.restart(2);
  cluster.raft(2).doubt(cluster.nowMs);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.raft(2).vouched);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a", "b"]);
});

lost("20: a replica whose host finds that it was never here votes from then on", () => {
  const solo = new Solo({ forgot: true });
  assert.equal(solo.receive(voteRequest({ from: 2, term: 1 }, [0, 0])), ["1>2 vote t1 no"]);
  solo.raft.trust(0);
  assert.ok(solo.raft.deadlineMs < Infinity);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 2 }, [0, 0])), ["1>2 vote t2 yes"]);
});

lost("a disk that lost the end of its log starts from what is left, and only if nobody vouches for it", () => {
  const state = { log: [1, 1], hardState: { term: 1, commit: 5 } };
  assert.is(new Solo({ ...state, forgot: true }).raft.commit, 2);
  assert.throws(() => new Solo(state), (error: unknown) => error instanceof InvariantError);
});

/** Member 3 begins anew within its session; the leader hears nothing of it by itself. */
function beginsAnew(cluster: Cluster, term: number): void {
  cluster.crash(3);
  cluster.replaceDisk(3, {
    ...emptyDisk(cluster.configuration),
    hardState: { term, vote: 0, commit: 0 },
    forgot: true,
  });
  cluster.restart(3, true);
}

lost(
  "20: a replica that begins anew within a link session introduces itself, and the leader forgets what it acknowledged",
  () => {
    const cluster = new Cluster(3);
    cluster.elect(1);
    cluster.propose(1, "a", "b");
    cluster.advance(50);
    const { term } = cluster.raft(1);
    beginsAnew(cluster, term);
    // Without a new session, and with nothing to do, the leader would never speak to it again.
    cluster.raft(3).introduce(1, 0);
    cluster.advance(10 * ELECTION_TIMEOUT_MS);
    assert.equal(cluster.values(3), ["a", "b"]);
    assert.ok(cluster.raft(3).vouched);
  },
);

lost("20: a replica that learns late that its disk is old says so to a leader that had nothing to tell it", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  cluster.raft(3).doubt(cluster.nowMs);
  cluster.advance(ELECTION_TIMEOUT_MS / 2);
  assert.ok(cluster.raft(3).vouched);
});

lost("20: a replica that begins anew and whose introduction is lost, or is of an earlier term, says it again", () => {
  for (const termsBehind of [0, 1]) {
    const cluster = new Cluster(3);
    cluster.elect(1);
    cluster.elect(1);
    cluster.propose(1, "a", "b");
    cluster.advance(5 * ELECTION_TIMEOUT_MS);
    beginsAnew(cluster, cluster.raft(1).term - termsBehind);
    cluster.advance(10 * ELECTION_TIMEOUT_MS);
    assert.equal(cluster.values(3), ["a", "b"]);
    assert.ok(cluster.raft(3).vouched, `${termsBehind} terms behind`);
  }
});

/** Member 3 began anew and has all there is again. Nobody confirms the leader, so it is not vouched for. */
function broughtUpUnvouched(): { cluster: Cluster; term: number } {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a", "b");
  cluster.advance(50);
  const { term } = cluster.raft(1);
  cluster.isolate(2);
  beginsAnew(cluster, term);
  cluster.raft(3).introduce(1, cluster.nowMs);
  cluster.advance(20);
  assert.is(cluster.raft(3).lastIndex, 3);
  assert.not.ok(cluster.raft(3).vouched);
  return { cluster, term };
}

lost("20: a replica that begins anew twice in one session is brought up and vouched for", () => {
  const { cluster, term } = broughtUpUnvouched();
  beginsAnew(cluster, term);
  cluster.raft(3).introduce(1, cluster.nowMs);
  cluster.advance(20);
  assert.is(cluster.raft(3).lastIndex, 3);
  assert.not.ok(cluster.raft(3).vouched);
  cluster.heal();
  cluster.advance(10 * ELECTION_TIMEOUT_MS);
  assert.equal(cluster.values(3), ["a", "b"]);
  assert.ok(cluster.raft(3).vouched);
});

lost("20: what it is taken to have from an earlier return it denies", () => {
  for (const proposedSince of [[], ["c", "d"]]) {
    const { cluster, term } = broughtUpUnvouched();
    // It begins anew once more, and nobody hears of that.
    beginsAnew(cluster, term);
    cluster.propose(1, ...proposedSince);
    cluster.heal();
    // It need not introduce itself anew: its leader speaks to it all the time.
    for (let read = 1; read <= 40; read++) {
      cluster.raft(1).readIndex(read, cluster.nowMs);
      cluster.advance(ELECTION_TIMEOUT_MS / 4);
    }
    assert.equal(cluster.values(3), ["a", "b", ...proposedSince]);
    assert.ok(cluster.raft(3).vouched, `${proposedSince.length} entries since`);
  }
});

lost("20: and is asked anew, for it may lack what it must have before it is vouched for", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a", "b", "c");
  solo.receive(rejected({ from: 2, term: 1 }, 0, [0, 0], false));
  solo.receive(accepted({ from: 2, term: 1 }, 2, 0, false));
  const lines = solo.receive(rejected({ from: 2, term: 1 }, 2, [0, 0], false));
  assert.is(solo.raft.followers().find(({ peer }) => peer === 2)!.match, 0);
  assert.ok(lines.some((line) => line.startsWith("1>2 append t1 after 0@0")), lines.join());
});

lost("20: a learner whose introduction comes once more, late, is taken back by its own word", () => {
  const cluster = new Cluster(3, { configuration: { ...group(1, 2, 3), learners: [4] }, extra: [4] });
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  const { term } = cluster.raft(1);
  // It was vouched for since, so it introduces itself no more, and takes no other word.
  const late = { ...rejected({ from: 4, term }, 0, [0, 0], false), to: 1 };
  cluster.raft(1).step(late, cluster.nowMs);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  const { match, vouched } = cluster.raft(1).followers().find(({ peer }) => peer === 4)!;
  assert.equal([match, vouched], [2, true]);
});

lost("20: what it says then counts for nothing", () => {
  const solo = new Solo();
  solo.lead();
  solo.propose("a");
  solo.sent();
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  assert.is(solo.raft.followers().find(({ peer }) => peer === 2)!.match, 2);
  solo.receive(rejected({ from: 2, term: 1 }, 0, [0, 0], false));
  const { match, vouched } = solo.raft.followers().find(({ peer }) => peer === 2)!;
  assert.equal([match, vouched], [0, false]);
});

lost.run();

const crashes = suite("crashes");

crashes("54: an entry whose write was torn off was never acknowledged, and is sent again", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.slowDisks.add(3);
  cluster.propose(1, "a", "b");
  cluster.settle();
  cluster.member(3).persistSilently(1);
  cluster.member(3).disk.entries.pop();
  cluster.crash(3);
  cluster.slowDisks.clear();
  cluster.restart(3);
  cluster.advance(200);
  assert.equal(cluster.values(3), ["a", "b"]);
});

crashes("56: a gap is asked for again: an append that does not follow is refused", () => {
  const solo = new Solo({ log: [1] });
  assert.equal(solo.receive(append({ from: 2, term: 1 }, [4, 1], [1])), ["1>2 reject t1 4, try 1@1"]);
});

crashes("58: a crash before and after each disk operation of each replica", () => {
  for (const victim of [1, 2, 3]) {
    for (let operation = 0; operation < 12; operation++) {
      for (const written of [false, true]) {
        const cluster = new Cluster(3);
        cluster.elect(1);
        let done = 0;
        let crashed = false;
        for (let round = 0; round < 60; round++) {
          if (round % 4 === 0 && cluster.leader !== 0) cluster.propose(cluster.leader, `${round}`);
          if (round === 20 && cluster.leader !== 0) cluster.raft(cluster.leader).transfer(2, cluster.nowMs);
          cluster.pump();
          for (const member of cluster.members) {
            if (member.id === victim && !crashed && member.writes.length > 0 && done++ === operation) {
              if (written) member.persistSilently(1);
              cluster.crash(victim, true);
              crashed = true;
            } else {
              member.persist(cluster.nowMs);
            }
          }
          for (const letter of cluster.letters.splice(0)) cluster.deliver(letter);
          cluster.pass(5);
        }
        if (crashed) cluster.restart(victim);
        cluster.advance(4 * ELECTION_TIMEOUT_MS);
        const values = cluster.values(1);
        assert.ok(values.length >= 5, `victim ${victim}, operation ${operation}: ${values}`);
        for (const id of [2, 3]) assert.equal(cluster.values(id), values);
      }
    }
  }
});

crashes("a replica starts from its checkpoint and applies what follows, once", () => {
  const cluster = new Cluster(1);
  cluster.raft(1).campaign(0);
  cluster.settle();
  cluster.propose(1, "a", "b");
  cluster.settle();
  cluster.member(1).checkpoint(2);
  cluster.propose(1, "c");
  cluster.settle();
  cluster.crash(1);
  cluster.restart(1);
  cluster.waitForLeader();
  cluster.advance(20);
  assert.equal(cluster.values(1), ["a", "b", "c"]);
  assert.equal(cluster.raft(1).configuration, group(1));
});

crashes.run();

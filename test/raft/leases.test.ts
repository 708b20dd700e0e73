/** Reads under a lease (Raft thesis §6.4.1; src/raft/README.md, "Leases"): when they are answered, and when not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../src/raft/invariant.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { accepted, append, confirmed, voteRequest, voteResponse } from "./messages.ts";
import { Solo, type SoloOptions } from "./solo.ts";
import { group } from "./test-entry.ts";

const DRIFT = 1.25;
const LEASE_MS = ELECTION_TIMEOUT_MS / DRIFT;

/** A leader whose first round was asked at 0 and confirmed by node 2, who holds its vote. */
function leased(options: SoloOptions = {}): Solo {
  const solo = new Solo({ clockDriftMax: DRIFT, ...options });
  solo.lead();
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1, ELECTION_TIMEOUT_MS));
  assert.equal(answers(solo), [1]);
  return solo;
}

/** Contexts of the reads that were answered since the last call. */
function answers(solo: Solo): number[] {
  return solo.member.reads.splice(0).filter(({ index }) => index >= 0).map(({ context }) => context);
}

const leading = suite("a leader with a lease");

leading("answers a read at once, and asks nobody", () => {
  const solo = leased();
  solo.nowMs = 100;
  solo.raft.readIndex(2, 100);
  assert.equal(solo.sent(), []);
  assert.equal(answers(solo), [2]);
});

leading("answers with all that is committed, and no lease is needed by one that was given none", () => {
  const solo = leased();
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  solo.raft.readIndex(2, 1);
  solo.sent();
  assert.equal(solo.member.reads, [{ context: 2, index: 2 }]);
  const plain = new Solo();
  plain.lead();
  plain.raft.readIndex(1, 0);
  plain.sent();
  plain.receive(confirmed({ from: 2, term: 1 }, 1, ELECTION_TIMEOUT_MS));
  plain.raft.readIndex(2, 1);
  assert.is(plain.sent().length, 2, "it asks every time");
});

leading("renews it when half of it is over: steady reads never wait", () => {
  const solo = leased();
  solo.raft.readIndex(2, LEASE_MS / 2 - 1);
  assert.equal(solo.sent(), []);
  solo.raft.readIndex(3, LEASE_MS / 2);
  assert.equal(solo.sent(), ["1>2 heartbeat t1 round 2, commit 1", "1>3 heartbeat t1 round 2, commit 1"]);
  solo.raft.readIndex(4, LEASE_MS / 2 + 1);
  assert.equal(solo.sent(), [], "one round is enough");
  assert.equal(answers(solo), [2, 3, 4]);
  solo.receive(confirmed({ from: 3, term: 1 }, 2, ELECTION_TIMEOUT_MS));
  solo.raft.readIndex(5, LEASE_MS * 1.4);
  assert.equal(answers(solo), []);
  solo.sent();
  assert.equal(answers(solo), [5]);
});

leading("asks again when the lease is over", () => {
  const solo = leased();
  solo.raft.readIndex(2, LEASE_MS - 0.1);
  solo.sent();
  assert.equal(answers(solo), [2]);
  solo.raft.readIndex(3, LEASE_MS);
  solo.sent();
  assert.equal(answers(solo), []);
  solo.receive(confirmed({ from: 3, term: 1 }, 2), confirmed({ from: 3, term: 1 }, 3));
  assert.equal(answers(solo), [3], "and a quorum's word is as good as ever");
});

leading("counts from when it first asked, not from the answer, nor from when it asked again", () => {
  const solo = new Solo({ clockDriftMax: DRIFT });
  solo.lead();
  solo.raft.readIndex(1, 0);
  solo.sent();
  assert.is(solo.wait(LEASE_MS - 100).filter((line) => line.includes("round 1")).length, 2);
  solo.receive(confirmed({ from: 2, term: 1 }, 1, ELECTION_TIMEOUT_MS));
  assert.equal(answers(solo), [1]);
  solo.nowMs = LEASE_MS;
  solo.raft.readIndex(2, solo.nowMs);
  solo.sent();
  assert.equal(answers(solo), []);
});

leading("takes no late answer for one to a later question", () => {
  const solo = new Solo({ clockDriftMax: DRIFT });
  solo.lead();
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1));
  solo.nowMs = 500;
  solo.raft.readIndex(2, 500);
  assert.ok(solo.sent().includes("1>3 heartbeat t1 round 2, commit 1"));
  solo.receive(confirmed({ from: 3, term: 1 }, 1, ELECTION_TIMEOUT_MS), confirmed({ from: 2, term: 1 }, 2));
  assert.equal(answers(solo), [1, 2]);
  solo.nowMs = LEASE_MS;
  solo.raft.readIndex(3, solo.nowMs);
  solo.sent();
  assert.equal(answers(solo), []);
});

leading("has none from those that promise nothing, nor from one that forgot what it promised", () => {
  const solo = new Solo({ clockDriftMax: DRIFT });
  solo.lead();
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1));
  assert.equal(answers(solo), [1]);
  solo.raft.readIndex(2, 1);
  solo.sent();
  assert.equal(answers(solo), []);

  const forgotten = leased();
  // What it answered before it forgot comes late, in the same turn: no other round was asked yet.
  forgotten.raft.step(accepted({ from: 2, term: 1 }, 0, 0, false), 1);
  forgotten.raft.step(confirmed({ from: 2, term: 1 }, 1, ELECTION_TIMEOUT_MS), 1);
  forgotten.raft.readIndex(2, 1);
  forgotten.sent();
  assert.equal(answers(forgotten), []);
});

leading("has none before its term has a commit, even if it is alone", () => {
  const solo = new Solo({ configuration: group(1), clockDriftMax: DRIFT });
  solo.slow = true;
  solo.raft.campaign(0);
  solo.sent();
  solo.persist();
  assert.is(solo.raft.role, "leader");
  solo.raft.readIndex(1, 0);
  solo.sent();
  assert.equal(answers(solo), []);
  solo.persist();
  assert.equal(answers(solo), [1]);
});

leading("needs the promises of both halves of a joint configuration", () => {
  const solo = new Solo({ clockDriftMax: DRIFT, configuration: { ...group(1, 2, 3), outgoing: [1, 4, 5] } });
  solo.raft.campaign(0, false);
  solo.sent();
  solo.receive(voteResponse({ from: 2, term: 1 }, false), voteResponse({ from: 4, term: 1 }, false));
  solo.receive(accepted({ from: 2, term: 1 }, 1), accepted({ from: 4, term: 1 }, 1));
  solo.raft.readIndex(1, 0);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 1, ELECTION_TIMEOUT_MS), confirmed({ from: 4, term: 1 }, 1));
  assert.equal(answers(solo), [1]);
  solo.raft.readIndex(2, 1);
  solo.sent();
  assert.equal(answers(solo), [], "4 has promised nothing");
  solo.receive(confirmed({ from: 5, term: 1 }, 2, ELECTION_TIMEOUT_MS), confirmed({ from: 3, term: 1 }, 2));
  solo.raft.readIndex(3, 2);
  solo.sent();
  assert.equal(answers(solo), [2, 3]);
});

leading("gives it up while it hands over, and for good once somebody was told to campaign", () => {
  const solo = leased({ heardMs: () => Infinity });
  solo.propose("a");
  solo.receive(accepted({ from: 2, term: 1 }, 2));
  solo.raft.transfer(3, 10);
  solo.sent();
  solo.raft.readIndex(2, 10);
  solo.sent();
  assert.equal(answers(solo), [], "3 lacks an entry; nobody was told anything");
  solo.wait(ELECTION_TIMEOUT_MS + 20);
  assert.is(solo.raft.transferTarget, 0);
  solo.receive(confirmed({ from: 2, term: 1 }, 2, ELECTION_TIMEOUT_MS));
  answers(solo);
  solo.raft.readIndex(3, solo.nowMs);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 3, ELECTION_TIMEOUT_MS));
  solo.raft.readIndex(4, solo.nowMs);
  solo.sent();
  assert.equal(answers(solo), [3, 4], "so it may have a lease again");

  assert.ok(solo.receive(accepted({ from: 3, term: 1 }, 2)).every((line) => !line.includes("timeout-now")));
  solo.raft.transfer(3, solo.nowMs);
  assert.ok(solo.sent().includes("1>3 timeout-now t1"));
  solo.wait(ELECTION_TIMEOUT_MS + 20);
  assert.is(solo.raft.transferTarget, 0);
  solo.raft.readIndex(5, solo.nowMs);
  solo.sent();
  solo.receive(confirmed({ from: 2, term: 1 }, 4, ELECTION_TIMEOUT_MS));
  assert.equal(answers(solo), [5]);
  solo.raft.readIndex(6, solo.nowMs);
  solo.sent();
  assert.equal(answers(solo), [], "the word to campaign may still be on its way");
});

leading("is not given a drift that would make a lease longer than the promise", () => {
  for (const clockDriftMax of [0.9, 0, Infinity, NaN]) {
    assert.throws(() => new Solo({ clockDriftMax }), (error: unknown) => error instanceof InvariantError);
  }
});

leading.run();

const following = suite("a follower that has promised its vote");

/** A follower of 2 that has answered a read round at 0. */
function promised(): Solo {
  const solo = new Solo({ clockDriftMax: DRIFT });
  solo.receive(append({ from: 2, term: 1 }, [0, 0], [1]));
  const question = { type: "heartbeat", from: 2, to: 1, term: 1, commit: 0, readRound: 1, vouch: false } as const;
  assert.equal(solo.receive(question), ["1>2 heartbeat-response t1 round 1 holds 1000"]);
  return solo;
}

following("refuses it to all others for an election timeout, and not longer", () => {
  const solo = promised();
  solo.nowMs = ELECTION_TIMEOUT_MS - 1;
  const preVote = voteRequest({ from: 3, term: 2 }, [9, 9], { preVote: true });
  assert.equal(solo.receive(preVote), ["1>3 pre-vote t1 no"]);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9])), []);
  solo.nowMs = ELECTION_TIMEOUT_MS;
  assert.is(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9])).at(-1), "1>3 vote t2 yes");
});

following("does so although it hears that the leader is gone, or resigned, or of a later term", () => {
  const gone = promised();
  gone.raft.peerLost(2, 1);
  assert.equal(gone.receive(voteRequest({ from: 3, term: 2 }, [9, 9], { preVote: true })), ["1>3 pre-vote t1 no"]);
  const resigned = promised();
  resigned.receive(confirmed({ from: 2, term: 1 }, 0));
  assert.is(resigned.raft.leader, 0);
  assert.equal(resigned.receive(voteRequest({ from: 3, term: 2 }, [9, 9])), []);
  const later = promised();
  later.receive(confirmed({ from: 3, term: 5 }, 0));
  assert.is(later.raft.term, 5);
  assert.equal(later.receive(voteRequest({ from: 3, term: 5 }, [9, 9])), ["1>3 vote t5 no"]);
});

following("does not campaign before that, but then soon, if the leader is known to be gone", () => {
  const solo = promised();
  solo.raft.campaign(1);
  assert.is(solo.raft.role, "follower");
  solo.raft.peerLost(2, 1);
  assert.ok(solo.raft.deadlineMs >= ELECTION_TIMEOUT_MS && solo.raft.deadlineMs < ELECTION_TIMEOUT_MS + 50);
  solo.wait(solo.raft.deadlineMs);
  assert.is(solo.raft.role, "pre-candidate");
});

following("gives it in a transfer, which its leader has asked for", () => {
  const solo = promised();
  const transfer = voteRequest({ from: 3, term: 2 }, [9, 9], { transfer: true });
  assert.is(solo.receive(transfer).at(-1), "1>3 vote t2 yes");
  const target = promised();
  target.receive({ type: "timeout-now", from: 2, to: 1, term: 1 });
  assert.is(target.raft.role, "candidate");
});

following("keeps what it may have promised before a restart", () => {
  const solo = new Solo({ clockDriftMax: DRIFT, log: [1] });
  solo.raft.campaign(0);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9])), []);
  solo.nowMs = ELECTION_TIMEOUT_MS;
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9])), ["1>3 vote t2 yes"]);
  const fresh = new Solo({ clockDriftMax: DRIFT });
  assert.equal(fresh.receive(voteRequest({ from: 3, term: 1 }, [0, 0])), ["1>3 vote t1 yes"], "a new one did not");
});

following("keeps it also when leases have been switched off since, and promises nothing new", () => {
  const solo = new Solo({ mayHavePromised: true, log: [1] });
  assert.equal(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9])), []);
  const question = { type: "heartbeat", from: 2, to: 1, term: 1, commit: 0, readRound: 1, vouch: false } as const;
  assert.equal(solo.receive(question), ["1>2 heartbeat-response t1 round 1"]);
  solo.nowMs = ELECTION_TIMEOUT_MS;
  assert.is(solo.receive(voteRequest({ from: 3, term: 2 }, [9, 9], { transfer: true })).at(-1), "1>3 vote t2 yes");
  const never = new Solo({ log: [1] });
  assert.is(never.receive(voteRequest({ from: 3, term: 2 }, [9, 9])).at(-1), "1>3 vote t2 yes");
});

following("promises nothing in a term that a restart would not remember, nor where no leases are", () => {
  const solo = new Solo({ clockDriftMax: DRIFT });
  solo.slow = true;
  const question = { type: "heartbeat", from: 2, to: 1, term: 1, commit: 0, readRound: 1, vouch: false } as const;
  assert.equal(solo.receive(question), ["1>2 heartbeat-response t1 round 1"]);
  solo.persist();
  assert.equal(solo.receive(question), ["1>2 heartbeat-response t1 round 1 holds 1000"]);
  assert.equal(new Solo().receive(question), ["1>2 heartbeat-response t1 round 1"]);
});

following.run();

const clocks = suite("leases and clocks");

/**
 * The leader has a lease and is cut off; the others are told that it is gone, elect somebody and commit. Meanwhile it is
 * asked again and again. Counts the answers that miss something, and all that were given after the cut.
 */
function readsOfACutOffLeader(clockDriftMax: number, rates: Record<NodeId, number>) {
  const cluster = new Cluster(3, { clockDriftMax, rates });
  cluster.elect(1);
  cluster.advance(20);
  cluster.raft(1).readIndex(0, cluster.timeOf(1));
  cluster.settle();
  cluster.member(1).reads = [];
  cluster.isolate(1);
  for (const id of [2, 3]) cluster.raft(id).peerLost(1, cluster.timeOf(id));
  const found = { stale: 0, answered: 0, elected: 0 };
  for (let context = 1; context <= 400; context++) {
    cluster.advance(5);
    const next = cluster.members.find(({ id, raft }) => id !== 1 && raft.role === "leader");
    if (next && found.elected++ === 0) {
      cluster.propose(next.id, "newer");
      cluster.settle();
    }
    const atLeast = Math.max(...cluster.members.map(({ raft }) => raft.applied));
    cluster.raft(1).readIndex(context, cluster.timeOf(1));
    cluster.pump();
    for (const { index } of cluster.member(1).reads.splice(0)) {
      if (index >= 0) found.answered += 1;
      if (index >= 0 && index < atLeast) found.stale += 1;
    }
  }
  return found;
}

clocks("42: no read is stale while clocks differ by no more than the bound", () => {
  const rates: Record<NodeId, number>[] = [{}, { 1: 0.9, 2: 1.1, 3: 1.1 }, { 1: 0.9, 2: 1.1 }, { 1: 1.1, 2: 0.9 }];
  for (const each of rates) {
    const { stale, answered, elected } = readsOfACutOffLeader(DRIFT, each);
    assert.is(stale, 0);
    assert.ok(answered > 100 && elected > 0, `${answered} answered, ${elected} elected`);
  }
});

clocks("and beyond the bound they are: it is not there for nothing", () => {
  assert.ok(readsOfACutOffLeader(1, { 1: 0.9, 2: 1.1, 3: 1.1 }).stale > 0);
});

clocks("42: a paused leader that wakes finds its lease over, whatever it had", () => {
  const cluster = new Cluster(3, { clockDriftMax: DRIFT });
  cluster.elect(1);
  cluster.advance(20);
  cluster.raft(1).readIndex(1, cluster.nowMs);
  cluster.settle();
  const paused = cluster.raft(1);
  cluster.isolate(1);
  cluster.nowMs += 3 * ELECTION_TIMEOUT_MS;
  for (const id of [2, 3]) cluster.raft(id).tick(cluster.nowMs);
  for (let i = 0; i < 20; i++) {
    for (const letter of cluster.take(({ from, to }) => from > 1 && to > 1)) cluster.deliver(letter);
  }
  assert.is(paused.role, "leader", "it was not even looked at");
  paused.readIndex(2, cluster.nowMs);
  cluster.settle();
  assert.equal(cluster.member(1).reads, [{ context: 1, index: 1 }]);
});

clocks("42: a word to campaign that is late finds no lease in its way", () => {
  const cluster = new Cluster(3, { clockDriftMax: DRIFT });
  cluster.elect(1);
  cluster.advance(20);
  cluster.raft(1).transfer(3, cluster.nowMs);
  const late = cluster.take(({ type }) => type === "timeout-now");
  cluster.advance(ELECTION_TIMEOUT_MS + 50);
  assert.is(cluster.raft(1).transferTarget, 0);
  cluster.raft(1).readIndex(1, cluster.nowMs);
  cluster.settle();
  cluster.isolate(1);
  for (const letter of late) cluster.raft(3).step(letter.message, cluster.nowMs);
  cluster.settle();
  assert.is(cluster.raft(3).role, "leader", "it campaigned, and 2 gave the vote that it held");
  cluster.propose(3, "newer");
  cluster.settle();
  cluster.raft(1).readIndex(2, cluster.nowMs);
  cluster.settle();
  assert.equal(cluster.member(1).reads.map(({ context }) => context), [1]);
});

clocks.run();

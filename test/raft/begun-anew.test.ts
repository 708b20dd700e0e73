/** Replicas that dropped a damaged log knowingly: what they had they vote by until they are vouched for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";
import { emptyDisk } from "./member.ts";
import { accepted, append, voteRequest } from "./messages.ts";
import { Solo } from "./solo.ts";
import { group } from "./test-entry.ts";

const anew = suite("a replica that begins anew");

const HAD = { index: 3, term: 2 };
const dropped = () => new Solo({ forgot: true, had: HAD, hardState: { term: 2 } });

/** Of a group of two, whose leader is 1. */
function twoWithOneDropped(work: (cluster: Cluster) => void): Cluster {
  const cluster = new Cluster(2);
  cluster.elect(1);
  cluster.propose(1, "a", "b");
  cluster.advance(100);
  const { lastIndex: index, term } = cluster.raft(2);
  cluster.crash(2);
  work(cluster);
  const hardState = { term, vote: 0, commit: 0 };
  cluster.replaceDisk(2, { ...emptyDisk(cluster.configuration), hardState, had: { index, term } });
  cluster.restart(2, true);
  cluster.raft(2).introduce(1, cluster.nowMs);
  return cluster;
}

anew("votes for whom has what it had, and for nobody else", () => {
  assert.equal(dropped().receive(voteRequest({ from: 2, term: 3 }, [3, 2])), ["1>2 vote t3 yes"]);
  assert.equal(dropped().receive(voteRequest({ from: 2, term: 3 }, [1, 3])), ["1>2 vote t3 yes"]);
  assert.equal(dropped().receive(voteRequest({ from: 2, term: 3 }, [2, 2])), ["1>2 vote t3 no"]);
  assert.equal(dropped().receive(voteRequest({ from: 2, term: 3 }, [9, 1])), ["1>2 vote t3 no"]);
  const asked = voteRequest({ from: 2, term: 3 }, [3, 2], { preVote: true });
  assert.equal(dropped().receive(asked), ["1>2 pre-vote t3 yes"]);
});

anew("does not vote in the term in which it dropped it, for it may have voted", () => {
  assert.equal(dropped().receive(voteRequest({ from: 2, term: 2 }, [3, 2])), ["1>2 vote t2 no"]);
});

anew("votes by what it was given since, too", () => {
  const solo = dropped();
  solo.receive(append({ from: 3, term: 4 }, [0, 0], [4, 4], 0));
  solo.wait(2 * ELECTION_TIMEOUT_MS);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 5 }, [3, 2])), ["1>2 vote t5 no"]);
  assert.equal(solo.receive(voteRequest({ from: 3, term: 6 }, [2, 4])), ["1>3 vote t6 yes"]);
});

anew("votes for nobody once it is known to have forgotten more", () => {
  const solo = dropped();
  solo.raft.doubt(0);
  assert.equal(solo.receive(voteRequest({ from: 2, term: 3 }, [9, 9])), ["1>2 vote t3 no"]);
});

anew("votes for its leader of two, which was restarted meanwhile, and is made whole", () => {
  const cluster = twoWithOneDropped((two) => two.crash(1));
  cluster.restart(1);
  assert.is(cluster.waitForLeader(), 1);
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.raft(2).vouched);
  assert.equal(cluster.values(2), ["a", "b"]);
});

anew("keeps its leader of two, however long it takes to be given what it lacks", () => {
  const solo = new Solo({ configuration: group(1, 2) });
  solo.lead();
  solo.receive(accepted({ from: 2, term: 1 }, 0, 0, false));
  for (let i = 0; i < 50; i++) {
    solo.wait(ELECTION_TIMEOUT_MS / 2);
    solo.receive(accepted({ from: 2, term: 1 }, 0, 0, false));
  }
  assert.is(solo.raft.role, "leader");
  solo.wait(3 * ELECTION_TIMEOUT_MS);
  solo.wait(3 * ELECTION_TIMEOUT_MS);
  assert.is.not(solo.raft.role, "leader", "it is silent");
});

anew("is vouched for though a round is open that it was to answer, and the read of that is answered", () => {
  const cluster = twoWithOneDropped((two) => {
    two.raft(1).readIndex(7, two.nowMs);
    two.pump();
  });
  cluster.advance(5 * ELECTION_TIMEOUT_MS);
  assert.ok(cluster.raft(2).vouched);
  assert.equal(cluster.member(1).reads, [{ context: 7, index: 3 }]);
});

anew("is vouched for though it introduces itself twice, or a new session begins meanwhile", () => {
  const twice = twoWithOneDropped(() => {});
  twice.pump();
  for (const letter of twice.take(() => true)) twice.deliver(letter);
  twice.pump();
  twice.raft(2).introduce(1, twice.nowMs);
  twice.advance(5 * ELECTION_TIMEOUT_MS);
  assert.ok(twice.raft(2).vouched);
  const again = twoWithOneDropped(() => {});
  again.slowDisks.add(2);
  again.advance(100);
  again.connect(1, 2);
  again.slowDisks.delete(2);
  again.advance(5 * ELECTION_TIMEOUT_MS);
  assert.ok(again.raft(2).vouched);
});

anew.run();

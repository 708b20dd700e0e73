import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "./harness.ts";

const test = suite("a group of three");

test("elects a leader, replicates, commits and applies everywhere", () => {
  const cluster = new Cluster(3);
  const leader = cluster.waitForLeader();
  assert.ok(cluster.propose(leader, "a", "b").ok);
  cluster.advance(100);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a", "b"]);
});

test("survives the loss of its leader within a few hundred milliseconds", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.settle();
  cluster.crash(1, true);
  cluster.advance(200);
  assert.not.equal(cluster.leader, 0);
  cluster.propose(cluster.leader, "b");
  cluster.advance(100);
  cluster.restart(1);
  cluster.advance(100);
  for (const id of [1, 2, 3]) assert.equal(cluster.values(id), ["a", "b"]);
});

test("hands leadership over", () => {
  const cluster = new Cluster(3);
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.settle();
  cluster.raft(1).transfer(2, cluster.nowMs);
  cluster.settle();
  assert.is(cluster.leader, 2);
  cluster.advance(5000);
  assert.is(cluster.leader, 2);
});

test.run();

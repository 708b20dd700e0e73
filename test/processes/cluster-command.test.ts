import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { freePorts } from "../../tools/processes/ports.ts";
import { until } from "../cluster/test-cluster.ts";
import { CommandLine } from "./command-line.ts";
import { commandOf, configureJoining, start } from "./one-node.ts";

const commands = suite("the cluster on the command line");

commands("shows nodes, leaders and what is not as it should be, in words and as JSON", async () => {
  await using raftline = await CommandLine.start(3);
  await raftline.topicWith("orders", 3);
  const { code, out } = await raftline.run("cluster");
  assert.is(code, 0);
  assert.match(out, "1 topics, 1 partitions; the metadata is led by node");
  for (const word of ["up", "without a leader: none", "with replicas away: none", "moving: none"]) {
    assert.match(out, word);
  }
  const health = await raftline.json("cluster") as unknown as { nodes: { leads: number }[] };
  assert.equal(health.nodes.map(({ leads }) => leads).sort(), [0, 0, 1]);
});

commands("a node joins, takes its share, is drained, restarted and removed", async () => {
  const folder = makeTemporaryFolder("raftline-joining-");
  await using raftline = await CommandLine.start(3);
  await raftline.topicWith("orders", 100);
  await raftline.fail(
    ["USAGE", "cluster", "add", "4"],
    ["USAGE", "cluster", "add", "four", "--peer", "127.0.0.1:1"],
    ["USAGE", "cluster", "drain"],
    ["USAGE", "cluster", "spread", "4"],
    ["USAGE", "cluster", "drain", "4", "--peer", "127.0.0.1:1"],
    ["ALREADY_EXISTS", "cluster", "add", "3", "--peer", "127.0.0.1:1"],
    ["UNKNOWN_NODE", "cluster", "drain", "4"],
    ["UNKNOWN_NODE", "cluster", "remove", "4"],
    ["INVALID_REQUEST", "cluster", "remove", "3"],
  );
  const [port] = await freePorts(1);
  const command = commandOf(configureJoining(folder, 4, port!, raftline.peers));
  let joining = start(command);
  try {
    await joining.said(/a peer refused this node/);
    assert.match((await raftline.run("cluster", "add", "4", "--peer", `127.0.0.1:${port}`)).out, "added: node 4");
    await joining.said(/serving/);
    assert.equal(await raftline.json("cluster", "spread"), { done: "spread", moves: 0, moving: 0 });
    await raftline.run("topic", "move", "orders", "--partition", "0", "--nodes", "4,1,2");
    await raftline.fail(["NODE_IN_USE", "cluster", "remove", "4"]);
    await joining.kill();
    joining = start(command);
    await joining.said(/serving/);
    await until("it holds a replica", async () => {
      const { partitions } = await raftline.client.admin.describeTopic("orders");
      return partitions[0]!.replicas.includes(4) && partitions[0]!.target.length === 0;
    });
    assert.equal(await raftline.json("cluster", "drain", "4"), { done: "drained", node: 4, left: 0 });
    const { out } = await raftline.run("cluster");
    assert.match(out, "up, added, draining");
    assert.match((await raftline.run("cluster", "undrain", "4")).out, "undrained: node 4");
    await raftline.fail(["NODE_IN_USE", "cluster", "remove", "4"]);
    await raftline.run("cluster", "drain", "4");
    assert.match((await raftline.run("cluster", "remove", "4")).out, "removed: node 4");
    await joining.said(/was removed from the cluster/);
    assert.is((await raftline.client.admin.describeCluster()).nodes.length, 3);
  } finally {
    await joining.kill();
    removeFolder(folder);
  }
});

commands("a node that was told of other founders than there are ends, and says so", async () => {
  const folder = makeTemporaryFolder("raftline-joining-");
  await using raftline = await CommandLine.start(3);
  const [port] = await freePorts(1);
  await raftline.run("cluster", "add", "4", "--peer", `127.0.0.1:${port}`);
  const joining = start(commandOf(configureJoining(folder, 4, port!, raftline.peers.slice(0, 2))));
  try {
    await joining.said(/the cluster was made with nodes 1, 2, 3, and the configuration has 1, 2/);
    await until("it is gone", () => !isAlive(joining.pid));
  } finally {
    await joining.kill();
    removeFolder(folder);
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

commands.run();

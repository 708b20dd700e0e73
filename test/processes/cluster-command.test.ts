import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommandLine } from "./command-line.ts";

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

commands.run();

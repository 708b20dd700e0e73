import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommandLine } from "./command-line.ts";

const commands = suite("queues on the command line: every command, and what goes wrong");

let raftline: CommandLine;

commands.before(async () => {
  raftline = await CommandLine.start(1);
});

commands.after(() => raftline[Symbol.asyncDispose]());

commands("help shows the options and an example", async () => {
  const { code, out } = await raftline.run("consume", "--help");
  assert.is(code, 0);
  for (const option of ["--group", "--queue", "--dead-letter", "--deliveries-max", "--lease-ms", "--key-ordered"]) {
    assert.match(out, option);
  }
  assert.match(out, "raftline consume orders --queue mail --dead-letter orders.dead --max 10");
});

commands("a queue: taken from, listed, described, set back, deleted", async () => {
  await raftline.topicWith("jobs", 5);
  const taken = await raftline.run("consume", "jobs", "--queue", "mail", "--max", "2", "--json");
  assert.is(taken.code, 0, taken.err);
  const lines = taken.out.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.map(({ topic, partition, offset, key, value }) => [topic, partition, offset, key, value]), [
    ["jobs", 0, 0, null, "0"],
    ["jobs", 0, 1, null, "1"],
  ]);
  assert.equal(await raftline.json("group", "list", "--topic", "jobs"), [
    { group: "mail", topic: "jobs", kind: "queue", lag: 3, leased: 0, dead: 0, deadCode: "", members: 0 },
  ]);
  const [place] = await raftline.json("group", "describe", "mail", "--topic", "jobs");
  assert.equal([place!.partition, place!.floor, place!.waiting, place!.highWatermark], [0, 2, 3, 5]);
  const table = await raftline.run("group", "describe", "mail");
  assert.is(table.code, 0);
  for (const head of ["waiting", "leased", "delayed", "dead", "deadCode", "member"]) assert.match(table.out, head);
  assert.equal(await raftline.json("group", "reset", "mail", "--topic", "jobs", "--to", "1"), [
    { partition: 0, offset: 1 },
  ]);
  const again = await raftline.run("consume", "jobs", "--queue", "mail", "--max", "1");
  assert.equal([again.code, again.out], [0, "1\n"]);
  const deleted = await raftline.json("group", "delete", "mail", "--topic", "jobs");
  assert.equal(deleted, [{ deleted: "mail", topic: "jobs" }]);
  assert.equal(await raftline.json("group", "list", "--topic", "jobs"), []);
});

commands("a queue's settings that make no sense are refused, and the queue is not made", async () => {
  await raftline.topicWith("settings", 3);
  const take = ["consume", "settings", "--queue", "g"];
  await raftline.fail(
    ["INVALID_REQUEST", ...take, "--dead-letter", "settings"],
    ["INVALID_REQUEST", ...take, "--dead-letter", "d", "--deliveries-max", "0"],
    ["INVALID_REQUEST", ...take, "--deliveries-max", "3"],
    ["INVALID_REQUEST", ...take, "--lease-ms", "1"],
    ["USAGE", ...take, "--dead-letter", "d", "--deliveries-max", "few"],
    ["USAGE", "consume", "settings", "--dead-letter", "d"],
    ["USAGE", "consume", "settings", "--queue", "a", "--group", "b"],
    ["UNKNOWN_TOPIC", "consume", "nowhere", "--queue", "g"],
    ["INVALID_NAME", "consume", "settings", "--queue", "no name"],
  );
  assert.equal(await raftline.json("group", "list", "--topic", "settings"), []);
});

commands("what is delivered too often goes to the dead-letter topic that the command names", async () => {
  await raftline.topicWith("work", 2);
  await raftline.client.admin.createTopic("work.dead", { replicas: 1, partitions: 1 });
  const queue = raftline.client.queue("work", { group: "g", deliveriesMax: 2, deadLetter: "work.dead" });
  for await (const message of queue) {
    await message.nack();
    if (message.deliveryCount === 2 && message.text() === "0") break;
  }
  await queue.close();
  const settings = ["--deliveries-max", "2", "--dead-letter", "work.dead"];
  const taken = await raftline.run("consume", "work", "--queue", "g", "--max", "1", "--key-ordered", ...settings);
  assert.is(taken.code, 0, taken.err);
  assert.is(taken.out, "1\n");
  const letter = await raftline.run("consume", "work.dead", "--from", "earliest", "--max", "1", "--json");
  assert.is(JSON.parse(letter.out).value, "0");
});

commands.run();

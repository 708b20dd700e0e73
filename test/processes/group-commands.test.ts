import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommandLine } from "./command-line.ts";

const commands = suite("groups on the command line: every command, and what goes wrong");

let raftline: CommandLine;

commands.before(async () => {
  raftline = await CommandLine.start(1);
});

commands.after(() => raftline[Symbol.asyncDispose]());

commands("help shows the options and an example", async () => {
  const { code, out } = await raftline.run("group", "--help");
  assert.is(code, 0);
  for (const option of ["--topic", "--to", "--partition", "--force", "--json"]) assert.match(out, option);
  assert.match(out, "raftline group reset mail --topic orders --to earliest");
});

commands("command lines that make no sense are refused before anybody is asked", async () => {
  await raftline.fail(
    ["USAGE", "group", "forget", "mail", "--topic", "t"],
    ["USAGE", "group", "describe"],
    ["USAGE", "group", "reset", "mail", "--topic", "t"],
    ["USAGE", "group", "reset", "mail", "--topic", "t", "--to", "yesterday"],
    ["USAGE", "group", "delete", "mail"],
  );
});

commands("what is not there is told by name, and nothing comes of asking for it", async () => {
  await raftline.topicWith("known", 3);
  await raftline.fail(
    ["UNKNOWN_TOPIC", "group", "list", "--topic", "nowhere"],
    ["UNKNOWN_TOPIC", "consume", "nowhere", "--group", "g"],
    ["UNKNOWN_GROUP", "group", "describe", "nobody"],
    ["UNKNOWN_GROUP", "group", "reset", "nobody", "--topic", "known", "--to", "latest"],
    ["UNKNOWN_GROUP", "group", "delete", "nobody", "--topic", "known"],
    ["INVALID_NAME", "consume", "known", "--group", "no name"],
  );
  assert.equal(await raftline.json("group", "list", "--topic", "known"), []);
});

commands("a group that works is not set back nor deleted; a queue is when it is forced", async () => {
  await raftline.topicWith("busy", 4);
  const reader = raftline.client.consumer({ topics: ["busy"], group: "readers" });
  await reader[Symbol.asyncIterator]().next();
  const queue = raftline.client.queue("busy", { group: "workers" });
  const { value: message } = await queue[Symbol.asyncIterator]().next();
  const of = (group: string) => [group, "--topic", "busy"];
  await raftline.fail(
    ["GROUP_ACTIVE", "group", "reset", ...of("readers"), "--to", "latest", "--force"],
    ["GROUP_ACTIVE", "group", "delete", ...of("readers")],
    ["GROUP_ACTIVE", "group", "reset", ...of("workers"), "--to", "latest"],
    ["OFFSET_OUT_OF_RANGE", "group", "reset", ...of("workers"), "--to", "5", "--force"],
    ["UNKNOWN_PARTITION", "group", "reset", ...of("workers"), "--to", "0", "--partition", "1"],
  );
  assert.equal(await raftline.json("group", "reset", ...of("workers"), "--to", "4", "--force"), [
    { partition: 0, offset: 4 },
  ]);
  const late = await message!.ack().then(() => "", ({ code }) => code);
  assert.is(late, "LEASE_EXPIRED");
  await queue.close();
  await reader.close();
  assert.equal(await raftline.json("group", "delete", ...of("readers")), [{ deleted: "readers", topic: "busy" }]);
});

commands("a queue is not read as a log's group, nor the other way round", async () => {
  await raftline.topicWith("kinds", 1);
  await raftline.client.cursors("kinds", "readers").commit([{ partition: 0, offset: 1 }]);
  await raftline.run("consume", "kinds", "--queue", "workers", "--max", "1");
  await raftline.fail(
    ["WRONG_GROUP_KIND", "consume", "kinds", "--queue", "readers"],
    ["WRONG_GROUP_KIND", "consume", "kinds", "--group", "workers"],
  );
});

commands.run();

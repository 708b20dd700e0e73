import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommandLine, runCommand } from "./command-line.ts";

const commands = suite("topics on the command line: every command, and what goes wrong");

let raftline: CommandLine;

commands.before(async () => {
  raftline = await CommandLine.start(3);
});

commands.after(() => raftline[Symbol.asyncDispose]());

const described = async (name: string) => {
  return (await raftline.json("topic", "describe", name)) as unknown as Record<string, unknown>;
};

commands("names that look like numbers stay what they are", async () => {
  for (const name of ["007", "1e3"]) {
    await raftline.topicWith(name, 1);
    assert.is((await described(name))["name"], name);
    const taken = await raftline.run("consume", name, "--group", name, "--from", "earliest", "--max", "1");
    assert.equal([taken.code, taken.out], [0, "0\n"], taken.err);
    const [row] = await raftline.json("group", "describe", name, "--topic", name);
    assert.equal([row!.group, row!.topic], [name, name]);
  }
});

commands("what is no number where one is wanted is refused, and the option named", async () => {
  const lines = [
    ["--partitions", "topic", "create", "t", "--partitions", "abc"],
    ["--retention-ms", "topic", "alter", "t", "--retention-ms", "5.5"],
    ["--nodes", "topic", "move", "t", "--partition", "0", "--nodes", "1,b"],
    ["--from", "consume", "t", "--from", "0x10"],
    ["--first-port", "dev", "--first-port", "65500"],
    ["--bootstrap", "topic", "list", "--bootstrap", "a:1", "--bootstrap", "b:1"],
    ["--json", "--json", "topic", "list"],
    ["--bootstrap", "topic", "list", "--bootstrap", "21001"],
    ["--config", "node", "--config", "a", "--config", "b"],
    ["--client-port", "node", "--client-port", "x"],
  ];
  const ended = await Promise.all(lines.map(([, ...line]) => runCommand([...line, "--json"])));
  for (const [i, [flag, ...line]] of lines.entries()) {
    const { code, out, err } = ended[i]!;
    assert.is(code, 2, line.join(" "));
    const { error } = JSON.parse(out);
    assert.is(error.code, "USAGE");
    assert.match(error.message, flag!);
    assert.is(err, "", "no stack");
  }
});

commands("a flag that an action would pass over is refused, and a change that changes nothing", async () => {
  await raftline.topicWith("flags", 0);
  await raftline.fail(
    ["USAGE", "topic", "frobnicate", "flags"],
    ["USAGE", "topic", "alter", "flags"],
    ["USAGE", "topic", "alter", "flags", "--replicas", "1"],
    ["USAGE", "topic", "list", "--partition", "5"],
    ["USAGE", "topic", "list", "flags"],
    ["USAGE", "topic", "delete", "flags", "--force"],
    ["USAGE", "group", "list", "--force"],
    ["USAGE", "group", "describe", "g", "--to", "latest"],
    ["USAGE", "consume", "flags", "--queue", "q", "--until-end"],
  );
});

commands("retention is given and taken back, and so is the size of records; partitions are added", async () => {
  const given = ["--retention-ms", "1000", "--retention-bytes", "5000", "--retention-consumed"];
  await raftline.json("topic", "create", "kept", ...given, "--record-bytes-max", "2000");
  const { retention, recordBytesMax } = await described("kept");
  assert.equal([retention, recordBytesMax], [{ ms: 1000, bytes: 5000, consumed: true }, 2000]);
  const none = ["--retention-ms", "none", "--no-retention-consumed"];
  await raftline.json("topic", "alter", "kept", ...none, "--record-bytes-max", "3000");
  const changed = await described("kept");
  assert.equal(changed["retention"], { ms: null, bytes: 5000, consumed: false });
  assert.is(changed["recordBytesMax"], 3000);
  const { length } = changed["partitions"] as unknown[];
  await raftline.json("topic", "alter", "kept", "--partitions", String(length + 2));
  assert.is(((await described("kept"))["partitions"] as unknown[]).length, length + 2);
  await raftline.fail(["INVALID_REQUEST", "topic", "alter", "kept", "--partitions", String(length)]);
});

commands("a move that leaves fewer replicas wants to be forced", async () => {
  await raftline.topicWith("thin", 0);
  const move = ["topic", "move", "thin", "--partition", "0", "--nodes"];
  await raftline.fail(["USAGE", ...move, "2"]);
  await raftline.json(...move, "3,1,2");
  await raftline.json(...move, "2", "--force");
  await raftline.fail(["UNKNOWN_TOPIC", "topic", "move", "nowhere", "--partition", "0", "--nodes", "2"]);
});

commands("what is published before a line is no record is told", async () => {
  await raftline.topicWith("half", 0);
  const file = `${os.tmpdir()}/raftline-test-${process.pid}.jsonl`;
  fs.writeFileSync(file, `${'{"id":1}\n'.repeat(10_000)}{"no":1}\n`);
  const produce = ["produce", "half", "--file", file, "--key-field", "id"];
  const { code, out } = await raftline.run(...produce, "--json");
  const { error } = JSON.parse(out);
  assert.equal([code, error.code, error.published], [2, "USAGE", 10_000]);
  assert.match((await raftline.run(...produce)).err, /^USAGE: at least 10000 records published, then: no field "id"/);
  fs.rmSync(file);
});

commands("a command that fails is not kept by what it was given to read", async () => {
  const nowhere = await raftline.run("produce", "nowhere");
  assert.equal([nowhere.code, nowhere.out], [1, ""]);
  assert.match(nowhere.err, "UNKNOWN_TOPIC");
  await raftline.topicWith("read", 0);
  await raftline.fail(
    ["USAGE", "produce", "read", "--file", "/tmp"],
    ["USAGE", "produce", "read", "--file", "/nowhere"],
  );
});

commands.run();

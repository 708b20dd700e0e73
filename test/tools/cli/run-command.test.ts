import { cac } from "cac";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../../../tools/cli/errors.ts";
import { runCommand } from "../../../tools/cli/run-command.ts";

const run = suite("a command's arguments");

/** What the command's action is given. */
async function read(...words: string[]): Promise<unknown[]> {
  let given: unknown[] = [];
  const command = cac("raftline").command("topic <action> [name]")
    .option("--group <name>", "")
    .option("--dead-letter <topic>", "")
    .option("--first-port <port>", "", { default: "7401" })
    .option("--consumed", "")
    .action((...args: unknown[]) => {
      given = args;
    });
  await runCommand(command, words);
  return given;
}

async function refused(...words: string[]): Promise<string> {
  try {
    await read(...words);
    return "";
  } catch (error) {
    assert.instance(error, UsageError, words.join(" "));
    return (error as UsageError).message;
  }
}

run("options and arguments are texts as they were typed", async () => {
  const port = { firstPort: "7401" };
  for (const text of ["007", "1e3", "0x10", "1.50", "true", "a=b", " ", "Infinity"]) {
    assert.equal(await read("create", text, "--group", text), ["create", text, { ...port, group: text }]);
    assert.equal(await read("create", text, `--dead-letter=${text}`), ["create", text, { ...port, deadLetter: text }]);
  }
  assert.equal(await read("list"), ["list", undefined, port]);
  assert.equal(await read("list", "--consumed", "x", "--first-port", "1"), [
    "list",
    "x",
    { consumed: true, firstPort: "1" },
  ]);
  assert.equal(await read("list", "--no-consumed"), ["list", undefined, { ...port, consumed: false }]);
  assert.equal(await read("create", "--", "--group"), ["create", "--group", port]);
});

run("an option that is twice there, or without its value, is refused by name", async () => {
  assert.match(await refused("list", "--group", "a", "--group", "b"), "--group");
  assert.match(await refused("list", "--group", "a", "--group=a"), "--group");
  assert.match(await refused("list", "--consumed", "--consumed"), "--consumed");
  assert.match(await refused("list", "--group"), "--group");
  assert.match(await refused("list", "--group", ""), "--group");
  assert.match(await refused("list", "--group="), "--group");
  assert.match(await refused("list", "--group", "--consumed"), "--group");
  assert.match(await refused("list", "--consumed=yes"), "--consumed");
});

run("what is not known, too much or missing is refused", async () => {
  assert.match(await refused("list", "--nonsense"), "--nonsense");
  assert.match(await refused("list", "-x"), "-x");
  assert.match(await refused("list", "a", "b"), '"b"');
  assert.match(await refused(), "<action>");
  assert.match(await refused("list", "--__proto__", "x"), "--__proto__");
});

run.run();

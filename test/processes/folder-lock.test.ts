import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { commandOf, configure, start, type Started } from "./one-node.ts";

const locked = suite("a data folder, between processes that do not see one another");

const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
const UNSHARE = ["unshare", "-p", "-f", "--kill-child", "--mount-proc"];
const hasNamespaces = spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), "true"]).status === 0;
let started: Started[] = [];

locked.after.each(async () => {
  await Promise.all(started.map((each) => each.kill()));
  started = [];
});

locked.after(() => fs.rmSync(folder, { recursive: true }));

function run(command: readonly string[]): Started {
  const one = start(command);
  started.push(one);
  return one;
}

/** It serves, or it is refused. */
async function outcomeOf(node: Started): Promise<string> {
  return (await node.said(/admin|LOCKED/))[0];
}

// Where the system gives no namespaces to who runs the tests there is nothing to see.
if (hasNamespaces) {
  locked(
    "a node in another container, where it has the same process id, is refused; after kill -9 it is not",
    async () => {
      const command = [...UNSHARE, ...commandOf(configure(folder, "containers"))];
      const first = run(command);
      assert.is(await outcomeOf(first), "admin");
      assert.is(await outcomeOf(run(command)), "LOCKED");
      // The namespace's first process, the node, is killed with the one that made it.
      await first.kill();
      assert.is(await outcomeOf(run(command)), "admin");
    },
  );
}

locked("a node that was killed and that its parent does not look after holds nothing", async () => {
  const command = commandOf(configure(folder, "zombie"));
  // `sleep` takes the place of the shell, and waits for no child.
  const parent = run(["sh", "-c", `"$@" & echo "child $!"; exec sleep 60`, "sh", ...command]);
  const child = Number((await parent.said(/child (\d+)/))[1]);
  assert.is(await outcomeOf(parent), "admin");
  process.kill(child, "SIGKILL");
  while (!/\) Z /.test(fs.readFileSync(`/proc/${child}/stat`, "utf8"))) await delay(5);
  assert.is(await outcomeOf(run(command)), "admin");
});

locked.run();

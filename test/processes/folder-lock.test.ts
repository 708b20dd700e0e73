import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { programPath } from "../../tools/processes/self.ts";

const locked = suite("a data folder, between processes that do not see one another");

const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
const started: ChildProcess[] = [];
const UNSHARE = ["unshare", "-p", "-f", "--kill-child", "--mount-proc"];

locked.after(() => {
  for (const { pid } of started) if (pid !== undefined && isThere(pid)) process.kill(pid, "SIGKILL");
  fs.rmSync(folder, { recursive: true });
});

const hasNamespaces = spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), "true"]).status === 0;

if (hasNamespaces) {
  locked(
    "a node in another container, where it has the same process id, is refused; after kill -9 it is not",
    async () => {
      const config = configure("containers");
      const first = start([...UNSHARE, ...command(config)]);
      assert.is(await first.said(/admin|LOCKED/), "admin");
      const second = start([...UNSHARE, ...command(config)]);
      assert.is(await second.said(/admin|LOCKED/), "LOCKED");
      // What runs the namespace: its first process, the node, is killed with it.
      process.kill(first.pid, "SIGKILL");
      await first.gone;
      const third = start([...UNSHARE, ...command(config)]);
      assert.is(await third.said(/admin|LOCKED/), "admin");
      process.kill(third.pid, "SIGKILL");
      await third.gone;
    },
  );
}

locked("a node that was killed and that its parent does not look after holds nothing", async () => {
  const config = configure("zombie");
  // `sleep` takes the place of the shell, and waits for no child.
  const line = command(config).map((word) => `'${word}'`).join(" ");
  const parent = start(["sh", "-c", `${line} & echo "child $!"; exec sleep 60`]);
  const child = Number((await parent.said(/child \d+/)).split(" ")[1]);
  assert.is(await parent.said(/admin|LOCKED/), "admin");
  process.kill(child, "SIGKILL");
  while (fs.existsSync(`/proc/${child}/stat`) && !/\) Z /.test(fs.readFileSync(`/proc/${child}/stat`, "utf8"))) {
    await delay(5);
  }
  const next = start(command(config));
  assert.is(await next.said(/admin|LOCKED/), "admin");
  process.kill(next.pid, "SIGKILL");
  process.kill(parent.pid, "SIGKILL");
  await Promise.all([next.gone, parent.gone]);
});

function configure(name: string): string {
  const path = `${folder}/${name}.yaml`;
  const nodes = "nodes: [{ id: 1, host: 127.0.0.1, port: 0 }]";
  fs.writeFileSync(
    path,
    `nodeId: 1\nclientPort: 0\nadminPort: 0\npeerPort: 0\n${nodes}\ndataFolder: ${folder}/${name}\n`,
  );
  return path;
}

function command(config: string): string[] {
  const prefix = "Deno" in globalThis ? ["run", "-A"] : process.execArgv.filter((arg) => arg !== "--expose-gc");
  return [process.execPath, ...prefix, programPath("cli/main"), "node", "--config", config];
}

interface Started {
  readonly pid: number;
  readonly gone: Promise<void>;
  /** The first match in what it prints. */
  said(pattern: RegExp): Promise<string>;
}

function start([program, ...args]: readonly string[]): Started {
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => text += chunk);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pid: child.pid!,
    gone,
    async said(pattern) {
      for (const deadline = performance.now() + 20_000; performance.now() < deadline; await delay(10)) {
        const found = pattern.exec(text);
        if (found) return found[0];
      }
      throw new Error(`nothing like ${pattern} in: ${text}`);
    },
  };
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

locked.run();

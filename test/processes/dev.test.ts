import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../mod.ts";
import { spawnProgram } from "../../tools/processes/self.ts";

const dev = suite("raftline dev");

const FIRST_PORT = 27_401;

/** Starts it, resolves with its one JSON line. */
function start(folder: string): Promise<{ child: ChildProcess; bootstrap: string[]; admin: string[] }> {
  const child = spawnProgram("cli/main", ["dev", "--data", folder, "--first-port", String(FIRST_PORT), "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout!.on("data", (chunk) => {
      said += chunk;
      if (said.includes("\n")) resolve({ child, ...JSON.parse(said) });
    });
    child.once("exit", (code) => reject(new Error(`dev ended with code ${code}`)));
  });
}

function interrupt(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code));
    process.kill(child.pid!, "SIGINT");
  });
}

dev("starts three nodes, keeps its data, and Ctrl-C stops everything", async () => {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
  for (let round = 0; round < 2; round++) {
    const { child, bootstrap, admin } = await start(folder);
    assert.is(bootstrap.length, 3);
    const ready = await fetch(`${admin[0]}/v1/ready`);
    assert.is(ready.status, 200);
    await ready.arrayBuffer();
    const client = await connect(bootstrap);
    if (round === 0) await client.admin.createTopic("kept", { partitions: 3 });
    const producer = client.producer();
    await producer.sendAll("kept", Array.from({ length: 500 }, (_, i) => ({ key: `${i}`, value: `${round}` })));
    let count = 0;
    for await (const _ of client.consumer({ topics: ["kept"], from: "earliest", until: "end" })) count += 1;
    assert.is(count, (round + 1) * 500);
    await client.close();
    assert.is(await interrupt(child), 0);
    await assertGone(admin);
  }
  fs.rmSync(folder, { recursive: true });
});

async function assertGone(admin: readonly string[]): Promise<void> {
  for (const url of admin) {
    const answered = await fetch(`${url}/v1/health`).then(() => true, () => false);
    assert.not.ok(answered, `${url} still answers`);
  }
}

dev.run();

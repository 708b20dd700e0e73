import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../mod.ts";
import { spawnProgram } from "../../tools/processes/self.ts";
import { runCommand } from "./command-line.ts";

const dev = suite("raftline dev");

const FIRST_PORT = 27_401;
/** A third of the time that a start may take. */
const SOON_MS = 20_000;

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

dev("a port in use ends it soon, whoever answers there, and who else had started is stopped", async () => {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
  for (const offset of [1, 202]) {
    const server = http.createServer((_, response) => response.end("{}")).listen(FIRST_PORT + offset, "127.0.0.1");
    await once(server, "listening");
    const startedMs = performance.now();
    const { code, out } = await runCommand(["dev", "--data", folder, "--first-port", `${FIRST_PORT}`, "--json"]);
    assert.ok(performance.now() - startedMs < SOON_MS, `${performance.now() - startedMs} ms`);
    const { error } = JSON.parse(out);
    assert.equal([code, error.code], [1, "ADDRESS_IN_USE"]);
    assert.match(error.message, `${FIRST_PORT + offset}`);
    server.close();
    await once(server, "close");
    await assertGone([200, 201, 202].map((above) => `http://127.0.0.1:${FIRST_PORT + above}`));
  }
  fs.rmSync(folder, { recursive: true });
});

dev("Ctrl-C ends it while it starts, too", async () => {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
  const child = spawnProgram("cli/main", ["dev", "--data", folder, "--first-port", `${FIRST_PORT}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(child.stdout!, "data");
  assert.match(`${said}`, "starting 3 nodes");
  assert.is(await interrupt(child), 0);
  fs.rmSync(folder, { recursive: true });
});

async function assertGone(admin: readonly string[]): Promise<void> {
  for (const url of admin) {
    const answered = await fetch(`${url}/v1/health`).then(() => true, () => false);
    assert.not.ok(answered, `${url} still answers`);
  }
}

dev.run();

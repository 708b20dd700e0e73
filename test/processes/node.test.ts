import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NodeProcesses } from "../../tools/processes/node-processes.ts";
import { programPath, spawnProgram } from "../../tools/processes/self.ts";

const node = suite("a node's process");

const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);

node.after(() => fs.rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; error: { code: string; message: string } } {
  const prefix = "Deno" in globalThis ? ["run", "-A"] : process.execArgv.filter((arg) => arg !== "--expose-gc");
  const { status, stdout } = spawnSync(process.execPath, [...prefix, programPath("cli/main"), ...args, "--json"], {
    timeout: 30_000,
  });
  return { status, ...JSON.parse(stdout.toString().trim().split("\n").at(-1)!) };
}

function config(name: string, text: string): string {
  const path = `${folder}/${name}.yaml`;
  fs.writeFileSync(path, `nodeId: 1\nnodes: [{ id: 1, host: 127.0.0.1, port: 0 }]\n${text}`);
  return path;
}

node("a configuration with an unknown field ends it, and the message names the field", () => {
  const { status, error } = run("node", "--config", config("unknown", `dataFolder: ${folder}/a\nclientPrt: 5`));
  assert.is(status, 1);
  assert.is(error.code, "INVALID_CONFIG");
  assert.match(error.message, "clientPrt");
  for (const args of [["--config", `${folder}/nowhere.yaml`], []]) {
    const { error } = run("node", ...args);
    assert.is(error.code, "INVALID_CONFIG");
    assert.match(error.message, "--config");
  }
});

node("a port in use ends it, and the message names the port", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const { port } = server.address() as net.AddressInfo;
  const { status, error } = run("node", "--config", config("port", `dataFolder: ${folder}/b\nclientPort: ${port}`));
  server.close();
  assert.is(status, 1);
  assert.is(error.code, "ADDRESS_IN_USE");
  assert.match(error.message, String(port));
});

node(
  "a second process on the same folder is refused; the first goes on; after kill -9 the folder is free",
  async () => {
    const processes = await NodeProcesses.start({ folder: `${folder}/one`, nodes: 1, logLevel: "error" });
    const data = processes.dataFolder(1);
    const { status, error } = run("node", "--config", config("second", `dataFolder: ${data}`));
    assert.equal([status, error.code], [1, "LOCKED"]);
    await processes.whenReady(1);
    await processes.kill(1);
    await processes.restart(1);
    await processes.stop();
    const foreign = run("node", "--config", config("foreign", `dataFolder: ${data}\nclusterId: other`));
    assert.equal([foreign.status, foreign.error.code], [1, "FOREIGN_DATA_FOLDER"]);
  },
);

node("a failure ends it though its standard input goes on", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const file = config("taken", `dataFolder: ${folder}/c\nclientPort: ${port}`);
  const child = spawnProgram("cli/main", ["node", "--config", file, "--with-parent"], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  assert.equal(await once(child, "exit"), [1, null]);
  server.close();
});

node("its log says that it serves only if it does, and which variables it does not know", async () => {
  const alone = `${folder}/alone.yaml`;
  const nodes = "nodes: [{ id: 1, host: 127.0.0.1, port: 0 }, { id: 2, host: 127.0.0.1, port: 1 }]";
  fs.writeFileSync(alone, `nodeId: 1\ndataFolder: ${folder}/d\nlogLevel: info\n${nodes}`);
  const child = spawnProgram("cli/main", ["node", "--config", alone, "--with-parent"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, RAFTLINE_LOGLEVEL: "debug" },
  });
  let log = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => log += text);
  await once(child.stdout!, "data");
  child.stdin!.end();
  await once(child, "close");
  assert.match(log, "stopping");
  assert.not.match(log, "serving");
  assert.match(log, 'names=["RAFTLINE_LOGLEVEL"]');
});

node("the command line itself being wrong is exit code 2", () => {
  assert.equal([run("nothing").status, run("nothing").error.code], [2, "USAGE"]);
  assert.equal([run("topic", "frobnicate").status, run("topic", "create").status], [2, 2]);
});

node.run();

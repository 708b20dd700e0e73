/** The README is true: its commands exist, its example runs, its configuration loads. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, loadConfig, startCluster } from "../../mod.ts";
import { programPath } from "../../tools/processes/self.ts";

const readme = suite("README.md");
const root = fileURLToPath(new URL("../..", import.meta.url));
const text = fs.readFileSync(`${root}README.md`, "utf8");

readme("every npm script and deno task it names is there", () => {
  const { scripts } = JSON.parse(fs.readFileSync(`${root}package.json`, "utf8"));
  const { tasks } = JSON.parse(fs.readFileSync(`${root}deno.json`, "utf8"));
  const named = [...text.matchAll(/npm run (?:-s )?([\w-]+)/g)].map(([, name]) => name!);
  for (const name of [...named, "start", "test"]) assert.ok(scripts[name], `npm script ${name}`);
  for (const [, name] of text.matchAll(/deno task ([\w-]+)/g)) assert.ok(tasks[name!], `deno task ${name}`);
});

readme("the installed command runs Node with what the npm script gives it", () => {
  const { scripts } = JSON.parse(fs.readFileSync(`${root}package.json`, "utf8"));
  const [, settings] = /exec env (.*) dist\/tools\/cli\/main\.js$/.exec(scripts.raftline)!;
  const [firstLine] = fs.readFileSync(`${root}tools/cli/main.ts`, "utf8").split("\n");
  assert.is(firstLine, `#!/usr/bin/env -S ${settings}`);
  const spawned = fs.readFileSync(`${root}tools/processes/self.ts`, "utf8");
  for (const flag of settings!.matchAll(/--[\w-]+=\d+/g)) assert.ok(spawned.includes(`"${flag}"`), `${flag}`);
});

readme("every folder it names is there", () => {
  for (const [folder] of text.matchAll(/\b(?:src|tools)\/[\w/.]*\w\b/g)) {
    assert.ok(fs.existsSync(`${root}${folder}`), folder);
  }
});

readme("its configuration loads", () => {
  const [node, joining, credentials, tls] = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml]) => yaml!);
  assert.is(loadConfig({ yaml: node! }).nodeId, 1);
  assert.is(loadConfig({ yaml: `${joining}\n${node!.slice(node!.indexOf("nodes:"))}` }).join, true);
  assert.is(loadConfig({ yaml: `${node}\n${credentials}` }).credentials?.length, 2);
  assert.is(loadConfig({ yaml: `${node}\n${tls}` }).tls?.clientCertificates, true);
});

readme("its example does what it says", async () => {
  const example = /```ts\n([\s\S]*?)```/.exec(text)![1]!;
  for (
    const piece of [
      "startCluster({ nodes: 3 })",
      'createTopic("orders", { partitions: 16 })',
      '{ key: "42", value: "paid" }',
    ]
  ) {
    assert.ok(example.includes(piece), "this test follows the example");
  }
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 16 });
  const { partition, offset } = await client.producer().send("orders", { key: "42", value: "paid" });
  for await (const record of client.consumer({ topics: ["orders"], from: "earliest" })) {
    assert.equal([record.partition, record.offset, record.text()], [partition, offset, "paid"]);
    break;
  }
});

readme("every command has --help with an example and --json", () => {
  const isDeno = "Deno" in globalThis;
  const prefix = isDeno ? ["run", "-A"] : process.execArgv.filter((arg) => arg !== "--expose-gc");
  const help = (...args: string[]) =>
    spawnSync(process.execPath, [...prefix, programPath("cli/main"), ...args, "--help"]);
  for (const command of ["dev", "node", "demo", "topic", "produce", "consume"]) {
    const { stdout, status } = help(command);
    assert.is(status, 0);
    assert.match(stdout.toString(), `raftline ${command}`);
    assert.match(stdout.toString(), "Examples:");
    assert.match(stdout.toString(), "--json");
  }
});

readme.run();

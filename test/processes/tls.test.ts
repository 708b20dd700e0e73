import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import readline from "node:readline";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stringify } from "yaml";
import { spawnProgram } from "../../tools/processes/self.ts";
import { pathOf } from "../certificates/read.ts";
import { runCommand } from "./command-line.ts";

const tls = suite("a node's process under TLS, and the command line");

const SECRET = "a secret of sixteen or more";
const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
let node: ChildProcess;
let bootstrap = "";

function configFile(name: string, tlsFiles: Record<string, unknown>): string {
  const path = `${folder}/${name}.yaml`;
  const config = {
    nodeId: 1,
    dataFolder: `${folder}/${name}`,
    nodes: [{ id: 1, host: "127.0.0.1", port: 0 }],
    credentials: [{ name: "clerk", secret: SECRET }],
    tls: tlsFiles,
    logLevel: "error",
  };
  fs.writeFileSync(path, stringify(config));
  return path;
}

const FILES = {
  certificateFile: pathOf("node.pem"),
  keyFile: pathOf("node.key"),
  authorityFile: pathOf("authority.pem"),
  clientCertificates: true,
};
const SHOWN = ["--tls-certificate", pathOf("client.pem"), "--tls-key", pathOf("client.key")];
const TRUSTED = [...SHOWN, "--tls-authority", pathOf("authority.pem")];

tls.before(async () => {
  const args = ["node", "--config", configFile("node", FILES), "--with-parent", "--json"];
  node = spawnProgram("cli/main", args, { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(readline.createInterface({ input: node.stdout! }), "line") as [string];
  const { host, port } = JSON.parse(line).client;
  bootstrap = `${host}:${port}`;
});

tls.after(async () => {
  const ended = once(node, "close");
  node.stdin!.end();
  await ended;
  fs.rmSync(folder, { recursive: true });
});

/** Exit code, and the JSON document that was printed. */
type Answer = readonly [number | null, Record<string, unknown>];

async function run(secret: string | undefined, ...args: string[]): Promise<Answer> {
  const { RAFTLINE_SECRET: _, ...rest } = process.env;
  const env = secret === undefined ? rest : { ...rest, RAFTLINE_SECRET: secret };
  const { code, out } = await runCommand([...args, "--json"], env);
  return [code, JSON.parse(out)];
}

const codeOf = ([, printed]: Answer) => (printed["error"] as { code: string }).code;

tls("who has a certificate and a secret is served", async () => {
  const at = ["--bootstrap", bootstrap, "--user", "clerk", ...TRUSTED];
  const [code, topic] = await run(SECRET, "topic", "create", "orders", "--partitions", "1", ...at);
  assert.equal([code, topic["name"]], [0, "orders"]);
});

tls("who has not is told why", async () => {
  const at = ["topic", "list", "--bootstrap", bootstrap];
  const [wrong, stranger, unproven, nobody, half, nowhere] = await Promise.all([
    run("another secret, also long", ...at, "--user", "clerk", ...TRUSTED),
    run(SECRET, ...at, "--user", "clerk", ...SHOWN, "--tls-authority", pathOf("stranger.pem")),
    run(SECRET, ...at, "--user", "clerk", "--tls-authority", FILES.authorityFile),
    run(undefined, ...at, "--user", "clerk", ...TRUSTED),
    run(SECRET, ...at, "--user", "clerk", "--tls-key", pathOf("client.key")),
    run(SECRET, ...at, "--user", "clerk", "--tls-authority", pathOf("nowhere.pem")),
  ]);
  assert.equal([wrong, stranger].map(codeOf), ["NOT_AUTHORIZED", "UNTRUSTED"]);
  // The node's refusal, or that it closed the connection, whichever is heard first.
  assert.ok(["UNTRUSTED", "UNAVAILABLE"].includes(codeOf(unproven)), codeOf(unproven));
  assert.equal([nobody, half, nowhere].map(codeOf), ["USAGE", "USAGE", "USAGE"]);
});

tls("files that do not belong together end it, and the message names the field", async () => {
  const cases = {
    "tls.keyFile": { ...FILES, keyFile: pathOf("nowhere.key") },
    "tls:": { ...FILES, keyFile: pathOf("client.key") },
    "tls.authorityFile": { certificateFile: FILES.certificateFile, keyFile: FILES.keyFile },
  };
  await Promise.all(
    Object.entries(cases).map(async ([field, files], i) => {
      const [code, { error }] = await run(undefined, "node", "--config", configFile(`wrong-${i}`, files));
      const { code: name, message } = error as { code: string; message: string };
      assert.equal([code, name], [1, "INVALID_CONFIG"], field);
      assert.ok(message.startsWith(field), message);
    }),
  );
});

tls.run();

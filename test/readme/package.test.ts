/** The package as it would be published: its types hold, and the README's example runs with it. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { temporaryFolder } from "../../tools/processes/temporary-folder.ts";

const published = suite("the published package");
const root = fileURLToPath(new URL("../..", import.meta.url));

const TSCONFIG = {
  compilerOptions: { target: "es2022", module: "nodenext", strict: true, lib: ["esnext", "dom"], types: [] },
  files: ["example.mts"],
};

function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  assert.is(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** A project that has the package, and of all others only those that it asks for. */
function installInto(folder: string): void {
  const modules = `${folder}/node_modules`;
  fs.mkdirSync(`${modules}/raftline`, { recursive: true });
  run(root, "node", "tools/build.mjs");
  const [{ filename }] = JSON.parse(run(root, "npm", "pack", "--json", "--pack-destination", folder));
  run(folder, "tar", "-xzf", filename, "-C", `${modules}/raftline`, "--strip-components", "1");
  const { dependencies } = JSON.parse(fs.readFileSync(`${modules}/raftline/package.json`, "utf8"));
  for (const name of Object.keys(dependencies)) {
    fs.mkdirSync(dirname(`${modules}/${name}`), { recursive: true });
    fs.symlinkSync(`${root}node_modules/${name}`, `${modules}/${name}`);
  }
}

published("has types that hold, and runs the README's example", () => {
  const folder = temporaryFolder("raftline-package-");
  installInto(folder);
  const readme = fs.readFileSync(`${root}README.md`, "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  // A consumer goes on for ever: it ends here after its first record.
  const ending = example.replace(/\}\s*$/, "  break;\n}\n");
  fs.writeFileSync(`${folder}/example.mts`, ending);
  fs.writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(TSCONFIG));
  run(folder, "node", `${root}node_modules/typescript/bin/tsc`, "-p", ".");
  assert.match(run(folder, "node", "example.mjs"), /^0 paid$/m);
  assert.match(run(folder, "node", "node_modules/raftline/dist/tools/cli/main.js", "--help"), "raftline <command>");
});

published.run();

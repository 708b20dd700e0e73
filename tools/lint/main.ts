/** `npm run lint`: layers, seams, house rules, then `deno lint` and `deno fmt --check`. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { foldersWithoutReadme, houseProblems } from "./house.ts";
import { layerProblems } from "./layers.ts";
import { seamProblems } from "./seams.ts";

const HELP = `npm run lint [-- --json]   layers, seams, house rules, deno lint, deno fmt --check

  npm run lint -- --json   the last line is {"problems":[…]}`;

const root = fileURLToPath(new URL("../..", import.meta.url));

function trackedFiles(): string[] {
  const listed = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root });
  // Also what is tracked and deleted is listed.
  return listed.stdout.toString().trim().split("\n").filter((path) => existsSync(`${root}${path}`));
}

function sourceProblems(): string[] {
  const paths = trackedFiles();
  const problems = foldersWithoutReadme(paths);
  for (const path of paths.filter((name) => name.endsWith(".ts"))) {
    const file = { path, text: readFileSync(`${root}${path}`, "utf8") };
    problems.push(...layerProblems(file), ...seamProblems(file), ...houseProblems(file));
  }
  return problems;
}

/** Deno's own checks; deno is a development dependency, so that it is there without being installed by hand. */
function denoProblems(...args: string[]): string[] {
  const result = spawnSync("npx", ["deno", ...args], { cwd: root, env: { ...process.env, NO_COLOR: "1" } });
  if (result.status === 0) return [];
  return [`deno ${args.join(" ")}:\n${result.stdout}${result.stderr}`];
}

const args = process.argv.slice(2);
if (args.includes("--help")) {
  console.log(HELP);
} else {
  const problems = [...sourceProblems(), ...denoProblems("lint"), ...denoProblems("fmt", "--check")];
  for (const problem of problems) console.log(problem);
  if (args.includes("--json")) console.log(JSON.stringify({ problems }));
  else console.log(problems.length === 0 ? "lint: clean" : `lint: ${problems.length} problems`);
  process.exit(problems.length === 0 ? 0 : 1);
}

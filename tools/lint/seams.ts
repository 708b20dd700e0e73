/** Only src/runtime (and tools, tests) may touch clocks, randomness, timers, disk, network or the process. */
import { importsOf, type SourceFile } from "./layers.ts";

const BUILTINS_ALLOWED = new Set(["node:zlib", "node:buffer", "node:util", "node:crypto"]);

const GLOBALS: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\s*\)/, "the clock"],
  [/\bperformance\.now\b/, "the clock"],
  [/\bMath\.random\b|\b(getRandomValues|randomUUID|randomBytes|randomInt)\b/, "randomness"],
  [/(?<![.\w])(setTimeout|setInterval|setImmediate|queueMicrotask)\(/, "timers"],
  [/(?<![.\w"'`])process\.\w+/, "the process"],
  [/(?<![.\w])fetch\(/, "the network"],
  [/\bDeno\.\w+/, "the runtime"],
];

const ABOVE_SEAMS = /^(src\/(?!runtime\/)|shards\/)/;

export function seamProblems({ path, text }: SourceFile): string[] {
  if (!ABOVE_SEAMS.test(path)) return [];
  const problems = importsOf(text)
    .filter((target) => target.startsWith("node:") && !BUILTINS_ALLOWED.has(target))
    .map((target) => `${path}: imports ${target}; only src/runtime may`);
  const code = withoutComments(text);
  for (const [pattern, what] of GLOBALS) {
    const match = pattern.exec(code);
    if (match) problems.push(`${path}: touches ${what} (${match[0]}); it is handed a Runtime for that`);
  }
  return problems;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

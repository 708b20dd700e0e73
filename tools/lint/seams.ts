/**
 * Only src/runtime (and tools, tests) may touch clocks, randomness, timers, disk, network or the process; and nothing
 * loads native code.
 */
import { importsOf, type SourceFile } from "./layers.ts";

const BUILTINS_ALLOWED = new Set(["node:zlib", "node:buffer", "node:util", "node:crypto"]);

/** Packages that load native code where they find it, and how they are imported without. */
const NATIVE = new Map([["cbor-x", "cbor-x/encode and cbor-x/decode"]]);

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
  const targets = importsOf(text);
  const problems = targets
    .filter((target) => NATIVE.has(target))
    .map((target) => `${path}: imports ${target}, which loads native code; ${NATIVE.get(target)} do not`);
  if (!ABOVE_SEAMS.test(path)) return problems;
  const builtins = targets.filter((target) => target.startsWith("node:") && !BUILTINS_ALLOWED.has(target));
  problems.push(...builtins.map((target) => `${path}: imports ${target}; only src/runtime may`));
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

/** House rules that a machine can see, on the source itself. */
import type { SourceFile } from "./layers.ts";

const LINES_MAX = 500;

const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\b(TODO|FIXME|XXX)\b/, "something left for later"],
  [/^(?!\s*(?:\/\/|\*|\/\*)).*(:\s*any\b|\bas any\b|<any>)/m, "`any`"],
  [/@ts-(ignore|expect-error|nocheck)/, "a silenced type error"],
  [/^export default\b/m, "a default export"],
];

export function houseProblems({ path, text }: SourceFile): string[] {
  if (path.startsWith("tools/lint/") || path.includes("/fixtures/")) return [];
  const problems = FORBIDDEN
    .filter(([pattern]) => pattern.test(text))
    .map(([, what]) => `${path}: has ${what}`);
  const lines = text.split("\n").length;
  if (lines > LINES_MAX) problems.push(`${path}: ${lines} lines; more than ${LINES_MAX} is more than one idea`);
  return problems;
}

/** Folders with source files and no README.md beside them. */
export function foldersWithoutReadme(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    if (!/^(src|shards|tools|test)\/.*\.ts$/.test(path) || path.includes("/fixtures/")) continue;
    folders.add(path.slice(0, path.lastIndexOf("/")));
  }
  return [...folders].filter((folder) => !paths.includes(`${folder}/README.md`)).map((folder) =>
    `${folder}: no README.md`
  );
}

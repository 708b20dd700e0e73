/** The house's layers, top to bottom: an import may only point down. See the design in README.md. */
export const LAYERS = [
  "test",
  "tools",
  "mod.ts",
  "src/admin",
  "src/node",
  "shards",
  "src/client",
  "src/wire",
  "src/log",
  "src/records",
  "src/raft",
  "src/runtime",
] as const;

/** Layers that must not import certain lower ones either. */
const FORBIDDEN: readonly (readonly [from: string, to: string, why: string])[] = [
  ["src/raft", "src/runtime", "consensus is pure"],
  ["src/client", "src/log", "a client has no disk"],
  ["src/client", "src/raft", "a client takes no part in consensus"],
];

const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g;

export interface SourceFile {
  /** Relative to the top of the repository, with "/". */
  readonly path: string;
  readonly text: string;
}

export function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2]!);
}

export function layerOf(path: string): number {
  return LAYERS.findIndex((layer) => path === layer || path.startsWith(`${layer}/`));
}

/** What is wrong with the imports of one file; empty when all point down. */
export function layerProblems({ path, text }: SourceFile): string[] {
  const from = layerOf(path);
  if (from < 0) return [`${path}: belongs to no layer`];
  const problems: string[] = [];
  for (const target of importsOf(text)) {
    if (!target.startsWith(".")) continue;
    const resolved = new URL(target, `file:///${path}`).pathname.slice(1);
    const to = layerOf(resolved);
    if (to < 0) problems.push(`${path}: imports ${resolved}, which belongs to no layer`);
    else if (to < from) problems.push(`${path}: imports ${resolved}; ${LAYERS[from]} lies below ${LAYERS[to]}`);
    for (const [above, below, why] of FORBIDDEN) {
      if (path.startsWith(`${above}/`) && resolved.startsWith(`${below}/`)) {
        problems.push(`${path}: imports ${resolved}: ${why}`);
      }
    }
  }
  return problems;
}

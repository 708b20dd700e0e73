import fs from "node:fs";
import process from "node:process";
import type { CAC } from "cac";
import Table from "cli-table3";
import { type Examination, examineLog } from "../../../src/log/examine.ts";
import { createNodeRuntime } from "../../../src/runtime/node-runtime.ts";
import { UsageError } from "../errors.ts";

interface LogFlags {
  readonly json?: boolean;
}

export function logCommand(cli: CAC): void {
  cli.command("log <action> <dir>", "inspect: what is in a node's log; verify: whether it is whole, byte by byte")
    .option("--json", "One JSON document")
    .example("raftline log inspect data/node-1")
    .example("raftline log verify data/node-1 --json")
    .action(runLog);
}

/** Verify fails if it has found something; what, it has printed. */
async function runLog(action: string, dir: string, flags: LogFlags): Promise<void> {
  if (action !== "inspect" && action !== "verify") throw new UsageError(`log ${action}: not one of inspect, verify`);
  const { disk } = createNodeRuntime({ logLevel: "error" });
  const data = fs.existsSync(`${dir}/log`) ? dir : undefined;
  // A node that runs goes on writing, and half of a write looks like damage.
  const lock = data === undefined ? undefined : await disk.lock(data);
  try {
    const found = await examineLog(disk, data === undefined ? dir : `${data}/log`);
    const damages = found.findings.filter(({ code }) => code !== "TORN");
    if (flags.json) console.log(JSON.stringify(action === "verify" ? verified(found) : described(found)));
    else console.log(action === "verify" ? verifiedInWords(found) : inWords(found));
    if (action === "verify" && damages.length > 0) process.exitCode = 1;
  } finally {
    await lock?.release();
  }
}

function verified({ files, findings }: Examination): object {
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { files: files.length, bytes, damaged: findings.filter(({ code }) => code !== "TORN").length, findings };
}

function described({ files, groups, findings }: Examination): object {
  return { files, groups: groups.map(describeGroup), findings };
}

function describeGroup(log: Examination["groups"][number]): Record<string, number> {
  const { group, firstIndex, lastIndex, startOffset, hardState, checkpoint, sizeBytes } = log;
  const { term, vote, commit } = hardState;
  return {
    group,
    firstIndex,
    lastIndex,
    startOffset,
    term,
    vote,
    commit,
    checkpoint: checkpoint?.index ?? 0,
    sizeBytes,
  };
}

function verifiedInWords({ files, findings }: Examination): string {
  const blocks = files.reduce((sum, file) => sum + file.blocks, 0);
  const entries = files.reduce((sum, file) => sum + file.entries, 0);
  const lines = findings.map(({ code, file, position, bytes, what, group, lost }) => {
    const whose = group === undefined ? "" : `, entries ${lost?.first} to ${lost?.last} of group ${group}`;
    return `${code} ${file} bytes ${position} to ${position + bytes}: ${what}${whose}`;
  });
  const read = `${files.length} files, ${blocks} blocks, ${entries} entries read`;
  return [...lines, `${read}: ${findings.length === 0 ? "all as it was written" : `${findings.length} findings`}`].join(
    "\n",
  );
}

function inWords(found: Examination): string {
  const { files, groups } = found;
  const tables = [table(files as unknown as Record<string, unknown>[]), table(groups.map(describeGroup))];
  return [...tables.filter((text) => text !== ""), verifiedInWords(found)].join("\n");
}

function table(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const [first] = rows;
  if (!first) return "";
  const made = new Table({ head: Object.keys(first), style: { head: [], border: [] } });
  for (const row of rows) made.push(Object.values(row).map(String));
  return made.toString();
}

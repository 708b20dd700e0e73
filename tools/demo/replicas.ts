/** Whether the replicas of every group are the same, byte for byte, as their disks have them. The nodes must be stopped. */
import { createHash } from "node:crypto";
import { openLog } from "../../src/log/log.ts";
import type { Log } from "../../src/log/types.ts";
import { EntryKind } from "../../src/records/entry.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { FIRST_PARTITION_SHARD } from "../../shards/metadata/state.ts";

const READ_BYTES = 4 * 1024 * 1024;

export interface ReplicaComparison {
  readonly groups: number;
  /** Entries of one replica, all groups together. */
  readonly entries: number;
  /** Groups whose replicas differ, in words. */
  readonly differences: readonly string[];
}

export async function compareReplicas(
  dataFolders: readonly string[],
  onGroup: (done: number, total: number) => void = () => {},
): Promise<ReplicaComparison> {
  const runtime = createNodeRuntime();
  const logs = await Promise.all(dataFolders.map((folder) => openLog(runtime, `${folder}/log`, {})));
  try {
    const groups = [...new Set(logs.flatMap((log) => [...log.groups()].map(({ group }) => group)))]
      .filter((group) => group >= FIRST_PARTITION_SHARD);
    const differences: string[] = [];
    let entries = 0;
    for (const [position, group] of groups.entries()) {
      const lastIndex = Math.min(...logs.map((log) => log.group(group)?.lastIndex ?? 0));
      const digests = await Promise.all(logs.map((log) => digestOf(log, group, lastIndex)));
      entries += digests[0]!.entries;
      const said = digests.map(({ entries: count, hash }, i) => `node ${i + 1}: ${count} entries ${hash.slice(0, 12)}`);
      if (new Set(digests.map(({ hash }) => hash)).size > 1) differences.push(`group ${group}: ${said.join(", ")}`);
      for (const [i, log] of logs.entries()) {
        if (await hasMore(log, group, lastIndex)) differences.push(`group ${group}: node ${i + 1} has more records`);
      }
      onGroup(position + 1, groups.length);
    }
    return { groups: groups.length, entries, differences };
  } finally {
    await Promise.all(logs.map((log) => log.close()));
  }
}

async function digestOf(log: Log, group: number, lastIndex: number): Promise<{ entries: number; hash: string }> {
  const hash = createHash("sha256");
  let entries = 0;
  for (let index = log.group(group)?.firstIndex ?? 1; index <= lastIndex;) {
    const part = await log.read(group, index, lastIndex, READ_BYTES);
    for (const entry of part) hash.update(entry.bytes);
    entries += part.length;
    index = part.at(-1)!.index + 1;
  }
  return { entries, hash: hash.digest("hex") };
}

/** Behind what all have there may be the first entry of a term that was just beginning; nothing else. */
async function hasMore(log: Log, group: number, afterIndex: number): Promise<boolean> {
  const lastIndex = log.group(group)?.lastIndex ?? 0;
  if (lastIndex <= afterIndex) return false;
  const surplus = await log.read(group, afterIndex + 1, lastIndex, READ_BYTES);
  return surplus.some(({ kind }) => kind !== EntryKind.noOp);
}

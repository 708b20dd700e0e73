/** Whether the replicas of every group are the same, byte for byte, as their disks have them. The nodes must be stopped. */
import { createHash } from "node:crypto";
import { openLog } from "../../src/log/log.ts";
import type { Log } from "../../src/log/types.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { METADATA_SHARD } from "../../shards/metadata/state.ts";

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
      .filter((group) => group !== METADATA_SHARD);
    const differences: string[] = [];
    let entries = 0;
    for (const [position, group] of groups.entries()) {
      const digests = await Promise.all(logs.map((log) => digestOf(log, group)));
      entries += digests[0]!.entries;
      const said = digests.map(({ entries: count, hash }, i) => `node ${i + 1}: ${count} entries ${hash.slice(0, 12)}`);
      if (new Set(digests.map(({ hash }) => hash)).size > 1) differences.push(`group ${group}: ${said.join(", ")}`);
      onGroup(position + 1, groups.length);
    }
    return { groups: groups.length, entries, differences };
  } finally {
    await Promise.all(logs.map((log) => log.close()));
  }
}

async function digestOf(log: Log, group: number): Promise<{ entries: number; hash: string }> {
  const hash = createHash("sha256");
  const found = log.group(group);
  let entries = 0;
  for (let index = found?.firstIndex ?? 1; index <= (found?.lastIndex ?? 0);) {
    const part = await log.read(group, index, found!.lastIndex, READ_BYTES);
    for (const entry of part) hash.update(entry.bytes);
    entries += part.length;
    index = part.at(-1)!.index + 1;
  }
  return { entries, hash: hash.digest("hex") };
}

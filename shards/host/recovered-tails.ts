import { type GroupId, type Log, LogError } from "../../src/log/types.ts";
import type { Entry } from "../../src/records/entry.ts";

/**
 * The last entry of every group whose log goes on after its checkpoint: a leader gives offsets from where its log ends,
 * not from where it has applied. Read once, before anything is written.
 */
export async function readTails(log: Log): Promise<Map<GroupId, Entry>> {
  const tails = new Map<GroupId, Entry>();
  await Promise.all([...log.groups()].map(async ({ group, lastIndex, firstIndex, checkpoint, damage }) => {
    if (lastIndex < firstIndex || lastIndex === checkpoint?.index || damage.length > 0) return;
    // The log tells whoever repairs it.
    const [last] = await log.read(group, lastIndex, lastIndex, 1).catch(damaged);
    if (last) tails.set(group, last);
  }));
  return tails;
}

function damaged(error: unknown): Entry[] {
  if (error instanceof LogError && error.code === "CORRUPT") return [];
  throw error;
}

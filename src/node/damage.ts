/** What of a group's log this node's disk has lost, and what is known of it. */
import type { GroupId, GroupLog, Log } from "../log/types.ts";
import { LogError } from "../log/types.ts";

const READ_BYTES = 4 * 1024 * 1024;

/**
 * What is known to be lost of a group's committed entries on this disk, in words; undefined if nothing is. Such a group
 * takes no part here as it is: it must not vote, and others have what it lost.
 */
export function lostOf(group: GroupLog): string | undefined {
  const { damage, checkpoint, hardState, suspect, firstIndex, lastIndex } = group;
  const lost = damage.map(({ first, last }) => `${first}-${last}`);
  // What is cut off at the front was in a checkpoint.
  const checkpointIndex = checkpoint?.index ?? 0;
  if (firstIndex > checkpointIndex + 1) lost.push(`${checkpointIndex + 1}-${firstIndex - 1}`);
  // What a checkpoint covers was applied, and so was in the log: its end has been destroyed.
  if (checkpoint && checkpoint.index > lastIndex) lost.push(`${lastIndex + 1}-${checkpoint.index}`);
  // What was committed was in the log, and of a suspect one the leader says what was.
  else if (hardState.commit > lastIndex && !suspect) lost.push(`${lastIndex + 1}-${hardState.commit}`);
  return lost.length === 0 ? undefined : lost.join(", ");
}

/**
 * Whether a group that this disk knows nothing of may have been here: something was destroyed, and nobody can tell whose
 * it was.
 */
export function mayHaveLostGroups({ report }: Log): boolean {
  return report.damage.some(({ group }) => group === undefined);
}

/** The latest term that this disk knows the group to have been in. */
export function termOf({ hardState, terms, checkpoint }: GroupLog): number {
  return Math.max(hardState.term, terms.at(-1)?.[1] ?? 0, checkpoint?.term ?? 0);
}

/** Whether all that a restart will read of a group is what was written: what is sealed was not looked at when it opened. */
export async function canBeRead(log: Log, { group, firstIndex, lastIndex, checkpoint }: GroupLog): Promise<boolean> {
  try {
    for (let next = Math.max(firstIndex, (checkpoint?.index ?? 0) + 1); next <= lastIndex;) {
      const entries = await log.read(group, next, lastIndex, READ_BYTES);
      next = entries.at(-1)!.index + 1;
    }
    return true;
  } catch (error) {
    if (error instanceof LogError && error.code === "CORRUPT") return false;
    throw error;
  }
}

/** Groups in which something was found that is not what was written, until somebody has taken care of it. */
export class Damages {
  readonly #found = new Map<GroupId, string>();
  readonly #listeners: ((group: GroupId, reason: string) => void)[] = [];

  notice(group: GroupId, reason: string): void {
    this.#found.set(group, reason);
    for (const onFound of this.#listeners) onFound(group, reason);
  }

  /** Hears of what is found from now on; what was found before is in {@link reasonOf}. */
  listen(onFound: (group: GroupId, reason: string) => void): void {
    this.#listeners.push(onFound);
  }

  reasonOf(group: GroupId): string | undefined {
    return this.#found.get(group);
  }

  forget(group: GroupId): void {
    this.#found.delete(group);
  }
}

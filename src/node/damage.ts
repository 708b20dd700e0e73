import type { GroupLog, Log } from "../log/types.ts";

/**
 * What is known to be lost of a group's committed entries on this disk, in words; undefined if nothing is. Such a group
 * takes no part here: it must not vote, and others have what it lost.
 */
export function lostOf(group: GroupLog): string | undefined {
  const { damage, checkpoint, hardState, suspect, lastIndex } = group;
  const lost = damage.map(({ first, last }) => `${first}-${last}`);
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

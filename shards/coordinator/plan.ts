/** What a group's state means for its members: what each is told to hold, and what is to move from whom to whom. */
import { keyHash } from "../../src/records/key-hash.ts";
import { type AssignmentPartition, assignPartitions } from "./assignment.ts";
import type { Group } from "./state.ts";

export interface Told {
  /** Flat: shard and generation of each partition, by shard. */
  readonly assigned: readonly number[];
  /** Names what is assigned, and what is to be let go; never 0. */
  readonly hash: number;
}

/** `from` "": it is nobody's now. `to` "": it is to be nobody's. */
export interface Move {
  readonly shard: number;
  readonly from: string;
  readonly to: string;
}

export interface Plan {
  /** By member. What is to be let go is not told any more. */
  readonly told: ReadonlyMap<string, Told>;
  readonly moves: readonly Move[];
}

/** `partitionsOf`: of a topic, by number; none if it does not exist. */
export function planOf(group: Group, partitionsOf: (topic: string) => readonly number[]): Plan {
  const members = [...group.members.values()];
  const topics = new Set(members.flatMap((member) => member.topics));
  const partitions: AssignmentPartition[] = [];
  for (const topic of topics) for (const shard of partitionsOf(topic)) partitions.push({ shard, topic });
  const target = assignPartitions(members, partitions, (shard) => group.owners.get(shard)?.memberId);
  const kept = new Map(members.map(({ memberId }) => [memberId, [] as number[]]));
  const leaving = new Map(members.map(({ memberId }) => [memberId, [] as number[]]));
  const moves: Move[] = [];
  for (const [shard, to] of target) {
    const owner = group.owners.get(shard);
    if (owner?.memberId === to) kept.get(to)!.push(shard, owner.generation);
    else moves.push({ shard, from: owner?.memberId ?? "", to });
  }
  for (const [shard, { memberId }] of group.owners) {
    if (!target.has(shard)) moves.push({ shard, from: memberId, to: "" });
  }
  for (const { shard, from } of moves) leaving.get(from)?.push(shard, group.owners.get(shard)!.generation);
  return {
    told: new Map([...kept].map(([memberId, assigned]) => [memberId, toldOf(assigned, leaving.get(memberId)!)])),
    moves,
  };
}

/**
 * What a member holds by the target is in the order of the shards, as the target lists each member's. What it is to let go
 * counts in the name: a member that held just this once before, and has not heard yet of what it was given since, must not
 * be taken for one that has let that go.
 */
function toldOf(assigned: readonly number[], leaving: readonly number[]): Told {
  return { assigned, hash: keyHash(`${assigned.join()};${leaving.join()}`) || 1 };
}

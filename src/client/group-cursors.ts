/** A group's places in partitions, as one of its members takes them over and moves them on. */
import { RaftlineError } from "../wire/errors.ts";
import type { CursorKind } from "../wire/group-protocol.ts";
import type { CursorResult } from "../wire/group-responses.ts";
import type { Cluster } from "./cluster.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { askLeaders } from "./partition-requests.ts";

const ATTEMPT_MS = 3_000;
const GIVE_UP_MS = 15_000;

/** A partition that this member holds. */
export interface OwnedPartition {
  readonly cursor: PartitionCursor;
  /** In which it was assigned. */
  readonly generation: number;
  /** Next offset to read, as the partition knows it; -1: none. */
  committed: number;
}

export interface CursorStep {
  readonly owned: OwnedPartition;
  readonly offset: number;
}

/**
 * Whatever claimed the partitions before is refused from now on. Returns, for each, 0, or the generation known there, which
 * is above this one: refused. @throws {RaftlineError} `WRONG_GROUP_KIND`, `TOO_MANY_GROUPS`, `TIMED_OUT`, …
 */
export async function claim(
  cluster: Cluster,
  group: string,
  memberId: string,
  claimed: readonly OwnedPartition[],
): Promise<number[]> {
  const results = await ask(cluster, group, "claim", claimed.map((owned) => ({ owned, offset: 0 })), memberId);
  return settle(results, claimed, group, (owned, result) => owned.committed = result.committed);
}

/** Resolves when they are on a majority's disks; returns what {@link claim} returns. @throws {RaftlineError} as {@link claim}, `OFFSET_OUT_OF_RANGE` */
export async function commit(cluster: Cluster, group: string, steps: readonly CursorStep[]): Promise<number[]> {
  const results = await ask(cluster, group, "commit", steps, "");
  return settle(results, steps.map(({ owned }) => owned), group, (owned, result) => owned.committed = result.committed);
}

async function ask(
  cluster: Cluster,
  group: string,
  kind: CursorKind,
  steps: readonly CursorStep[],
  text: string,
): Promise<CursorResult[]> {
  if (steps.length === 0) return [];
  return await askLeaders<CursorResult>(cluster, {
    routes: steps.map(({ owned }) => owned.cursor.route),
    timeoutMs: GIVE_UP_MS,
    ask: async (nodeId, positions) => {
      const parts = positions.map((i) => {
        const { owned, offset } = steps[i]!;
        return { shard: owned.cursor.route.shard, kind, generation: owned.generation, offset, text };
      });
      return (await cluster.request(nodeId, "write", { type: "cursor", group, parts }, ATTEMPT_MS)).parts;
    },
  });
}

function settle(
  results: readonly CursorResult[],
  partitions: readonly OwnedPartition[],
  group: string,
  done: (owned: OwnedPartition, result: CursorResult) => void,
): number[] {
  return results.map((result, i) => {
    const owned = partitions[i]!;
    const { topic, partition } = owned.cursor.route;
    if (result.code === "") done(owned, result);
    else if (result.code !== "STALE_GENERATION") {
      throw new RaftlineError(result.code, `the place of group "${group}" in ${topic}/${partition}: ${result.code}`);
    }
    return result.code === "" ? 0 : result.generation;
  });
}

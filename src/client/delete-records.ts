/** Deletes a partition's oldest records, wherever its leader is. */
import { RaftlineError } from "../wire/errors.ts";
import type { Cluster } from "./cluster.ts";
import { LEADER_CODES, mustExist } from "./start-offsets.ts";
import type { Route } from "./topic-view.ts";

const TIMEOUT_MS = 5_000;
const GIVE_UP_MS = 30_000;
const RETRY_MS_FIRST = 10;
const RETRY_MS_MAX = 250;

/** The first offset that is left. To be repeated without harm. */
export async function deleteRecords(
  cluster: Cluster,
  topic: string,
  partition: number,
  beforeOffset: number,
): Promise<number> {
  const [route] = (await cluster.loadTopic(topic)).routesOf([partition]) as [Route];
  const deadlineMs = cluster.runtime.clock.monotonicMs() + GIVE_UP_MS;
  for (let attempt = 0;; attempt++) {
    const startOffset = route.leader === 0 ? undefined : await ask(cluster, route, beforeOffset);
    if (startOffset !== undefined) return startOffset;
    await mustExist(cluster, route);
    cluster.needLeader(route);
    if (cluster.runtime.clock.monotonicMs() >= deadlineMs) {
      throw new RaftlineError("TIMED_OUT", `${topic}/${partition}: no leader has answered`);
    }
    await cluster.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(attempt, 10)));
  }
}

/** Undefined: its leader is another one, or cannot be reached. */
async function ask(cluster: Cluster, route: Route, beforeOffset: number): Promise<number | undefined> {
  const { leader, shard, topic, partition } = route;
  const parts = [{ shard, beforeOffset }];
  try {
    const answer = await cluster.request(leader, "write", { type: "deleteRecords", parts }, TIMEOUT_MS);
    const [result] = answer.parts;
    if (result?.code === "") return result.startOffset;
    if (result && !LEADER_CODES.has(result.code)) {
      throw new RaftlineError(
        result.code,
        `${topic}/${partition}: records before offset ${beforeOffset} cannot be deleted: ${result.code}`,
      );
    }
    route.refused(leader, result?.leaderHint ?? 0);
  } catch (error) {
    if (!(error instanceof RaftlineError) || !LEADER_CODES.has(error.code)) throw error;
    route.refused(leader, 0);
  }
  return undefined;
}

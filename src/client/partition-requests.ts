/** One question to the leaders of many partitions, asked again where leaders change, until all have answered. */
import { RaftlineError } from "../wire/errors.ts";
import type { ShardResult } from "../wire/group-responses.ts";
import { REQUEST_PARTS_MAX } from "../wire/limits.ts";
import type { Cluster } from "./cluster.ts";
import { LEADER_CODES, mustExist } from "./start-offsets.ts";
import type { Route } from "./topic-view.ts";

const RETRY_MS_FIRST = 10;
const RETRY_MS_MAX = 250;

export interface PartitionQuestion<R extends ShardResult> {
  /** In the order of the answers. */
  readonly routes: readonly Route[];
  /** Asks one node of some of them, by their positions; answers in that order. */
  readonly ask: (nodeId: number, positions: readonly number[]) => Promise<readonly R[]>;
  /** Then `TIMED_OUT`: what was asked may have been done, or may yet be. */
  readonly timeoutMs: number;
}

/**
 * To be used for what may be done twice. Codes that do not speak of leaders are answers, for the caller to judge.
 * @throws {RaftlineError} `TIMED_OUT`, `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `INVALID_REQUEST`, `CLOSED`
 */
export async function askLeaders<R extends ShardResult>(
  cluster: Cluster,
  question: PartitionQuestion<R>,
): Promise<R[]> {
  const { routes, timeoutMs } = question;
  const answers = new Array<R | undefined>(routes.length).fill(undefined);
  const deadlineMs = cluster.runtime.clock.monotonicMs() + timeoutMs;
  for (let attempt = 0;; attempt++) {
    const byNode = new Map<number, number[]>();
    routes.forEach((route, position) => {
      if (answers[position] !== undefined) return;
      if (route.leader === 0) cluster.needLeader(route);
      else if (byNode.has(route.leader)) byNode.get(route.leader)!.push(position);
      else byNode.set(route.leader, [position]);
    });
    await Promise.all([...byNode].map(async ([nodeId, positions]) => {
      for (let at = 0; at < positions.length; at += REQUEST_PARTS_MAX) {
        await askNode(question, nodeId, positions.slice(at, at + REQUEST_PARTS_MAX), answers);
      }
    }));
    if (answers.every((answer) => answer !== undefined)) return answers as R[];
    for (const route of routes) await mustExist(cluster, route);
    if (cluster.runtime.clock.monotonicMs() >= deadlineMs) {
      throw new RaftlineError(
        "TIMED_OUT",
        `some leaders of "${routes[0]?.topic}" did not answer within ${timeoutMs} ms`,
      );
    }
    await cluster.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(attempt, 10)));
  }
}

async function askNode<R extends ShardResult>(
  { routes, ask }: PartitionQuestion<R>,
  nodeId: number,
  positions: readonly number[],
  answers: (R | undefined)[],
): Promise<void> {
  try {
    const results = await ask(nodeId, positions);
    positions.forEach((position, i) => {
      const result = results[i];
      if (result !== undefined && !LEADER_CODES.has(result.code)) answers[position] = result;
      else if (result?.code !== "THROTTLED") routes[position]!.refused(nodeId, result?.leaderHint ?? 0);
    });
  } catch (error) {
    if (!(error instanceof RaftlineError) || !LEADER_CODES.has(error.code)) throw error;
    for (const position of positions) routes[position]!.refused(nodeId, 0);
  }
}

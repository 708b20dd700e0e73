/** From where a consumer reads: words and times made into offsets, by asking the leaders. */
import { RaftlineError } from "../wire/errors.ts";
import { REQUEST_PARTS_MAX } from "../wire/limits.ts";
import type { OffsetsAt } from "../wire/protocol.ts";
import { checkPlace } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { closedError } from "./connections.ts";
import type { Route } from "./topic-view.ts";

/** An offset, an end of the partition, or the first record at or after a time (milliseconds since 1970). */
export type From = "earliest" | "latest" | number | { readonly timeMs: number };

/** After these the leader is looked up again: it is another, or it cannot be reached, or it asks for patience. */
export const LEADER_CODES: ReadonlySet<string> = new Set([
  "NOT_LEADER",
  "NO_LEADER",
  "UNKNOWN_PARTITION",
  "UNAVAILABLE",
  "TIMED_OUT",
  "MALFORMED",
  "THROTTLED",
]);

const TIMEOUT_MS = 3_000;
const RETRY_MS_FIRST = 10;
const RETRY_MS_MAX = 250;

interface WantedOffset {
  readonly route: Route;
  readonly at: OffsetsAt;
}

/**
 * Where each begins, in the order asked.
 * @throws {RaftlineError} `INVALID_REQUEST`, and as {@link findOffsets}
 */
export async function findStarts(
  cluster: Cluster,
  wanted: readonly { readonly route: Route; readonly from: From }[],
  stopped: () => boolean,
): Promise<number[]> {
  const places = wanted.map(({ from }) => checkPlace("where to read from", from));
  const asked = places.flatMap((at, i) => typeof at === "number" ? [] : [{ route: wanted[i]!.route, at }]);
  const found = asked.length === 0 ? [] : await findOffsets(cluster, asked, stopped);
  let next = 0;
  return places.map((place) => typeof place === "number" ? place : found[next++]!);
}

/**
 * The offsets, in the order asked. Follows leaders until all are known or `stopped` says so.
 * @throws {RaftlineError} `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `CLOSED`
 */
async function findOffsets(
  cluster: Cluster,
  wanted: readonly WantedOffset[],
  stopped: () => boolean,
): Promise<number[]> {
  const found = new Array<number>(wanted.length).fill(-1);
  for (let attempt = 0; !stopped(); attempt++) {
    const missing = wanted.map((_, i) => i).filter((i) => found[i]! < 0);
    if (missing.length === 0) return found;
    const byNode = new Map<number, number[]>();
    for (const i of missing) {
      const { leader } = wanted[i]!.route;
      if (leader === 0) cluster.needLeader(wanted[i]!.route);
      else if (byNode.has(leader)) byNode.get(leader)!.push(i);
      else byNode.set(leader, [i]);
    }
    await Promise.all([...byNode].map(async ([nodeId, indexes]) => {
      for (let at = 0; at < indexes.length; at += REQUEST_PARTS_MAX) {
        await ask(cluster, nodeId, indexes.slice(at, at + REQUEST_PARTS_MAX), wanted, found);
      }
    }));
    for (const { route } of wanted) await mustExist(cluster, route);
    if (found.some((offset) => offset < 0)) {
      await cluster.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(attempt, 10)));
    }
  }
  throw new RaftlineError("CLOSED", "the consumer was closed");
}

async function ask(
  cluster: Cluster,
  nodeId: number,
  indexes: readonly number[],
  wanted: readonly WantedOffset[],
  found: number[],
): Promise<void> {
  const parts = indexes.map((i) => ({ shard: wanted[i]!.route.shard, at: wanted[i]!.at }));
  try {
    const answer = await cluster.request(nodeId, "read", { type: "offsets", parts }, TIMEOUT_MS);
    indexes.forEach((i, n) => {
      const part = answer.parts[n];
      const { route } = wanted[i]!;
      if (part?.code === "") found[i] = part.offset;
      else if (part === undefined || LEADER_CODES.has(part.code)) route.refused(nodeId, part?.leaderHint ?? 0);
      else throw new RaftlineError(part.code, `the offsets of ${route.topic}/${route.partition}: ${part.code}`);
    });
  } catch (error) {
    if (!(error instanceof RaftlineError) || !LEADER_CODES.has(error.code)) throw error;
    for (const i of indexes) wanted[i]!.route.refused(nodeId, 0);
  }
}

/** @throws {RaftlineError} `UNKNOWN_TOPIC`: the route's topic was deleted, whatever has its name now; `CLOSED` */
export async function mustExist(cluster: Cluster, route: Route): Promise<void> {
  if (cluster.closed) throw closedError();
  const view = cluster.topic(route.topic) ?? await cluster.loadTopic(route.topic);
  if (view.routes[route.partition] === route) return;
  throw new RaftlineError("UNKNOWN_TOPIC", `topic "${route.topic}" was deleted and created again`);
}

/** How far groups are in a topic, and setting them back. */
import { RaftlineError } from "../wire/errors.ts";
import type { GroupPlace } from "../wire/group-protocol.ts";
import type { GroupStatus, ShardResult } from "../wire/group-responses.ts";
import { checkName, checkOneOf, checkOptions, checkPartitions, checkPlace } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { membersOf } from "./group-members.ts";
import { askLeaders } from "./partition-requests.ts";
import type { Route } from "./topic-view.ts";

const ATTEMPT_MS = 3_000;
const GIVE_UP_MS = 15_000;

/** One group in one partition. */
export interface GroupInPartition extends GroupStatus {
  readonly topic: string;
  readonly partition: number;
  /** First offset that is not committed in the log. */
  readonly highWatermark: number;
}

/** One group in one partition, and who of its members reads there. */
export interface GroupPlaceDescription extends GroupInPartition {
  /** Its instance id, else its member id; "": nobody. */
  readonly member: string;
}

/** One group in one topic, all partitions together. */
export interface GroupSummary {
  readonly group: string;
  readonly topic: string;
  readonly kind: GroupStatus["kind"];
  /** Records it has not acknowledged. */
  readonly lag: number;
  readonly leased: number;
  readonly dead: number;
  /** Why dead records are not in the dead-letter topic yet, in some partition; "": nothing is known to be in their way. */
  readonly deadCode: string;
  /** Consumers of it right now, in all its topics together; a queue has none. */
  readonly members: number;
}

/** By topic and name. */
export function summarizeGroups(
  parts: readonly GroupInPartition[],
  memberCounts: ReadonlyMap<string, number>,
): GroupSummary[] {
  const summaries = new Map<string, GroupSummary>();
  for (const { group, topic, kind, waiting, leased, delayed, dead, deadCode } of parts) {
    const key = `${topic}/${group}`;
    const before = summaries.get(key) ?? { lag: 0, leased: 0, dead: 0, deadCode: "" };
    summaries.set(key, {
      group,
      topic,
      kind,
      lag: before.lag + waiting + leased + delayed + dead,
      leased: before.leased + leased,
      dead: before.dead + dead,
      deadCode: before.deadCode || deadCode,
      members: memberCounts.get(group) ?? 0,
    });
  }
  return [...summaries].sort(([a], [b]) => a < b ? -1 : 1).map(([, summary]) => summary);
}

export interface GroupResetOptions {
  /** Where it goes on: the same place in every partition. */
  readonly to: GroupPlace;
  /** Default: all. */
  readonly partitions?: readonly number[];
  /** Although consumers hold leases; these end. */
  readonly force?: boolean;
}

/** `group` "": all of them. @throws {RaftlineError} `UNKNOWN_TOPIC`, `TIMED_OUT` */
export async function groupsOf(cluster: Cluster, topic: string, group: string): Promise<GroupInPartition[]> {
  const routes = (await cluster.freshTopic(topic)).routesOf(undefined);
  const parts = await askLeaders(cluster, {
    routes,
    timeoutMs: GIVE_UP_MS,
    ask: async (nodeId, positions) => {
      const request = { type: "groups", group, shards: shardsAt(routes, positions) } as const;
      return (await cluster.request(nodeId, "read", request, ATTEMPT_MS)).parts;
    },
  });
  return parts.flatMap(({ groups, highWatermark }, partition) => {
    return groups.map((one) => ({ topic, partition, highWatermark, ...one }));
  });
}

/** One group's places, with its members. @throws {RaftlineError} `UNKNOWN_TOPIC`, `TIMED_OUT` */
export async function describeGroup(cluster: Cluster, topic: string, group: string): Promise<GroupPlaceDescription[]> {
  const [places, members] = await Promise.all([groupsOf(cluster, topic, group), membersOf(cluster, group)]);
  const { routes } = await cluster.loadTopic(topic);
  return places.map((place) => {
    const reader = members.find(({ shards }) => shards.includes(routes[place.partition]!.shard));
    return { ...place, member: reader?.instanceId || (reader?.memberId ?? "") };
  });
}

/**
 * Resolves with the offset it was set to, by partition.
 * @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME`, `UNKNOWN_PARTITION`, `UNKNOWN_GROUP`, `GROUP_ACTIVE`;
 * `OFFSET_OUT_OF_RANGE`: some partitions may have been set
 */
export async function resetGroup(
  cluster: Cluster,
  topic: string,
  group: string,
  options: GroupResetOptions,
): Promise<{ partition: number; offset: number }[]> {
  checkOptions("the reset of a group", options);
  const to = checkPlace("to", options.to);
  const partitions = checkPartitions(options.partitions);
  const force = checkOneOf("force", options.force ?? false, [true, false]);
  await mustBeKnown(cluster, topic, group);
  await mustHaveNoMembers(cluster, topic, group);
  const routes = (await cluster.loadTopic(topic)).routesOf(partitions);
  const results = await askLeaders(cluster, {
    routes,
    timeoutMs: GIVE_UP_MS,
    ask: async (nodeId, positions) => {
      const parts = shardsAt(routes, positions).map((shard) => ({ shard, to }));
      const request = { type: "groupReset", group, force, parts } as const;
      return (await cluster.request(nodeId, "write", request, ATTEMPT_MS)).parts;
    },
  });
  mustHaveDone(results, routes, `group "${group}" cannot be reset`);
  return results.map(({ offset }, i) => ({ partition: routes[i]!.partition, offset }));
}

/** Forgets it everywhere. @throws {RaftlineError} `UNKNOWN_GROUP`, `GROUP_ACTIVE` */
export async function removeGroup(cluster: Cluster, topic: string, group: string, force: boolean): Promise<void> {
  await mustBeKnown(cluster, topic, group);
  await mustHaveNoMembers(cluster, topic, group);
  const { routes } = await cluster.loadTopic(topic);
  const results = await askLeaders(cluster, {
    routes,
    timeoutMs: GIVE_UP_MS,
    ask: async (nodeId, positions) => {
      const request = { type: "groupRemove", group, force, shards: shardsAt(routes, positions) } as const;
      return (await cluster.request(nodeId, "write", request, ATTEMPT_MS)).parts;
    },
  });
  // A partition that never saw the group, or was asked before, has nothing to forget.
  const refused = results.map((result) => result.code === "UNKNOWN_GROUP" ? { ...result, code: "" } : result);
  mustHaveDone(refused, routes, `group "${group}" cannot be removed`);
}

async function mustBeKnown(cluster: Cluster, topic: string, group: string): Promise<void> {
  checkName("group", group);
  if ((await groupsOf(cluster, topic, group)).length > 0) return;
  throw new RaftlineError("UNKNOWN_GROUP", `topic "${topic}" has no group "${group}"`);
}

/** Members would go on where they are, and commit that: they are to be stopped first, whatever is forced. */
async function mustHaveNoMembers(cluster: Cluster, topic: string, group: string): Promise<void> {
  const readers = (await membersOf(cluster, group)).filter(({ topics }) => topics.includes(topic));
  if (readers.length === 0) return;
  throw new RaftlineError("GROUP_ACTIVE", `group "${group}" has ${readers.length} members that read "${topic}"`);
}

function mustHaveDone(results: readonly ShardResult[], routes: readonly Route[], what: string): void {
  const failed = results.findIndex(({ code }) => code !== "");
  if (failed < 0) return;
  const { topic, partition } = routes[failed]!;
  throw new RaftlineError(results[failed]!.code, `${what} in ${topic}/${partition}: ${results[failed]!.code}`);
}

function shardsAt(routes: readonly Route[], positions: readonly number[]): number[] {
  return positions.map((position) => routes[position]!.shard);
}

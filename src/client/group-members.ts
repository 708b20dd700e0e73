/** Who is in consumer groups, as their coordinators know it. */
import type { GroupMember } from "../wire/coordinator-responses.ts";
import { COORDINATORS } from "../wire/limits.ts";
import type { Cluster } from "./cluster.ts";
import { CoordinatorRoute } from "./coordinator-route.ts";

const ATTEMPT_MS = 3_000;
const GIVE_UP_MS = 15_000;

/** None: nobody is there now. @throws {RaftlineError} `TIMED_OUT` */
export async function membersOf(cluster: Cluster, group: string): Promise<readonly GroupMember[]> {
  const request = { type: "groupMembers", group } as const;
  return (await new CoordinatorRoute(cluster).ask(request, ATTEMPT_MS, GIVE_UP_MS)).members;
}

/** How many members each group has that has any. @throws {RaftlineError} `TIMED_OUT` */
export async function memberCounts(cluster: Cluster): Promise<Map<string, number>> {
  const answers = await Promise.all(Array.from({ length: COORDINATORS }, (_, coordinator) => {
    return new CoordinatorRoute(cluster).ask({ type: "groupList", coordinator }, ATTEMPT_MS, GIVE_UP_MS);
  }));
  return new Map(answers.flatMap(({ groups }) => groups.map(({ group, members }) => [group, members] as const)));
}

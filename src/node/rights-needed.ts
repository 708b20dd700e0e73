/** What a request wants somebody to be allowed. */
import type { AdminCommand } from "../wire/admin-commands.ts";
import type { HelloRequest, Request } from "../wire/protocol.ts";
import type { Right } from "./credentials.ts";

export interface Need {
  /** "any": one of them, whichever. */
  readonly right: Right | "any";
  /** "*": all there are, the cluster itself. */
  readonly topic: string;
}

type Checked = Exclude<Request, HelloRequest>;

export interface Lookup {
  topicOf(shard: number): string | undefined;
  /** What a member of a group reads, and the one that runs under the instance id ("": none); nothing of one that is not known here, where nothing can be done about it either. */
  topicsOfMember(group: string, memberId: string, instanceId: string): readonly string[];
}

/** Of shards that no topic has, nothing: the answer says so. Of topics that somebody may not know of, lists say nothing. */
export function needsOf(request: Checked, { topicOf, topicsOfMember }: Lookup): Need[] {
  const of = (right: Need["right"], shards: readonly number[]): Need[] => {
    const topics = new Set(shards.map(topicOf));
    return [...topics].flatMap((topic) => topic === undefined ? [] : [{ right, topic }]);
  };
  const shardsOf = (parts: readonly { readonly shard: number }[]) => parts.map(({ shard }) => shard);
  switch (request.type) {
    case "produce":
      return of("produce", shardsOf(request.parts));
    case "fetch":
    case "offsets":
    case "lease":
    case "settle":
    case "cursor":
      return of("consume", shardsOf(request.parts));
    case "queueOpen": {
      const { shards, options: { deadLetter } } = request;
      // What it gives up is published there.
      const produces: Need[] = deadLetter === "" ? [] : [{ right: "produce", topic: deadLetter }];
      return [...of("consume", shards), ...produces];
    }
    case "groups":
      return of("any", request.shards);
    case "groupHeartbeat": {
      // Whoever it takes the place of.
      const { group, memberId, instanceId, topics } = request;
      const all = [...topics, ...topicsOfMember(group, memberId, instanceId)];
      return all.map((topic) => ({ right: "consume", topic }));
    }
    case "groupLeave":
      return topicsOfMember(request.group, request.memberId, "").map((topic) => ({ right: "consume", topic }));
    case "deleteRecords":
    case "groupReset":
      return of("manage", shardsOf(request.parts));
    case "groupRemove":
      return of("manage", request.shards);
    case "metadata":
    case "producerId":
    case "admin":
    case "groupMembers":
    case "groupList":
      return [];
  }
}

/** Topics that somebody may not know of are left out of a list. */
export function needOfCommand({ command, args }: AdminCommand): Need | undefined {
  switch (command) {
    case "createTopic":
    case "deleteTopic":
    case "alterTopic":
    case "moveReplicas":
      return { right: "manage", topic: args.name };
    case "addNode":
    case "removeNode":
    case "drainNode":
    case "spreadReplicas":
      return { right: "manage", topic: "*" };
    case "describeTopic":
      return { right: "any", topic: args.name };
    case "listTopics":
    case "describeCluster":
      return undefined;
  }
}

/**
 * What the members of a consumer group ask of its coordinator (answers: coordinator-responses.ts). The members converge by
 * themselves, each at its own pace (after Kafka's KIP-848): a heartbeat says what a member holds, and waits at the
 * coordinator until that is not what it should hold, or for a while.
 */
import { Type } from "@sinclair/typebox";
import { keyHash, partitionOfKey } from "../records/key-hash.ts";
import { COORDINATORS, MEMBER_PARTITIONS_MAX, MEMBER_TOPICS_MAX } from "./limits.ts";
import { Name, U32, U53, validator } from "./schemas.ts";

export const CoordinatorRequestType = {
  groupHeartbeat: 16,
  groupLeave: 17,
  groupMembers: 18,
  groupList: 19,
} as const;

/** Which of the coordinators looks after the group: 0 to `COORDINATORS - 1`. */
export function coordinatorOf(group: string): number {
  return partitionOfKey(keyHash(group), COORDINATORS);
}

export interface GroupHeartbeatRequest {
  readonly type: "groupHeartbeat";
  readonly group: string;
  /** Chosen by the member itself, unique: 12 random bytes in hex, say. */
  readonly memberId: string;
  /** Of a static member, the same over restarts; "": none. */
  readonly instanceId: string;
  /** 0: joins. Else of the last answer: a member that is not known then is told so. */
  readonly generation: number;
  readonly topics: readonly string[];
  /** Silent for so long, it is taken for dead. */
  readonly sessionTimeoutMs: number;
  /** What it must let go it lets go within this time, or it is put out. */
  readonly rebalanceTimeoutMs: number;
  /** Of the last answer that it took; 0: none. */
  readonly told: number;
  /** Rises with each that this member sends: one that was overtaken on its way is known by it. */
  readonly sequence: number;
  /** Flat: shard and generation of each partition that it holds. */
  readonly owned: readonly number[];
  /** Flat: shard of each partition that refused it, and the generation known there, which is above its own. */
  readonly refused: readonly number[];
}

/** Its partitions are free at once. */
export interface GroupLeaveRequest {
  readonly type: "groupLeave";
  readonly group: string;
  readonly memberId: string;
}

export interface GroupMembersRequest {
  readonly type: "groupMembers";
  readonly group: string;
}

/** Groups that have members, of one coordinator. */
export interface GroupListRequest {
  readonly type: "groupList";
  readonly coordinator: number;
}

export type CoordinatorRequest =
  | GroupHeartbeatRequest
  | GroupLeaveRequest
  | GroupMembersRequest
  | GroupListRequest;

const MemberId = Type.String({ minLength: 1, maxLength: 64 });
const InstanceId = Type.Union([Name, Type.Literal("")]);
const Topics = Type.Array(Name, { minItems: 1, maxItems: MEMBER_TOPICS_MAX });
const Pairs = Type.Array(U53, { maxItems: MEMBER_PARTITIONS_MAX * 2 });

const checkHeartbeat = validator(
  "groupHeartbeat",
  Type.Tuple([
    Type.Literal(CoordinatorRequestType.groupHeartbeat),
    U32,
    Name,
    MemberId,
    InstanceId,
    U53,
    Topics,
    U32,
    U32,
    U32,
    U53,
    Pairs,
    Pairs,
  ]),
);
const checkLeave = validator(
  "groupLeave",
  Type.Tuple([Type.Literal(CoordinatorRequestType.groupLeave), U32, Name, MemberId]),
);
const checkMembers = validator(
  "groupMembers",
  Type.Tuple([Type.Literal(CoordinatorRequestType.groupMembers), U32, Name]),
);
const checkList = validator(
  "groupList",
  Type.Tuple([
    Type.Literal(CoordinatorRequestType.groupList),
    U32,
    Type.Integer({ minimum: 0, maximum: COORDINATORS - 1 }),
  ]),
);

/** The head of a request's frame; none of these has a body. */
export function encodeCoordinatorRequest(id: number, request: CoordinatorRequest): unknown[] {
  const type = CoordinatorRequestType[request.type];
  switch (request.type) {
    case "groupHeartbeat": {
      const { group, memberId, instanceId, generation, topics, sessionTimeoutMs, rebalanceTimeoutMs } = request;
      const { told, sequence, owned, refused } = request;
      const member = [memberId, instanceId, generation, topics, sessionTimeoutMs, rebalanceTimeoutMs];
      return [type, id, group, ...member, told, sequence, owned, refused];
    }
    case "groupLeave":
      return [type, id, request.group, request.memberId];
    case "groupMembers":
      return [type, id, request.group];
    case "groupList":
      return [type, id, request.coordinator];
  }
}

/** Undefined: the type is none of these. @throws {WireError} `INVALID_MESSAGE` */
export function decodeCoordinatorRequest(head: unknown[]): CoordinatorRequest | undefined {
  switch (head[0]) {
    case CoordinatorRequestType.groupHeartbeat: {
      const [, , group, memberId, instanceId, generation, topics, sessionTimeoutMs, rebalanceTimeoutMs, ...news] =
        checkHeartbeat(head);
      const member = { memberId, instanceId, generation, topics, sessionTimeoutMs, rebalanceTimeoutMs };
      const [told, sequence, owned, refused] = news;
      return { type: "groupHeartbeat", group, ...member, told, sequence, owned, refused };
    }
    case CoordinatorRequestType.groupLeave: {
      const [, , group, memberId] = checkLeave(head);
      return { type: "groupLeave", group, memberId };
    }
    case CoordinatorRequestType.groupMembers:
      return { type: "groupMembers", group: checkMembers(head)[2] };
    case CoordinatorRequestType.groupList:
      return { type: "groupList", coordinator: checkList(head)[2] };
    default:
      return undefined;
  }
}

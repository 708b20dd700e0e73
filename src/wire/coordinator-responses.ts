/** What a group's coordinator answers. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { MEMBER_PARTITIONS_MAX } from "./limits.ts";
import { NodeIdSchema, Text, U32, U53, validator } from "./schemas.ts";

/** `code` "" or an error code; `leaderHint` the node that probably leads the coordinator, 0 if not known. */
export interface CoordinatorResult {
  readonly code: string;
  readonly leaderHint: number;
}

export interface GroupHeartbeatResponse extends CoordinatorResult {
  readonly generation: number;
  /** The next heartbeat is expected within this time. */
  readonly heartbeatMs: number;
  /** Names what is assigned. */
  readonly told: number;
  /** Flat: shard and generation of each partition it should hold; null: what it was told before. */
  readonly assigned: readonly number[] | null;
}

export interface GroupMember {
  readonly memberId: string;
  readonly instanceId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  /** Shards that are this member's now, those it is to let go included. */
  readonly shards: readonly number[];
}

export interface GroupMembersResponse extends CoordinatorResult {
  /** 0: the group has no members. */
  readonly generation: number;
  /** Some partition is on its way from one member to another. */
  readonly rebalancing: boolean;
  readonly members: readonly GroupMember[];
}

export interface GroupListResponse extends CoordinatorResult {
  readonly groups: readonly { readonly group: string; readonly members: number }[];
}

export interface CoordinatorResponses {
  readonly groupHeartbeat: GroupHeartbeatResponse;
  readonly groupLeave: CoordinatorResult;
  readonly groupMembers: GroupMembersResponse;
  readonly groupList: GroupListResponse;
}

const Code = Type.String({ maxLength: 64 });
const answer = <F extends TSchema>(fields: F) => Type.Tuple([U32, Type.Literal(""), fields]);
const result = [Code, NodeIdSchema] as const;
const Pairs = Type.Array(U53, { maxItems: MEMBER_PARTITIONS_MAX * 2 });
const memberRow = Type.Tuple([Text, Text, Type.Array(Text), U32, Type.Array(U32)]);

const checkHeartbeat = validator(
  "groupHeartbeat response",
  answer(Type.Tuple([...result, U53, U32, U32, Type.Union([Pairs, Type.Null()])])),
);
const checkLeave = validator("groupLeave response", answer(Type.Tuple([...result])));
const checkMembers = validator(
  "groupMembers response",
  answer(Type.Tuple([...result, U53, Type.Boolean(), Type.Array(memberRow)])),
);
const checkList = validator("groupList response", answer(Type.Tuple([...result, Type.Array(Type.Tuple([Text, U32]))])));

type Decoders = { readonly [T in keyof CoordinatorResponses]: (head: unknown[]) => CoordinatorResponses[T] };

export const coordinatorDecoders: Decoders = {
  groupHeartbeat: (head) => {
    const [code, leaderHint, generation, heartbeatMs, told, assigned] = checkHeartbeat(head)[2];
    return { code, leaderHint, generation, heartbeatMs, told, assigned };
  },
  groupLeave: (head) => {
    const [code, leaderHint] = checkLeave(head)[2];
    return { code, leaderHint };
  },
  groupMembers: (head) => {
    const [code, leaderHint, generation, rebalancing, rows] = checkMembers(head)[2];
    return { code, leaderHint, generation, rebalancing, members: rows.map(toMember) };
  },
  groupList: (head) => {
    const [code, leaderHint, rows] = checkList(head)[2];
    return { code, leaderHint, groups: rows.map(([group, members]) => ({ group, members })) };
  },
};

function toMember([memberId, instanceId, topics, sessionTimeoutMs, shards]: Static<typeof memberRow>): GroupMember {
  return { memberId, instanceId, topics, sessionTimeoutMs, shards };
}

type Encoders = {
  readonly [T in keyof CoordinatorResponses]: (response: CoordinatorResponses[T]) => { readonly parts: unknown[] };
};

export const coordinatorEncoders: Encoders = {
  groupHeartbeat: ({ code, leaderHint, generation, heartbeatMs, told, assigned }) => {
    return { parts: [code, leaderHint, generation, heartbeatMs, told, assigned] };
  },
  groupLeave: ({ code, leaderHint }) => ({ parts: [code, leaderHint] }),
  groupMembers: ({ code, leaderHint, generation, rebalancing, members }) => {
    const rows = members.map((one) => [one.memberId, one.instanceId, one.topics, one.sessionTimeoutMs, one.shards]);
    return { parts: [code, leaderHint, generation, rebalancing, rows] };
  },
  groupList: ({ code, leaderHint, groups }) => {
    return { parts: [code, leaderHint, groups.map(({ group, members }) => [group, members])] };
  },
};

/** What a node answers about groups; one result per part of the request, in its order. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import type { OffsetSet } from "../records/offset-set.ts";
import { packOffsets, unpackOffsets } from "../records/packed-offsets.ts";
import { WireError } from "./errors.ts";
import { LEASE_RECORDS_MAX } from "./limits.ts";
import { NodeIdSchema, Text, U32, U53, validator } from "./schemas.ts";

/** Of one shard, or one item. */
export interface ShardResult {
  /** "" or an error code. */
  readonly code: string;
  /** Node that probably leads, 0 if not known. */
  readonly leaderHint: number;
}

export interface QueueOpenResponse {
  readonly parts: readonly ShardResult[];
}

export interface LeaseResponse {
  readonly parts: readonly LeaseResult[];
}

export interface LeaseResult extends ShardResult {
  /** Names the lease; 0: nothing was leased here. */
  readonly leaseId: number;
  readonly leaseMs: number;
  /** What was leased, by the number of deliveries. */
  readonly held: readonly LeasedRecords[];
  /** Whole batches, back to back, with these records and others. */
  readonly chunks: readonly Uint8Array[];
}

/** Records that were all delivered so often, this time included. */
export interface LeasedRecords {
  readonly deliveries: number;
  readonly offsets: OffsetSet;
}

export interface SettleResponse {
  readonly parts: readonly SettleResult[];
}

export interface SettleResult {
  readonly leaderHint: number;
  /** Of each item: "", or why not all of it was done. */
  readonly codes: readonly string[];
}

export interface CursorResponse {
  readonly parts: readonly CursorResult[];
}

export interface CursorResult extends ShardResult {
  /** Next offset to read; -1: nothing was committed. */
  readonly committed: number;
  readonly metadata: string;
  readonly generation: number;
}

export interface GroupsResponse {
  readonly parts: readonly GroupsResult[];
}

export interface GroupsResult extends ShardResult {
  readonly highWatermark: number;
  readonly groups: readonly GroupStatus[];
}

/** A cursor has only a place: `next` is its committed offset, -1 for none. */
export interface GroupStatus {
  readonly group: string;
  readonly kind: "cursor" | "queue";
  readonly generation: number;
  /** Everything below is done. */
  readonly floor: number;
  /** Nothing from here on was ever given out. */
  readonly next: number;
  /** Not done, by where they are: to be leased (with what was never given out), leased, put off, dead. */
  readonly waiting: number;
  readonly leased: number;
  readonly delayed: number;
  readonly dead: number;
  /** Why the dead ones are not in the dead-letter topic yet; "": nothing is known to be in their way. */
  readonly deadCode: string;
}

export interface GroupResetResponse {
  readonly parts: readonly GroupResetResult[];
}

export interface GroupResetResult extends ShardResult {
  readonly offset: number;
}

export interface GroupRemoveResponse {
  readonly parts: readonly ShardResult[];
}

export interface GroupResponses {
  readonly queueOpen: QueueOpenResponse;
  readonly lease: LeaseResponse;
  readonly settle: SettleResponse;
  readonly cursor: CursorResponse;
  readonly groups: GroupsResponse;
  readonly groupReset: GroupResetResponse;
  readonly groupRemove: GroupRemoveResponse;
}

const Code = Type.String({ maxLength: 64 });
const Offset = Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER });
const answer = <P extends TSchema>(part: P) => Type.Tuple([U32, Type.Literal(""), Type.Array(part)]);
const shardResult = Type.Tuple([Code, NodeIdSchema]);
const leasedRecords = Type.Tuple([U53, Type.Uint8Array()]);
const leaseResult = Type.Tuple([Code, NodeIdSchema, U53, U53, Type.Array(leasedRecords), U32]);
const settleResult = Type.Tuple([NodeIdSchema, Type.Array(Code)]);
const cursorResult = Type.Tuple([Code, NodeIdSchema, Offset, Text, U53]);
const statusRow = Type.Tuple([Text, Type.Boolean(), U53, Offset, Offset, U53, U53, U53, U53, Code]);
const groupsResult = Type.Tuple([Code, NodeIdSchema, U53, Type.Array(statusRow)]);
const resetResult = Type.Tuple([Code, NodeIdSchema, U53]);

const checkShards = validator("answer of shards", answer(shardResult));
const checkLease = validator("lease response", answer(leaseResult));
const checkSettle = validator("settle response", answer(settleResult));
const checkCursor = validator("cursor response", answer(cursorResult));
const checkGroups = validator("groups response", answer(groupsResult));
const checkReset = validator("groupReset response", answer(resetResult));

type Decoders = { readonly [T in keyof GroupResponses]: (head: unknown[], body: Uint8Array) => GroupResponses[T] };

export const groupDecoders: Decoders = {
  queueOpen: (head) => ({ parts: checkShards(head)[2].map(toShardResult) }),
  lease: decodeLease,
  settle: (head) => ({ parts: checkSettle(head)[2].map(([leaderHint, codes]) => ({ leaderHint, codes })) }),
  cursor: (head) => ({
    parts: checkCursor(head)[2].map(([code, leaderHint, committed, metadata, generation]) => {
      return { code, leaderHint, committed, metadata, generation };
    }),
  }),
  groups: (head) => ({
    parts: checkGroups(head)[2].map(([code, leaderHint, highWatermark, rows]) => {
      return { code, leaderHint, highWatermark, groups: rows.map(toStatus) };
    }),
  }),
  groupReset: (head) => ({
    parts: checkReset(head)[2].map(([code, leaderHint, offset]) => ({ code, leaderHint, offset })),
  }),
  groupRemove: (head) => ({ parts: checkShards(head)[2].map(toShardResult) }),
};

function toShardResult([code, leaderHint]: [string, number]): ShardResult {
  return { code, leaderHint };
}

function toStatus([
  group,
  isQueue,
  generation,
  floor,
  next,
  waiting,
  leased,
  delayed,
  dead,
  deadCode,
]: Static<typeof statusRow>): GroupStatus {
  const kind = isQueue ? "queue" : "cursor";
  return { group, kind, generation, floor, next, waiting, leased, delayed, dead, deadCode };
}

function decodeLease(head: unknown[], body: Uint8Array): LeaseResponse {
  const parts: LeaseResult[] = [];
  let at = 0;
  for (const [code, leaderHint, leaseId, leaseMs, rows, byteLength] of checkLease(head)[2]) {
    const end = at + byteLength;
    if (end > body.length) throw new WireError("INVALID_MESSAGE", "the parts are longer than the body");
    const held = rows.map(toLeasedRecords);
    parts.push({ code, leaderHint, leaseId, leaseMs, held, chunks: byteLength === 0 ? [] : [body.subarray(at, end)] });
    at = end;
  }
  if (at !== body.length) throw new WireError("INVALID_MESSAGE", "the body is longer than its parts");
  return { parts };
}

function toLeasedRecords([deliveries, packed]: [number, Uint8Array]): LeasedRecords {
  const offsets = unpackOffsets(packed, LEASE_RECORDS_MAX);
  if (offsets === undefined) throw new WireError("INVALID_MESSAGE", "what was leased is no set of offsets");
  return { deliveries, offsets };
}

/** The fields after correlation id and code, and the chunks of the body. */
export interface EncodedGroups {
  readonly parts: unknown[];
  readonly body?: Uint8Array[];
}

type Encoders = { readonly [T in keyof GroupResponses]: (response: GroupResponses[T]) => EncodedGroups };

export const groupEncoders: Encoders = {
  queueOpen: ({ parts }) => ({ parts: parts.map(({ code, leaderHint }) => [code, leaderHint]) }),
  lease: ({ parts }) => {
    const body: Uint8Array[] = [];
    const rows = parts.map(({ code, leaderHint, leaseId, leaseMs, held, chunks }) => {
      let byteLength = 0;
      for (const chunk of chunks) {
        body.push(chunk);
        byteLength += chunk.length;
      }
      const rows = held.map(({ deliveries, offsets }) => [deliveries, packOffsets(offsets)]);
      return [code, leaderHint, leaseId, leaseMs, rows, byteLength];
    });
    return { parts: rows, body };
  },
  settle: ({ parts }) => ({ parts: parts.map(({ leaderHint, codes }) => [leaderHint, codes]) }),
  cursor: ({ parts }) => ({
    parts: parts.map((part) => [part.code, part.leaderHint, part.committed, part.metadata, part.generation]),
  }),
  groups: ({ parts }) => ({
    parts: parts.map(({ code, leaderHint, highWatermark, groups }) => [
      code,
      leaderHint,
      highWatermark,
      groups.map((one) => [
        one.group,
        one.kind === "queue",
        one.generation,
        one.floor,
        one.next,
        one.waiting,
        one.leased,
        one.delayed,
        one.dead,
        one.deadCode,
      ]),
    ]),
  }),
  groupReset: ({ parts }) => ({ parts: parts.map(({ code, leaderHint, offset }) => [code, leaderHint, offset]) }),
  groupRemove: ({ parts }) => ({ parts: parts.map(({ code, leaderHint }) => [code, leaderHint]) }),
};

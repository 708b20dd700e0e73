/** What a client asks of groups: leases of a queue and what becomes of them, cursors, and how far all of them are. */
import { type Static, Type } from "@sinclair/typebox";
import type { OffsetSet } from "../records/offset-set.ts";
import { packOffsets, unpackOffsets } from "../records/packed-offsets.ts";
import { WireError } from "./errors.ts";
import { LEASE_OFFSETS_BYTES_MAX, LEASE_PARTS_MAX, LEASE_RECORDS_MAX, REQUEST_PARTS_MAX } from "./limits.ts";
import { Name, Text, U32, U53, validator } from "./schemas.ts";

export const GroupRequestType = {
  queueOpen: 9,
  lease: 10,
  settle: 11,
  cursor: 12,
  groups: 13,
  groupReset: 14,
  groupRemove: 15,
} as const;

/** Where a new queue begins, or a group is set to. */
export type GroupPlace = "earliest" | "latest" | number | { readonly timeMs: number };

export interface QueueOptions {
  readonly leaseMs: number;
  /** 0: without bound; then there is no dead-letter topic. */
  readonly deliveriesMax: number;
  /** "": none. */
  readonly deadLetter: string;
  readonly keyOrdered: boolean;
}

/** Opens a group's queue in each shard, or gives it these settings. A new one begins at `from`. */
export interface QueueOpenRequest {
  readonly type: "queueOpen";
  readonly group: string;
  readonly options: QueueOptions;
  readonly from: GroupPlace;
  readonly shards: readonly number[];
}

/** Long poll: answered as soon as any shard has records for the consumer. */
export interface LeaseRequest {
  readonly type: "lease";
  readonly group: string;
  /** Who it is: unique, and the same in all requests about its leases. */
  readonly consumer: string;
  readonly maxWaitMs: number;
  /** Of all parts together, about: each part's first batch comes even if it is larger. */
  readonly bytesMax: number;
  /** The first ones are served first. */
  readonly parts: readonly LeasePart[];
}

export interface LeasePart {
  readonly shard: number;
  readonly recordsMax: number;
}

/** What becomes of leased records, many at once. */
export interface SettleRequest {
  readonly type: "settle";
  readonly group: string;
  readonly consumer: string;
  readonly parts: readonly SettlePart[];
}

export interface SettlePart {
  readonly shard: number;
  readonly items: readonly SettleItem[];
}

/**
 * "ack": done for good · "nack": again, after `ms`; without offsets all that the lease holds · "release": back, as if it was not delivered · "extend": the lease
 * lasts `ms` from now on, `offsets` are empty · "leave": the consumer is given nothing any more, and what it still holds
 * goes back, with `ms` 0 as by "release", else as if its time was over; the other fields say nothing.
 */
export type SettleKind = "ack" | "nack" | "release" | "extend" | "leave";
const SETTLE_KINDS: readonly SettleKind[] = ["ack", "nack", "release", "extend", "leave"];

export interface SettleItem {
  readonly kind: SettleKind;
  readonly leaseId: number;
  readonly offsets: OffsetSet;
  readonly ms: number;
}

/** A log group's place. */
export interface CursorRequest {
  readonly type: "cursor";
  readonly group: string;
  readonly parts: readonly CursorPart[];
}

/**
 * "claim": the member takes the partition over, older generations are refused from now on · "commit": `offset` is the
 * next to read · "fetch": only asks. Generation 0: without a coordinator.
 */
export type CursorKind = "claim" | "commit" | "fetch";
const CURSOR_KINDS: readonly CursorKind[] = ["claim", "commit", "fetch"];

export interface CursorPart {
  readonly shard: number;
  readonly kind: CursorKind;
  readonly generation: number;
  readonly offset: number;
  /** Of a claim the member's id, of a commit its metadata. */
  readonly text: string;
}

/** How far groups are. `group` "": all. */
export interface GroupsRequest {
  readonly type: "groups";
  readonly group: string;
  readonly shards: readonly number[];
}

export interface GroupResetRequest {
  readonly type: "groupReset";
  readonly group: string;
  /** Although consumers hold leases. */
  readonly force: boolean;
  readonly parts: readonly { readonly shard: number; readonly to: GroupPlace }[];
}

export interface GroupRemoveRequest {
  readonly type: "groupRemove";
  readonly group: string;
  readonly force: boolean;
  readonly shards: readonly number[];
}

export type GroupRequest =
  | QueueOpenRequest
  | LeaseRequest
  | SettleRequest
  | CursorRequest
  | GroupsRequest
  | GroupResetRequest
  | GroupRemoveRequest;

const Shards = Type.Array(U32, { minItems: 1, maxItems: REQUEST_PARTS_MAX });
const Place = Type.Union([Type.Literal("earliest"), Type.Literal("latest"), U53, Type.Object({ timeMs: U53 })]);
const Kind = Type.Integer({ minimum: 1, maximum: 5 });
const Packed = Type.Uint8Array({ maxByteLength: LEASE_OFFSETS_BYTES_MAX });
const Consumer = Type.String({ minLength: 1, maxLength: 64 });
const header = <T extends number>(type: T) => [Type.Literal(type), U32, Name] as const;

const queueOpenSchema = Type.Tuple([
  ...header(GroupRequestType.queueOpen),
  Type.Tuple([U53, U32, Type.Union([Name, Type.Literal("")]), Type.Boolean()]),
  Place,
  Shards,
]);
const leaseSchema = Type.Tuple([
  ...header(GroupRequestType.lease),
  Consumer,
  U32,
  U32,
  Type.Array(Type.Tuple([U32, Type.Integer({ minimum: 1, maximum: 0xffff_ffff })]), {
    minItems: 1,
    maxItems: LEASE_PARTS_MAX,
  }),
]);
const settleSchema = Type.Tuple([
  ...header(GroupRequestType.settle),
  Consumer,
  Type.Array(
    Type.Tuple([
      U32,
      Type.Array(Type.Tuple([Kind, U53, Packed, U53]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
    ]),
    { minItems: 1, maxItems: REQUEST_PARTS_MAX },
  ),
]);
const cursorSchema = Type.Tuple([
  ...header(GroupRequestType.cursor),
  Type.Array(Type.Tuple([U32, Kind, U53, U53, Text]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
]);
const groupsSchema = Type.Tuple([
  Type.Literal(GroupRequestType.groups),
  U32,
  Type.Union([Name, Type.Literal("")]),
  Shards,
]);
const resetSchema = Type.Tuple([
  ...header(GroupRequestType.groupReset),
  Type.Boolean(),
  Type.Array(Type.Tuple([U32, Place]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
]);
const removeSchema = Type.Tuple([...header(GroupRequestType.groupRemove), Type.Boolean(), Shards]);

const checkQueueOpen = validator("queueOpen", queueOpenSchema);
const checkLease = validator("lease", leaseSchema);
const checkSettle = validator("settle", settleSchema);
const checkCursor = validator("cursor", cursorSchema);
const checkGroups = validator("groups", groupsSchema);
const checkReset = validator("groupReset", resetSchema);
const checkRemove = validator("groupRemove", removeSchema);

/** The head of a request's frame; none of these has a body. */
export function encodeGroupRequest(id: number, request: GroupRequest): unknown[] {
  const { type, group } = request;
  const start = [GroupRequestType[type], id, group];
  switch (type) {
    case "queueOpen": {
      const { leaseMs, deliveriesMax, deadLetter, keyOrdered } = request.options;
      return [...start, [leaseMs, deliveriesMax, deadLetter, keyOrdered], request.from, request.shards];
    }
    case "lease": {
      const parts = request.parts.map(({ shard, recordsMax }) => [shard, recordsMax]);
      return [...start, request.consumer, request.maxWaitMs, request.bytesMax, parts];
    }
    case "settle":
      return [...start, request.consumer, request.parts.map(({ shard, items }) => [shard, items.map(toSettleFields)])];
    case "cursor": {
      const toFields = ({ shard, kind, generation, offset, text }: CursorPart) => [
        shard,
        CURSOR_KINDS.indexOf(kind) + 1,
        generation,
        offset,
        text,
      ];
      return [...start, request.parts.map(toFields)];
    }
    case "groups":
      return [...start, request.shards];
    case "groupReset":
      return [...start, request.force, request.parts.map(({ shard, to }) => [shard, to])];
    case "groupRemove":
      return [...start, request.force, request.shards];
  }
}

/** Undefined: the type is none of these. @throws {WireError} `INVALID_MESSAGE` */
export function decodeGroupRequest(head: unknown[]): GroupRequest | undefined {
  switch (head[0]) {
    case GroupRequestType.queueOpen: {
      const [, , group, [leaseMs, deliveriesMax, deadLetter, keyOrdered], from, shards] = checkQueueOpen(head);
      const options = { leaseMs, deliveriesMax, deadLetter, keyOrdered };
      return { type: "queueOpen", group, options, from, shards };
    }
    case GroupRequestType.lease: {
      const [, , group, consumer, maxWaitMs, bytesMax, rows] = checkLease(head);
      const parts = rows.map(([shard, recordsMax]) => ({ shard, recordsMax }));
      return { type: "lease", group, consumer, maxWaitMs, bytesMax, parts };
    }
    case GroupRequestType.settle: {
      const [, , group, consumer, rows] = checkSettle(head);
      const parts = rows.map(([shard, items]) => ({ shard, items: items.map(fromSettleFields) }));
      return { type: "settle", group, consumer, parts };
    }
    case GroupRequestType.cursor: {
      const [, , group, rows] = checkCursor(head);
      return { type: "cursor", group, parts: rows.map(fromCursorFields) };
    }
    case GroupRequestType.groups: {
      const [, , group, shards] = checkGroups(head);
      return { type: "groups", group, shards };
    }
    case GroupRequestType.groupReset: {
      const [, , group, force, rows] = checkReset(head);
      return { type: "groupReset", group, force, parts: rows.map(([shard, to]) => ({ shard, to })) };
    }
    case GroupRequestType.groupRemove: {
      const [, , group, force, shards] = checkRemove(head);
      return { type: "groupRemove", group, force, shards };
    }
    default:
      return undefined;
  }
}

function toSettleFields({ kind, leaseId, offsets, ms }: SettleItem): unknown[] {
  return [SETTLE_KINDS.indexOf(kind) + 1, leaseId, packOffsets(offsets), ms];
}

function fromSettleFields([kind, leaseId, packed, ms]: [number, number, Uint8Array, number]): SettleItem {
  const offsets = unpackOffsets(packed, LEASE_RECORDS_MAX);
  if (offsets === undefined) throw new WireError("INVALID_MESSAGE", "settle: offsets that are none, or too many");
  return { kind: SETTLE_KINDS[kind - 1]!, leaseId, offsets, ms };
}

function fromCursorFields(fields: Static<typeof cursorSchema>[3][number]): CursorPart {
  const [shard, number, generation, offset, text] = fields;
  const kind = CURSOR_KINDS[number - 1];
  if (kind === undefined) throw new WireError("INVALID_MESSAGE", `cursor: kind ${number} is not known`);
  return { shard, kind, generation, offset, text };
}

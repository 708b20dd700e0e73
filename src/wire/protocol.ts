/**
 * What a client asks of a node. Every message is a positional array: request `[type, correlationId, …fields]`, answer
 * `[correlationId, code, …fields]` (see responses.ts). Batches travel in the frame's body, back to back.
 *
 * A connection's requests may be pipelined. The server starts them in order; answers may overtake each other.
 */
import { type Static, Type } from "@sinclair/typebox";
import {
  type CoordinatorRequest,
  CoordinatorRequestType,
  decodeCoordinatorRequest,
  encodeCoordinatorRequest,
} from "./coordinator-protocol.ts";
import { WireError } from "./errors.ts";
import { encodeFrame } from "./frames.ts";
import { decodeGroupRequest, encodeGroupRequest, type GroupRequest, GroupRequestType } from "./group-protocol.ts";
import { REQUEST_PARTS_MAX } from "./limits.ts";
import { Name, Text, U16, U32, U53, type Validator, validator } from "./schemas.ts";

/** Sent in HELLO; a node refuses another major version with `UNSUPPORTED_VERSION`. */
export const PROTOCOL_VERSION = 2;

export const RequestType = {
  hello: 1,
  metadata: 2,
  produce: 3,
  fetch: 4,
  producerId: 5,
  offsets: 6,
  admin: 7,
  deleteRecords: 8,
  ...GroupRequestType,
  ...CoordinatorRequestType,
} as const;

export type RequestName = keyof typeof RequestType;

/** Requests that may wait for something to happen. */
export const LONG_POLLS: ReadonlySet<RequestName> = new Set(["fetch", "lease"]);

/** Who a client says it is. `mechanism` "plain": a name and its secret. */
export const CredentialsSchema = Type.Object({
  mechanism: Type.Literal("plain"),
  name: Type.String({ minLength: 1, maxLength: 249 }),
  secret: Type.String({ minLength: 1, maxLength: 1024 }),
});
export type Credentials = Static<typeof CredentialsSchema>;

export interface HelloRequest {
  readonly type: "hello";
  readonly protocolVersion: number;
  readonly clientName: string;
  readonly credentials: Credentials | null;
}

/** `topics` null: all of them. */
export interface MetadataRequest {
  readonly type: "metadata";
  readonly topics: readonly string[] | null;
}

/** One batch per part; a shard may occur several times, in order. */
export interface ProduceRequest {
  readonly type: "produce";
  readonly timeoutMs: number;
  readonly parts: readonly ProducePart[];
}

export interface ProducePart {
  readonly shard: number;
  /** One whole entry of kind batch, as its producer built it. A view of the frame when decoded. Not yet verified. */
  readonly bytes: Uint8Array;
}

/**
 * Long poll on a session: answered when `bytesMin` of what is asked for in it are there, or after `maxWaitMs`, or at once
 * with an error of a partition. What the answer does not speak of stays asked for; several polls may wait in one session.
 */
export interface FetchRequest {
  readonly type: "fetch";
  /** Chosen by the client. It belongs to its connection, and ends with it. */
  readonly session: number;
  /** `open` also takes the place of a session of this number; `end` gives it up, and is answered at once. */
  readonly step: FetchStep;
  readonly maxWaitMs: number;
  readonly bytesMin: number;
  /** Of the answer. The first entry of the first part that has any is sent even if it is larger. */
  readonly bytesMax: number;
  /** Asked for from now on; a shard that was asked for already is asked for from the new offset instead. */
  readonly parts: readonly FetchPart[];
  /** Shards no longer asked for; taken before `parts`. */
  readonly dropped: readonly number[];
}

export type FetchStep = "open" | "go on" | "end";
const FETCH_STEPS: readonly FetchStep[] = ["open", "go on", "end"];

export interface FetchPart {
  readonly shard: number;
  readonly offset: number;
  readonly bytesMax: number;
}

export interface ProducerIdRequest {
  readonly type: "producerId";
}

export interface OffsetsRequest {
  readonly type: "offsets";
  readonly parts: readonly OffsetsPart[];
}

export interface OffsetsPart {
  readonly shard: number;
  readonly at: OffsetsAt;
}

/** `timeMs`: the first record of the first batch whose max timestamp is at or after it; the end if there is none. */
export type OffsetsAt = "earliest" | "latest" | { readonly timeMs: number };

/** Records below each part's offset may go, for every reader. */
export interface DeleteRecordsRequest {
  readonly type: "deleteRecords";
  readonly parts: readonly DeleteRecordsPart[];
}

export interface DeleteRecordsPart {
  readonly shard: number;
  readonly beforeOffset: number;
}

/** See admin-commands.ts for the commands and their arguments. */
export interface AdminRequest {
  readonly type: "admin";
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export type Request =
  | HelloRequest
  | MetadataRequest
  | ProduceRequest
  | FetchRequest
  | ProducerIdRequest
  | OffsetsRequest
  | AdminRequest
  | DeleteRecordsRequest
  | GroupRequest
  | CoordinatorRequest;

const helloSchema = Type.Tuple([
  Type.Literal(RequestType.hello),
  U32,
  U16,
  Type.String({ maxLength: 249 }),
  Type.Union([CredentialsSchema, Type.Null()]),
]);
const metadataSchema = Type.Tuple([
  Type.Literal(RequestType.metadata),
  U32,
  Type.Union([Type.Array(Name, { maxItems: REQUEST_PARTS_MAX }), Type.Null()]),
]);
const produceSchema = Type.Tuple([
  Type.Literal(RequestType.produce),
  U32,
  U32,
  Type.Array(Type.Tuple([U32, U32]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
]);
const fetchSchema = Type.Tuple([
  Type.Literal(RequestType.fetch),
  U32,
  U32,
  Type.Integer({ minimum: 0, maximum: FETCH_STEPS.length - 1 }),
  U32,
  U32,
  U32,
  Type.Array(Type.Tuple([U32, U53, U32]), { maxItems: REQUEST_PARTS_MAX }),
  Type.Array(U32, { maxItems: REQUEST_PARTS_MAX }),
]);
const producerIdSchema = Type.Tuple([Type.Literal(RequestType.producerId), U32]);
const offsetsAtSchema = Type.Union([
  Type.Literal("earliest"),
  Type.Literal("latest"),
  Type.Object({ timeMs: U53 }),
]);
const offsetsSchema = Type.Tuple([
  Type.Literal(RequestType.offsets),
  U32,
  Type.Array(Type.Tuple([U32, offsetsAtSchema]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
]);
const adminSchema = Type.Tuple([
  Type.Literal(RequestType.admin),
  U32,
  Text,
  Type.Record(Type.String(), Type.Unknown()),
]);
const deleteRecordsSchema = Type.Tuple([
  Type.Literal(RequestType.deleteRecords),
  U32,
  Type.Array(Type.Tuple([U32, U53]), { minItems: 1, maxItems: REQUEST_PARTS_MAX }),
]);

const validators = {
  hello: validator("hello", helloSchema),
  metadata: validator("metadata", metadataSchema),
  produce: validator("produce", produceSchema),
  fetch: validator("fetch", fetchSchema),
  producerId: validator("producerId", producerIdSchema),
  offsets: validator("offsets", offsetsSchema),
  admin: validator("admin", adminSchema),
  deleteRecords: validator("deleteRecords", deleteRecordsSchema),
};

/** A whole frame, as chunks for one write. Batches go by reference. */
export function encodeRequest(correlationId: number, request: Request): Uint8Array[] {
  const type = RequestType[request.type];
  switch (request.type) {
    case "hello":
      return encodeFrame([type, correlationId, request.protocolVersion, request.clientName, request.credentials]);
    case "metadata":
      return encodeFrame([type, correlationId, request.topics]);
    case "produce":
      return encodeFrame(
        [type, correlationId, request.timeoutMs, request.parts.map((part) => [part.shard, part.bytes.length])],
        request.parts.map((part) => part.bytes),
      );
    case "fetch": {
      const { session, maxWaitMs, bytesMin, bytesMax, dropped } = request;
      const step = FETCH_STEPS.indexOf(request.step);
      const parts = request.parts.map((part) => [part.shard, part.offset, part.bytesMax]);
      return encodeFrame([type, correlationId, session, step, maxWaitMs, bytesMin, bytesMax, parts, dropped]);
    }
    case "producerId":
      return encodeFrame([type, correlationId]);
    case "offsets":
      return encodeFrame([type, correlationId, request.parts.map((part) => [part.shard, part.at])]);
    case "admin":
      return encodeFrame([type, correlationId, request.command, request.args]);
    case "deleteRecords":
      return encodeFrame([type, correlationId, request.parts.map((part) => [part.shard, part.beforeOffset])]);
    case "groupHeartbeat":
    case "groupLeave":
    case "groupMembers":
    case "groupList":
      return encodeFrame(encodeCoordinatorRequest(correlationId, request));
    default:
      return encodeFrame(encodeGroupRequest(correlationId, request));
  }
}

/** What a frame's head and body say. @throws {WireError} `INVALID_MESSAGE`, with the correlation id if it has one. */
export function decodeRequest(head: unknown[], body: Uint8Array): { correlationId: number; request: Request } {
  const correlationId = head[1];
  if (typeof correlationId !== "number" || correlationId >>> 0 !== correlationId) {
    throw new WireError("INVALID_MESSAGE", "a request begins with its type and a u32 correlation id");
  }
  try {
    return { correlationId, request: decodeFields(head, body) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new WireError(error.code, error.message, correlationId);
  }
}

function decodeFields(head: unknown[], body: Uint8Array): Request {
  const type = head[0];
  if (type === RequestType.produce) return decodeProduce(checked(validators.produce, head), body);
  if (body.length > 0) throw new WireError("INVALID_MESSAGE", `a request of type ${String(type)} has no body`);
  switch (type) {
    case RequestType.fetch: {
      const [, , session, step, maxWaitMs, bytesMin, bytesMax, parts, dropped] = checked(validators.fetch, head);
      return {
        type: "fetch",
        session,
        step: FETCH_STEPS[step]!,
        maxWaitMs,
        bytesMin,
        bytesMax,
        parts: parts.map(([shard, offset, partBytesMax]) => ({ shard, offset, bytesMax: partBytesMax })),
        dropped,
      };
    }
    case RequestType.hello: {
      const [, , protocolVersion, clientName, credentials] = checked(validators.hello, head);
      return { type: "hello", protocolVersion, clientName, credentials };
    }
    case RequestType.metadata:
      return { type: "metadata", topics: checked(validators.metadata, head)[2] };
    case RequestType.producerId:
      checked(validators.producerId, head);
      return { type: "producerId" };
    case RequestType.offsets: {
      const parts = checked(validators.offsets, head)[2];
      return { type: "offsets", parts: parts.map(([shard, at]) => ({ shard, at })) };
    }
    case RequestType.admin: {
      const [, , command, args] = checked(validators.admin, head);
      return { type: "admin", command, args };
    }
    case RequestType.deleteRecords: {
      const parts = checked(validators.deleteRecords, head)[2];
      return { type: "deleteRecords", parts: parts.map(([shard, beforeOffset]) => ({ shard, beforeOffset })) };
    }
    default: {
      const request = decodeGroupRequest(head) ?? decodeCoordinatorRequest(head);
      if (request !== undefined) return request;
      throw new WireError("INVALID_MESSAGE", `request type ${String(type)} is not known`);
    }
  }
}

function decodeProduce(head: Static<typeof produceSchema>, body: Uint8Array): ProduceRequest {
  const parts: ProducePart[] = [];
  let at = 0;
  for (const [shard, byteLength] of head[3]) {
    const end = at + byteLength;
    if (end > body.length) throw new WireError("INVALID_MESSAGE", "the parts are longer than the body");
    parts.push({ shard, bytes: body.subarray(at, end) });
    at = end;
  }
  if (at !== body.length) throw new WireError("INVALID_MESSAGE", "the body is longer than its parts");
  return { type: "produce", timeoutMs: head[2], parts };
}

/** Names the validator's result type where inference through the table would lose it. */
function checked<T>(check: Validator<T>, head: unknown): T {
  return check(head);
}

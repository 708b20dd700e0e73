/** What a node answers: `[correlationId, code, …fields]`; code "" is success, else `[…, code, message, details]`. */
import { type Static, Type } from "@sinclair/typebox";
import { coordinatorDecoders, coordinatorEncoders, type CoordinatorResponses } from "./coordinator-responses.ts";
import { RaftlineError, WireError } from "./errors.ts";
import { encodeFrame } from "./frames.ts";
import { type EncodedGroups, groupDecoders, groupEncoders, type GroupResponses } from "./group-responses.ts";
import { NodeIdSchema, Text, U16, U32, U53, validator } from "./schemas.ts";

/** Bounds a client must keep with this node. */
export const ServerLimitsSchema = Type.Object({ batchBytesMax: U32, frameBytesMax: U32, inFlightBytesMax: U32 });
export type ServerLimits = Static<typeof ServerLimitsSchema>;

export interface HelloResponse {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly limits: ServerLimits;
}

export interface MetadataResponse {
  /** Raft revision of the metadata this answer shows; never goes back on one node. */
  readonly revision: number;
  readonly nodes: readonly NodeAddress[];
  readonly topics: readonly TopicMetadata[];
}

/** Where clients reach a node. */
export interface NodeAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface TopicMetadata {
  readonly name: string;
  /** "" or `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`; then the rest is empty. */
  readonly code: string;
  readonly topicId: number;
  readonly settings: Readonly<Record<string, unknown>>;
  /** By partition number. */
  readonly partitions: readonly PartitionMetadata[];
}

export interface PartitionMetadata {
  readonly shard: number;
  /** 0: not known. */
  readonly leader: number;
  readonly leaderTerm: number;
}

/** One result per part of the request, in its order. */
export interface ProduceResponse {
  readonly parts: readonly ProduceResult[];
}

export interface ProduceResult {
  /** "" or an error code. */
  readonly code: string;
  /** Offset of the batch's first record; for a batch stored before, the first one given. */
  readonly baseOffset: number;
  /** Node that probably leads, 0 if not known. */
  readonly leaderHint: number;
}

/** Of the shards of which there is something to say; they are no longer asked for in the session. */
export interface FetchResponse {
  readonly parts: readonly FetchResult[];
}

export interface FetchResult {
  readonly shard: number;
  /** The offset that was asked for. */
  readonly offset: number;
  readonly code: string;
  /** First offset that is not committed yet. */
  readonly highWatermark: number;
  /** First offset that still exists. */
  readonly startOffset: number;
  readonly leaderHint: number;
  /** Whole entries, back to back, of any kind. The first may begin before the asked offset. */
  readonly chunks: readonly Uint8Array[];
}

export interface ProducerIdResponse {
  readonly producerId: number;
  readonly epoch: number;
}

export interface OffsetsResponse {
  readonly parts: readonly OffsetsResult[];
}

export interface OffsetsResult {
  readonly code: string;
  readonly offset: number;
  readonly leaderHint: number;
}

export interface AdminResponse {
  readonly result: unknown;
}

/** One result per part of the request, in its order. */
export interface DeleteRecordsResponse {
  readonly parts: readonly DeleteRecordsResult[];
}

export interface DeleteRecordsResult {
  readonly code: string;
  /** First offset that still exists. */
  readonly startOffset: number;
  readonly leaderHint: number;
}

/** Which answer belongs to which request. */
export interface Responses extends GroupResponses, CoordinatorResponses {
  readonly hello: HelloResponse;
  readonly metadata: MetadataResponse;
  readonly produce: ProduceResponse;
  readonly fetch: FetchResponse;
  readonly producerId: ProducerIdResponse;
  readonly offsets: OffsetsResponse;
  readonly admin: AdminResponse;
  readonly deleteRecords: DeleteRecordsResponse;
}

const Code = Type.String({ maxLength: 64 });
const Ok = Type.Literal("");

const validators = {
  hello: validator("hello response", Type.Tuple([U32, Ok, NodeIdSchema, Text, ServerLimitsSchema])),
  metadata: validator(
    "metadata response",
    Type.Tuple([
      U32,
      Ok,
      U53,
      Type.Array(Type.Tuple([NodeIdSchema, Text, U16])),
      Type.Array(Type.Tuple([
        Text,
        Code,
        U32,
        Type.Record(Type.String(), Type.Unknown()),
        Type.Array(Type.Tuple([U32, NodeIdSchema, U53])),
      ])),
    ]),
  ),
  produce: validator("produce response", Type.Tuple([U32, Ok, Type.Array(Type.Tuple([Code, U53, NodeIdSchema]))])),
  fetch: validator(
    "fetch response",
    Type.Tuple([U32, Ok, Type.Array(Type.Tuple([U32, U53, Code, U53, U53, U32, NodeIdSchema]))]),
  ),
  producerId: validator("producerId response", Type.Tuple([U32, Ok, U53, U16])),
  offsets: validator("offsets response", Type.Tuple([U32, Ok, Type.Array(Type.Tuple([Code, U53, NodeIdSchema]))])),
  admin: validator("admin response", Type.Tuple([U32, Ok, Type.Unknown()])),
  deleteRecords: validator(
    "deleteRecords response",
    Type.Tuple([U32, Ok, Type.Array(Type.Tuple([Code, U53, NodeIdSchema]))]),
  ),
};

type Decoders = { readonly [T in keyof Responses]: (head: unknown[], body: Uint8Array) => Responses[T] };

const decoders: Decoders = {
  hello: (head) => {
    const [, , nodeId, clusterId, limits] = validators.hello(head);
    return { nodeId, clusterId, limits };
  },
  metadata: (head) => {
    const [, , revision, nodes, topics] = validators.metadata(head);
    return {
      revision,
      nodes: nodes.map(([id, host, port]) => ({ id, host, port })),
      topics: topics.map(([name, code, topicId, settings, partitions]) => ({
        name,
        code,
        topicId,
        settings,
        partitions: partitions.map(([shard, leader, leaderTerm]) => ({ shard, leader, leaderTerm })),
      })),
    };
  },
  produce: (head) => ({
    parts: validators.produce(head)[2].map(([code, baseOffset, leaderHint]) => ({ code, baseOffset, leaderHint })),
  }),
  fetch: decodeFetch,
  producerId: (head) => {
    const [, , producerId, epoch] = validators.producerId(head);
    return { producerId, epoch };
  },
  offsets: (head) => ({
    parts: validators.offsets(head)[2].map(([code, offset, leaderHint]) => ({ code, offset, leaderHint })),
  }),
  admin: (head) => ({ result: validators.admin(head)[2] }),
  deleteRecords: (head) => ({
    parts: validators.deleteRecords(head)[2].map(([code, startOffset, leaderHint]) => ({
      code,
      startOffset,
      leaderHint,
    })),
  }),
  ...groupDecoders,
  ...coordinatorDecoders,
};

function decodeFetch(head: unknown[], body: Uint8Array): FetchResponse {
  const parts: FetchResult[] = [];
  let at = 0;
  for (const [shard, offset, code, highWatermark, startOffset, byteLength, leaderHint] of validators.fetch(head)[2]) {
    const end = at + byteLength;
    if (end > body.length) throw new WireError("INVALID_MESSAGE", "the parts are longer than the body");
    const chunks = byteLength === 0 ? [] : [body.subarray(at, end)];
    parts.push({ shard, offset, code, highWatermark, startOffset, leaderHint, chunks });
    at = end;
  }
  if (at !== body.length) throw new WireError("INVALID_MESSAGE", "the body is longer than its parts");
  return { parts };
}

const partsEncoders = { ...groupEncoders, ...coordinatorEncoders };

type Encoders = {
  readonly [T in Exclude<keyof Responses, keyof typeof partsEncoders>]: (
    correlationId: number,
    response: Responses[T],
  ) => Uint8Array[];
};

const encoders: Encoders = {
  hello: (id, response) => encodeFrame([id, "", response.nodeId, response.clusterId, response.limits]),
  metadata: (id, { revision, nodes, topics }) =>
    encodeFrame([
      id,
      "",
      revision,
      nodes.map((node) => [node.id, node.host, node.port]),
      topics.map((topic) => [
        topic.name,
        topic.code,
        topic.topicId,
        topic.settings,
        topic.partitions.map((partition) => [partition.shard, partition.leader, partition.leaderTerm]),
      ]),
    ]),
  produce: (id, { parts }) => encodeFrame([id, "", parts.map((part) => [part.code, part.baseOffset, part.leaderHint])]),
  fetch: (id, { parts }) => {
    const body: Uint8Array[] = [];
    const results = parts.map((part) => {
      let byteLength = 0;
      for (const chunk of part.chunks) {
        body.push(chunk);
        byteLength += chunk.length;
      }
      const { shard, offset, code, highWatermark, startOffset, leaderHint } = part;
      return [shard, offset, code, highWatermark, startOffset, byteLength, leaderHint];
    });
    return encodeFrame([id, "", results], body);
  },
  producerId: (id, { producerId, epoch }) => encodeFrame([id, "", producerId, epoch]),
  offsets: (id, { parts }) => encodeFrame([id, "", parts.map((part) => [part.code, part.offset, part.leaderHint])]),
  admin: (id, { result }) => encodeFrame([id, "", result]),
  deleteRecords: (id, { parts }) =>
    encodeFrame([id, "", parts.map((part) => [part.code, part.startOffset, part.leaderHint])]),
};

/** A whole frame, as chunks for one write; a fetch's entries go by reference. */
export function encodeResponse<T extends keyof Responses>(
  type: T,
  correlationId: number,
  response: Responses[T],
): Uint8Array[] {
  if (type in partsEncoders) {
    const encode = partsEncoders[type as keyof typeof partsEncoders] as (of: Responses[T]) => EncodedGroups;
    const { parts, body } = encode(response);
    return encodeFrame([correlationId, "", parts], body);
  }
  const encode = encoders[type as keyof Encoders] as (id: number, of: Responses[T]) => Uint8Array[];
  return encode(correlationId, response);
}

/** A whole frame that says the request failed. Correlation id 0: the whole connection did. */
export function encodeFailure(correlationId: number, code: string, message: string, details?: unknown): Uint8Array[] {
  return encodeFrame(details === undefined ? [correlationId, code, message] : [correlationId, code, message, details]);
}

/** Which request an answer is for. @throws {WireError} */
export function correlationIdOf(head: unknown[]): number {
  const id = head[0];
  if (typeof id !== "number" || id >>> 0 !== id) {
    throw new WireError("INVALID_MESSAGE", "an answer has no correlation id");
  }
  return id;
}

/** The failure an answer tells, if it tells one. @throws {WireError} `INVALID_MESSAGE` */
export function failureOf(head: unknown[]): RaftlineError | undefined {
  const [, code, message, details] = head;
  if (code === "") return undefined;
  if (typeof code !== "string" || typeof message !== "string") {
    throw new WireError("INVALID_MESSAGE", "an answer has no code");
  }
  return new RaftlineError(code, message, { details });
}

/**
 * An answer's fields.
 * @throws {RaftlineError} if it tells a failure
 * @throws {WireError} `INVALID_MESSAGE`
 */
export function decodeResponse<T extends keyof Responses>(type: T, head: unknown[], body: Uint8Array): Responses[T] {
  const failure = failureOf(head);
  if (failure !== undefined) throw failure;
  return decoders[type](head, body);
}

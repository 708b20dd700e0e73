/** The codes of the protocol, with whether trying again can help. They are stable: clients and the HTTP API show them. */

/** Every code, and whether the same request may succeed later without anybody changing anything. */
export const errorCodes = {
  /** Not known to this node's metadata (yet). */
  UNKNOWN_TOPIC: { retriable: false },
  UNKNOWN_PARTITION: { retriable: false },
  UNKNOWN_NODE: { retriable: false },
  /** This node holds the shard but does not lead it, or does not hold it: metadata or the hint says who does. */
  NOT_LEADER: { retriable: true },
  /** An election is under way. */
  NO_LEADER: { retriable: true },
  /** A record, batch or frame above its limit. */
  TOO_LARGE: { retriable: false },
  THROTTLED: { retriable: true },
  /** The outcome is not known: what was asked may have happened. */
  TIMED_OUT: { retriable: true },
  NOT_AUTHORIZED: { retriable: false },
  INVALID_REQUEST: { retriable: false },
  INVALID_NAME: { retriable: false },
  INVALID_RECORD: { retriable: false },
  ALREADY_EXISTS: { retriable: false },
  NOT_ENOUGH_NODES: { retriable: false },
  /** It holds replicas. */
  NODE_IN_USE: { retriable: false },
  /** A batch of this producer before this one is missing. */
  OUT_OF_ORDER_SEQUENCE: { retriable: true },
  UNKNOWN_PRODUCER_ID: { retriable: false },
  /** A newer epoch of this producer has written. */
  PRODUCER_FENCED: { retriable: false },
  OFFSET_OUT_OF_RANGE: { retriable: false },
  /** A fetch session that was not opened on this connection: what was asked for has to be asked for anew. */
  UNKNOWN_SESSION: { retriable: true },
  CORRUPT: { retriable: false },
  DISK_FULL: { retriable: true },
  /** This node has no such group. */
  UNKNOWN_GROUP: { retriable: false },
  /** A queue's name for a log group, or the other way round. */
  WRONG_GROUP_KIND: { retriable: false },
  TOO_MANY_GROUPS: { retriable: false },
  /** Somebody works with the group right now. */
  GROUP_ACTIVE: { retriable: false },
  /** A newer generation of the group has claimed the partition. */
  STALE_GENERATION: { retriable: false },
  /** The group has forgotten the member (it was silent for too long), which joins anew. */
  UNKNOWN_MEMBER: { retriable: true },
  /** Another member runs under the same instance id now. */
  INSTANCE_FENCED: { retriable: false },
  TOO_MANY_MEMBERS: { retriable: false },
  /** The lease has ended: the record is, or will be, delivered again. */
  LEASE_EXPIRED: { retriable: false },
  /** Never given, or given to another consumer. */
  UNKNOWN_LEASE: { retriable: false },
  /** Used after its own `close()`. */
  CLOSED: { retriable: false },
  /** No node could be reached, or the connection broke: the outcome of a write is not known. */
  UNAVAILABLE: { retriable: true },
  /** Under TLS: a certificate is not believed, or the other side does not speak TLS. */
  UNTRUSTED: { retriable: false },
  TOO_MANY_CONNECTIONS: { retriable: true },
  UNSUPPORTED_VERSION: { retriable: false },
  UNKNOWN_COMMAND: { retriable: false },
  /** The bytes are not this protocol. */
  MALFORMED: { retriable: false },
  INTERNAL: { retriable: false },
} as const satisfies Record<string, { readonly retriable: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

/** Whether `code` is one this version knows. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}

/**
 * An expected failure, as users of the client see it.
 *
 * @example
 * try { await producer.send("orders", { value }); } catch (error) {
 *   if (error instanceof RaftlineError && error.code === "UNKNOWN_TOPIC") await client.admin.createTopic("orders");
 *   else throw error;
 * }
 */
export class RaftlineError extends Error {
  /** One of {@link errorCodes}, or one that a newer node knows. */
  readonly code: string;
  readonly retriable: boolean;
  readonly details: unknown;

  constructor(code: ErrorCode | (string & Record<never, never>), message: string, options: RaftlineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RaftlineError";
    this.code = code;
    this.retriable = options.retriable ?? (isErrorCode(code) && errorCodes[code].retriable);
    this.details = options.details;
  }
}

export interface RaftlineErrorOptions {
  readonly cause?: unknown;
  readonly retriable?: boolean;
  readonly details?: unknown;
}

export type WireErrorCode =
  | "FRAME_TOO_LARGE"
  | "HEAD_TOO_LARGE"
  | "MALFORMED"
  | "TOO_DEEP"
  | "TOO_MANY_ITEMS"
  | "REFUSED_TAG"
  | "INVALID_MESSAGE";

/** Bytes that break the protocol: the connection they came on is not usable any more, `INVALID_MESSAGE` excepted. */
export class WireError extends Error {
  readonly code: WireErrorCode;
  /** Whom to answer, if that much could be read. */
  readonly correlationId: number | undefined;

  constructor(code: WireErrorCode, message: string, correlationId?: number) {
    super(message);
    this.name = "WireError";
    this.code = code;
    this.correlationId = correlationId;
  }
}

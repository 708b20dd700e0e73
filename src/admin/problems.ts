/** Failures as RFC 9457 problem documents, with the same codes as the client protocol. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ErrorCode, RaftlineError } from "../wire/errors.ts";

/** Codes that HTTP alone has. */
type HttpCode =
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "FOREIGN_ORIGIN"
  | "FOREIGN_HOST"
  | "FORBIDDEN";

const STATUS: Readonly<Record<ErrorCode | HttpCode, ContentfulStatusCode>> = {
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  UNSUPPORTED_MEDIA_TYPE: 415,
  FOREIGN_ORIGIN: 403,
  FOREIGN_HOST: 403,
  FORBIDDEN: 403,
  UNKNOWN_TOPIC: 404,
  UNKNOWN_PARTITION: 404,
  UNKNOWN_GROUP: 404,
  UNKNOWN_COMMAND: 404,
  UNKNOWN_NODE: 404,
  INVALID_NAME: 400,
  INVALID_REQUEST: 400,
  INVALID_RECORD: 400,
  MALFORMED: 400,
  UNSUPPORTED_VERSION: 400,
  OFFSET_OUT_OF_RANGE: 400,
  NOT_ENOUGH_NODES: 400,
  NOT_AUTHORIZED: 401,
  ALREADY_EXISTS: 409,
  NODE_IN_USE: 409,
  WRONG_GROUP_KIND: 409,
  GROUP_ACTIVE: 409,
  STALE_GENERATION: 409,
  INSTANCE_FENCED: 409,
  PRODUCER_FENCED: 409,
  OUT_OF_ORDER_SEQUENCE: 409,
  UNKNOWN_PRODUCER_ID: 409,
  UNKNOWN_MEMBER: 409,
  UNKNOWN_LEASE: 409,
  UNKNOWN_SESSION: 409,
  LEASE_EXPIRED: 409,
  TOO_MANY_GROUPS: 409,
  TOO_MANY_MEMBERS: 409,
  TOO_LARGE: 413,
  THROTTLED: 429,
  NO_LEADER: 503,
  NOT_LEADER: 503,
  UNAVAILABLE: 503,
  CLOSED: 503,
  TOO_MANY_CONNECTIONS: 503,
  DISK_FULL: 507,
  TIMED_OUT: 504,
  // Between this node and the one that it asked.
  UNTRUSTED: 502,
  CORRUPT: 500,
  INTERNAL: 500,
};

export function problem(context: Context, code: string, detail: string): Response {
  const status = Object.hasOwn(STATUS, code) ? STATUS[code as keyof typeof STATUS] : 500;
  return context.json({ type: "about:blank", title: code, status, code, detail }, status, {
    "content-type": "application/problem+json",
  });
}

export function problemOf(context: Context, error: unknown): Response {
  if (error instanceof HTTPException && error.status === 401) {
    context.header("www-authenticate", 'Basic realm="raftline"');
    return problem(context, "NOT_AUTHORIZED", "no or wrong credentials");
  }
  if (error instanceof RaftlineError) return problem(context, error.code, error.message);
  return problem(context, "INTERNAL", "the node could not answer; its log says why");
}

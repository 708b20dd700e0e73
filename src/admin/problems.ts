/** Failures as RFC 9457 problem documents, with the same codes as the client protocol. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { RaftlineError } from "../wire/errors.ts";

const STATUS: Readonly<Record<string, ContentfulStatusCode>> = {
  UNKNOWN_TOPIC: 404,
  UNKNOWN_PARTITION: 404,
  UNKNOWN_NODE: 400,
  NOT_FOUND: 404,
  UNKNOWN_GROUP: 404,
  ALREADY_EXISTS: 409,
  INVALID_NAME: 400,
  INVALID_REQUEST: 400,
  OFFSET_OUT_OF_RANGE: 400,
  NOT_ENOUGH_NODES: 400,
  NOT_AUTHORIZED: 401,
  TOO_LARGE: 413,
  THROTTLED: 429,
  NO_LEADER: 503,
  NOT_LEADER: 503,
  UNAVAILABLE: 503,
  DISK_FULL: 507,
  TIMED_OUT: 504,
};

export function problem(context: Context, code: string, detail: string): Response {
  const status = STATUS[code] ?? 500;
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

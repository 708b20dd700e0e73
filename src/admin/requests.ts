/** What routes have in common: their description, and what is asked of a request. */
import type { Static, TSchema } from "@sinclair/typebox";
import type { TypeCheck } from "@sinclair/typebox/compiler";
import type { Context } from "hono";
import { describeRoute } from "hono-openapi";
import { RaftlineError } from "../wire/errors.ts";

export function describe(
  summary: string,
  responses: Record<string, unknown>,
  body?: TSchema,
  parameters?: readonly object[],
): ReturnType<typeof describeRoute> {
  const requestBody = body
    ? { requestBody: { required: true, content: { "application/json": { schema: body } } } }
    : {};
  return describeRoute(
    { summary, responses, ...requestBody, ...(parameters && { parameters }) } as Parameters<typeof describeRoute>[0],
  );
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function wholeNumber(text: string | undefined, name: string): number {
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new RaftlineError("INVALID_REQUEST", `${name} must be a whole number from 0 on, not ${text ?? "left out"}`);
}

/**
 * The type is asked for because a page of another origin cannot send it unasked, other than text.
 * @throws {RaftlineError} `UNSUPPORTED_MEDIA_TYPE`, `INVALID_REQUEST`
 */
export async function jsonBody(context: Context): Promise<unknown> {
  const type = context.req.header("content-type") ?? "left out";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new RaftlineError("UNSUPPORTED_MEDIA_TYPE", `content-type must be application/json, not ${type}`);
  }
  try {
    return await context.req.json();
  } catch (error) {
    throw new RaftlineError("INVALID_REQUEST", `the body is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checked<S extends TSchema>(checker: TypeCheck<S>, body: unknown): Static<S> {
  if (checker.Check(body)) return body;
  const first = checker.Errors(body).First();
  throw new RaftlineError("INVALID_REQUEST", `${first?.path || "/"}: ${first?.message ?? "not valid"}`);
}

/**
 * What users pass is checked where they pass it: a value that makes no sense would be waited for without end, or be
 * refused by a node together with what travels beside it. The message says which value, and what it was.
 */
import { RaftlineError } from "../wire/errors.ts";

export function invalid(message: string): RaftlineError {
  return new RaftlineError("INVALID_REQUEST", message);
}

/** A part of a millisecond counts as a whole one. @throws {RaftlineError} `INVALID_REQUEST` */
export function checkMs(what: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const ms = typeof value === "number" && value >= 0 ? Math.ceil(value) : NaN;
  if (ms >= min && ms <= max) return ms;
  throw invalid(`${what} is ${min} to ${max} ms, not ${show(value)}`);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkWhole(what: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw invalid(`${what} is a whole number from ${min} to ${max}, not ${show(value)}`);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkFunction(what: string, value: unknown): void {
  if (typeof value !== "function") throw invalid(`${what} is a function, not ${show(value)}`);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

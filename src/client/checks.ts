/**
 * What users pass is checked where they pass it: a value that makes no sense would be waited for without end, or be
 * refused by a node together with what travels beside it. The message says which value, and what it was.
 */
import { RaftlineError } from "../wire/errors.ts";
import type { GroupPlace } from "../wire/group-protocol.ts";
import { isName } from "../wire/schemas.ts";

/** No timer waits longer. */
export const TIMER_MS_MAX = 2 ** 31 - 1;
/** A node may hold an empty answer back for so long at most: well within what a connection may be idle. */
export const WAIT_MS_MAX = 300_000;

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
  if (isWhole(value) && value >= min && value <= max) return value;
  throw invalid(`${what} is a whole number from ${min} to ${max}, not ${show(value)}`);
}

/** As {@link checkWhole}, where Infinity is none. @throws {RaftlineError} `INVALID_REQUEST` */
export function checkBound(what: string, value: unknown, min: number): number {
  return value === Infinity ? value : checkWhole(what, value, min);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkOneOf<T>(what: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  throw invalid(`${what} is ${choices.map(show).join(" or ")}, not ${show(value)}`);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkFunction(what: string, value: unknown): void {
  if (typeof value !== "function") throw invalid(`${what} is a function, not ${show(value)}`);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkOptions(what: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw invalid(`${what} takes options, not ${show(value)}`);
}

/** @throws {RaftlineError} `INVALID_NAME` */
export function checkName(of: "topic" | "group" | "instance", value: unknown): string {
  if (typeof value === "string" && isName(value)) return value;
  const what = `${show(value).slice(0, 260)} is not a name of ${of === "instance" ? "an" : "a"} ${of}`;
  throw new RaftlineError("INVALID_NAME", `${what}: 1 to 249 of A-Z a-z 0-9 . _ - but not "." or ".."`);
}

/** Each once; undefined: all. @throws {RaftlineError} `INVALID_REQUEST` */
export function checkPartitions(value: readonly number[] | undefined): readonly number[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) throw invalid(`partitions is a list of some, not ${show(value)}`);
  return [...new Set(value.map((partition) => checkWhole("a partition", partition, 0)))];
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function checkPlace(what: string, value: unknown): GroupPlace {
  if (value === "earliest" || value === "latest" || (isWhole(value) && value >= 0)) return value;
  const timeMs = typeof value === "object" && value !== null && "timeMs" in value ? value.timeMs : undefined;
  if (isWhole(timeMs) && timeMs >= 0) return { timeMs };
  const wanted = `"earliest", "latest", an offset or { timeMs }, both whole numbers from 0 on`;
  throw invalid(`${what} is ${wanted}; not ${timeMs === undefined ? show(value) : `{ timeMs: ${show(timeMs)} }`}`);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

export function show(value: unknown): string {
  if (typeof value === "object" && value !== null) return Object.prototype.toString.call(value);
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/**
 * When a batch's records may be delivered by a queue, and until when they are worth anything: a CBOR array
 * `[deliverAtMs | null, expiresAtMs | null]` in front of the payload of format `cborTimed`, never compressed, so that
 * brokers can read it. All records of such a batch have the same times.
 */
import type { Entry } from "./entry.ts";
import { RecordFormat } from "./entry.ts";
import { RecordsError } from "./errors.ts";

/** Milliseconds since 1970; null: at once, for ever. */
export interface BatchTiming {
  readonly deliverAtMs: number | null;
  readonly expiresAtMs: number | null;
}

export const UNTIMED: BatchTiming = { deliverAtMs: null, expiresAtMs: null };

const ARRAY_OF_TWO = 0x82;
const NULL = 0xf6;
const UINT64 = 0x1b;
const TIME_BYTES = 9;
const HIGH = 2 ** 32;

export function isTimed({ deliverAtMs, expiresAtMs }: BatchTiming): boolean {
  return deliverAtMs !== null || expiresAtMs !== null;
}

export function sameTiming(one: BatchTiming, other: BatchTiming): boolean {
  return one.deliverAtMs === other.deliverAtMs && one.expiresAtMs === other.expiresAtMs;
}

/** What goes in front; nothing where it is not timed. */
export function encodeTiming(timing: BatchTiming): Uint8Array {
  if (!isTimed(timing)) return new Uint8Array(0);
  const times = [timing.deliverAtMs, timing.expiresAtMs];
  const bytes = new Uint8Array(1 + times.reduce<number>((sum, time) => sum + (time === null ? 1 : TIME_BYTES), 0));
  const view = new DataView(bytes.buffer);
  bytes[0] = ARRAY_OF_TWO;
  let at = 1;
  for (const time of times) {
    if (time === null) bytes[at++] = NULL;
    else {
      bytes[at] = UINT64;
      view.setUint32(at + 1, Math.floor(time / HIGH));
      view.setUint32(at + 5, time % HIGH);
      at += TIME_BYTES;
    }
  }
  return bytes;
}

/** The times of a batch, and the bytes they take. @throws {RecordsError} `CORRUPT` */
export function timingOf(entry: Entry): BatchTiming & { readonly byteLength: number } {
  if (entry.format !== RecordFormat.cborTimed) return { deliverAtMs: null, expiresAtMs: null, byteLength: 0 };
  const { payload } = entry;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  let at = 1;
  const next = (): number | null => {
    if (payload[at] === NULL) {
      at += 1;
      return null;
    }
    if (payload[at] !== UINT64 || at + TIME_BYTES > payload.length) throw damaged();
    const time = view.getUint32(at + 1) * HIGH + view.getUint32(at + 5);
    if (!Number.isSafeInteger(time)) throw damaged();
    at += TIME_BYTES;
    return time;
  };
  if (payload[0] !== ARRAY_OF_TWO) throw damaged();
  const deliverAtMs = next();
  const expiresAtMs = next();
  return { deliverAtMs, expiresAtMs, byteLength: at };
}

function damaged(): RecordsError {
  return new RecordsError("CORRUPT", "a timed batch does not begin with its times");
}

/**
 * What of a partition may go by its topic's settings: each rule names an offset below which it needs nothing. The newest
 * batch always stays: no setting, and no clock, empties a partition that is in use.
 */
import type { Log } from "../../src/log/types.ts";
import type { Retention } from "../../src/wire/admin-commands.ts";
import type { TrimReason } from "./commands.ts";
import type { Partition } from "./partition.ts";

/** Trims are few: one is due when a twentieth more than the setting is there, and then all that is above it goes. */
const SLACK = 0.05;
const SLACK_MS_MAX = 5 * 60_000;

/** Records below `offset` may go. */
export interface Expiry {
  readonly offset: number;
  readonly reason: TrimReason;
}

export interface RetentionView {
  readonly partition: Partition;
  readonly log: Log;
  readonly retention: Retention;
  /** See {@link TrustedClock}. */
  readonly nowMs: number;
}

/** Undefined: nothing is due. */
type Rule = (view: RetentionView) => Promise<Expiry | undefined>;

/** Whichever allows most decides: what all groups have consumed may go, time and size are bounds beside it. */
const RULES: readonly Rule[] = [expiredByTime, expiredBySize, consumed];

/** How far the partition may be trimmed now; undefined if no further. @throws {LogError} */
export async function expiryOf(view: RetentionView): Promise<Expiry | undefined> {
  const { startOffset, highWatermark } = view.partition;
  if (startOffset >= highWatermark) return undefined;
  let furthest: Expiry | undefined;
  for (const rule of RULES) {
    const found = await rule(view);
    if (found && found.offset > (furthest?.offset ?? startOffset)) furthest = found;
  }
  if (!furthest) return undefined;
  const newest = await view.partition.batchStart(highWatermark - 1);
  const offset = Math.min(furthest.offset, newest);
  return offset > startOffset ? { ...furthest, offset } : undefined;
}

async function expiredByTime({ partition, retention, nowMs }: RetentionView): Promise<Expiry | undefined> {
  const { ms } = retention;
  if (ms === undefined || ms === null) return undefined;
  const oldestMs = await partition.oldestTimestampMs();
  if (oldestMs + ms + Math.min(ms * SLACK, SLACK_MS_MAX) > nowMs) return undefined;
  return { offset: await partition.offsetAtTime(nowMs - ms), reason: "time" };
}

async function expiredBySize({ partition, log, retention }: RetentionView): Promise<Expiry | undefined> {
  const { bytes } = retention;
  if (bytes === undefined || bytes === null || partition.sizeBytes <= bytes * (1 + SLACK)) return undefined;
  const index = await log.seekSize(partition.replica.group, bytes);
  return { offset: await partition.offsetAtIndex(index), reason: "size" };
}

/** Nothing while a group has not begun, or while there is none: somebody may be on the way. */
function consumed({ partition, retention }: RetentionView): Promise<Expiry | undefined> {
  const offset = retention.consumed === true ? partition.groupTable.consumedTo : undefined;
  return Promise.resolve(offset === undefined ? undefined : { offset, reason: "consumed" });
}

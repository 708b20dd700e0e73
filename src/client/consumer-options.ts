/** What `client.consumer` takes, and the defaults. */
import {
  checkBound,
  checkFunction,
  checkMs,
  checkName,
  checkOneOf,
  checkOptions,
  checkPartitions,
  checkPlace,
  invalid,
  WAIT_MS_MAX,
} from "./checks.ts";
import { type GroupOptions, type GroupSettings, groupSettings } from "./group-options.ts";
import type { From } from "./start-offsets.ts";

export interface ConsumerOptions extends GroupOptions {
  readonly topics: readonly string[];
  /**
   * Where to begin; a function decides for each partition. With a group only where that has not been before. Default:
   * "latest", of a group "earliest".
   */
  readonly from?: From | ((topic: string, partition: number) => From);
  /** Only these partitions, of each topic: each must have them. Default: all. */
  readonly partitions?: readonly number[];
  /** "end": stop where the partitions ended when reading began. Default: go on for ever. */
  readonly until?: "end";
  /** Fetched and not yet given out, in bytes, about. Default: 32 MiB. */
  readonly prefetchBytesMax?: number;
  /** How long a node may hold an empty answer back. Default: 1,000; at most 300,000. */
  readonly maxWaitMs?: number;
  /**
   * What was given out, batch or record, is good only until the next one is asked for: its memory is used again then. For
   * whoever keeps nothing, and reads much. Default: false.
   */
  readonly reuseMemory?: boolean;
  /** Records were deleted (by retention, or by hand) before they were read: reading goes on at `toOffset`. */
  readonly onTrimmed?: (gap: TrimmedGap) => void;
}

/** Records from `fromOffset` on, below `toOffset`, that were gone before this consumer came to them. */
export interface TrimmedGap {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
}

export interface ConsumerSettings {
  readonly topics: readonly string[];
  readonly from: (topic: string, partition: number) => From;
  /** Undefined: all. */
  readonly partitions: readonly number[] | undefined;
  readonly untilEnd: boolean;
  readonly prefetchBytesMax: number;
  readonly maxWaitMs: number;
  readonly reuseMemory: boolean;
  readonly onTrimmed: ((gap: TrimmedGap) => void) | undefined;
  /** Undefined: none. */
  readonly group: GroupSettings | undefined;
}

/** @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME` */
export function consumerSettings(options: ConsumerOptions): ConsumerSettings {
  checkOptions("a consumer", options);
  const { partitions, until, prefetchBytesMax = 32 * 2 ** 20, maxWaitMs = 1_000, reuseMemory = false } = options;
  const topics = topicsOf(options);
  const group = groupSettings(options, topics);
  if (group !== undefined && (partitions !== undefined || until !== undefined)) {
    throw invalid("a member of a group chooses neither partitions nor an end");
  }
  const { from = group === undefined ? "latest" : "earliest", onTrimmed } = options;
  const place = typeof from === "function" ? undefined : checkPlace("from", from);
  if (onTrimmed !== undefined) checkFunction("onTrimmed", onTrimmed);
  return {
    topics,
    from: typeof from === "function" ? from : () => place!,
    partitions: checkPartitions(partitions),
    untilEnd: checkOneOf("until", until, ["end", undefined]) === "end",
    prefetchBytesMax: checkBound("prefetchBytesMax", prefetchBytesMax, 1),
    maxWaitMs: checkMs("maxWaitMs", maxWaitMs, 0, WAIT_MS_MAX),
    reuseMemory: checkOneOf("reuseMemory", reuseMemory, [true, false]),
    onTrimmed,
    group,
  };
}

/** Each once. */
function topicsOf({ topics }: ConsumerOptions): string[] {
  if (!Array.isArray(topics) || topics.length === 0) throw invalid("topics is a list of at least one topic");
  return [...new Set(topics.map((topic) => checkName("topic", topic)))];
}

/** What `client.queue` takes, and the defaults. */
import type { GroupPlace, QueueOptions as WireOptions } from "../wire/group-protocol.ts";
import {
  checkBound,
  checkFunction,
  checkMs,
  checkName,
  checkOneOf,
  checkOptions,
  checkPartitions,
  checkPlace,
  checkWhole,
  invalid,
  TIMER_MS_MAX,
  WAIT_MS_MAX,
} from "./checks.ts";
import type { QueueMessage } from "./queue-message.ts";

const LEASE_MS = 30_000;
const DELIVERIES_MAX = 5;
const PREFETCH_RECORDS = 1_000;
const PREFETCH_RECORDS_MAX = 100_000;
const UINT32_MAX = 2 ** 32 - 1;

export interface QueueOptions {
  /** Whose queue it is: every group gets every record once, whoever of it takes it. */
  readonly group: string;
  /** How long a record is this consumer's; then others get it. Default: 30,000. The settings given last hold for all. */
  readonly leaseMs?: number;
  /** A record delivered so often and not acknowledged goes to `deadLetter`. Default: 5 where there is one, else no bound. */
  readonly deliveriesMax?: number;
  /**
   * Topic for records that were given up; there must be one where `deliveriesMax` is set. Each goes there once, its headers
   * with `raftline-dead-reason` (`nacked`, `leaseExpired`, `expired`), `-topic`, `-partition`, `-offset`, `-group`,
   * `-deliveries` and `-timestamp` (when it was sent) beside them; `-without` where the record itself could not be had.
   */
  readonly deadLetter?: string;
  /** One record of a key at a time, in order. */
  readonly keyOrdered?: boolean;
  /** Where a group that is new begins. Default: "earliest". */
  readonly from?: GroupPlace;
  /** Only these. Default: all. */
  readonly partitions?: readonly number[];
  /** Leased and not settled, at most; fewer where the handler is slow. Default: 1,000. */
  readonly prefetchRecords?: number;
  /** Of one answer's batches, about. Default: 4 MiB. */
  readonly bytesMax?: number;
  /** How long a node may hold an empty answer back. Default: 1,000; at most 300,000. */
  readonly maxWaitMs?: number;
  /** How long an acknowledgement is tried; then `TIMED_OUT`: whether it holds is not known. Default: 30,000. */
  readonly settleTimeoutMs?: number;
}

export interface QueueSettings {
  readonly group: string;
  readonly wire: WireOptions;
  readonly from: GroupPlace;
  /** Undefined: all. */
  readonly partitions: readonly number[] | undefined;
  readonly prefetchRecords: number;
  readonly bytesMax: number;
  readonly maxWaitMs: number;
  readonly settleTimeoutMs: number;
}

export interface RunOptions {
  /** Handlers at a time. Default: 16. */
  readonly concurrency?: number;
  /** After a failure the first delay; it doubles with every delivery, up to `backOffMsMax`. Default: 1,000. */
  readonly backOffMsFirst?: number;
  /** Default: 60,000. */
  readonly backOffMsMax?: number;
  /** A handler keeps its message for so long at most, however long it takes. Default: 600,000. */
  readonly handlerMsMax?: number;
  /** Told of what a handler threw. Throws it itself, `run` ends and rejects with that. Default: nobody. */
  readonly onError?: (error: unknown, message: QueueMessage) => Promise<void> | void;
}

export type RunSettings = Required<RunOptions>;

/** @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME` */
export function queueSettings(topic: string, options: QueueOptions): QueueSettings {
  checkName("topic", topic);
  checkOptions("a queue", options);
  const { deadLetter = "", leaseMs = LEASE_MS, prefetchRecords = PREFETCH_RECORDS, keyOrdered = false } = options;
  const { bytesMax = 4 * 2 ** 20, maxWaitMs = 1_000, settleTimeoutMs = 30_000, from = "earliest" } = options;
  const deliveriesMax = options.deliveriesMax ?? (deadLetter === "" ? 0 : DELIVERIES_MAX);
  const group = checkName("group", options.group);
  if (deadLetter !== "") checkName("topic", deadLetter);
  if (options.deliveriesMax !== undefined) checkWhole("deliveriesMax", deliveriesMax, 1, UINT32_MAX);
  if (deliveriesMax > 0 && deadLetter === "") throw invalid("deliveriesMax wants a deadLetter topic");
  if (deadLetter === topic) throw invalid(`the dead letters of "${topic}" cannot go to the same topic`);
  return {
    group,
    wire: {
      leaseMs: checkMs("leaseMs", leaseMs, 1, TIMER_MS_MAX),
      deliveriesMax,
      deadLetter,
      keyOrdered: checkOneOf("keyOrdered", keyOrdered, [true, false]),
    },
    from: checkPlace("from", from),
    partitions: checkPartitions(options.partitions),
    prefetchRecords: checkWhole("prefetchRecords", prefetchRecords, 1, PREFETCH_RECORDS_MAX),
    bytesMax: checkWhole("bytesMax", bytesMax, 1, UINT32_MAX),
    maxWaitMs: checkMs("maxWaitMs", maxWaitMs, 0, WAIT_MS_MAX),
    settleTimeoutMs: checkMs("settleTimeoutMs", settleTimeoutMs, 1, Infinity),
  };
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
export function runSettings(handler: unknown, options: RunOptions): RunSettings {
  checkOptions("run", options);
  const {
    concurrency = 16,
    backOffMsFirst = 1_000,
    backOffMsMax = 60_000,
    handlerMsMax = 600_000,
    onError = () => {},
  } = options;
  checkFunction("the handler", handler);
  checkFunction("onError", onError);
  return {
    concurrency: checkBound("concurrency", concurrency, 1),
    backOffMsFirst: checkMs("backOffMsFirst", backOffMsFirst, 0),
    backOffMsMax: checkMs("backOffMsMax", backOffMsMax, 0),
    handlerMsMax: checkMs("handlerMsMax", handlerMsMax, 0, Infinity),
    onError,
  };
}

/** What `client.queue` takes, and the defaults. */
import { RaftlineError } from "../wire/errors.ts";
import type { GroupPlace, QueueOptions as WireOptions } from "../wire/group-protocol.ts";
import { isName } from "../wire/schemas.ts";

const LEASE_MS = 30_000;
const DELIVERIES_MAX = 5;
const PREFETCH_RECORDS = 1_000;
const PREFETCH_RECORDS_MAX = 100_000;

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
  /** How long a node may hold an empty answer back. Default: 1,000. */
  readonly maxWaitMs?: number;
  /** How long an acknowledgement is tried; then `TIMED_OUT`: whether it holds is not known. Default: 30,000. */
  readonly settleTimeoutMs?: number;
}

export interface QueueSettings {
  readonly group: string;
  readonly wire: WireOptions;
  readonly from: GroupPlace;
  readonly prefetchRecords: number;
  readonly bytesMax: number;
  readonly maxWaitMs: number;
  readonly settleTimeoutMs: number;
}

/** @throws {RaftlineError} `INVALID_REQUEST`, `INVALID_NAME` */
export function queueSettings(topic: string, options: QueueOptions): QueueSettings {
  const { group, deadLetter = "", leaseMs = LEASE_MS, prefetchRecords = PREFETCH_RECORDS } = options;
  const deliveriesMax = options.deliveriesMax ?? (deadLetter === "" ? 0 : DELIVERIES_MAX);
  if (!isName(group)) throw new RaftlineError("INVALID_NAME", `"${group}" is not a name of a group`);
  if (options.deliveriesMax !== undefined && !(Number.isInteger(deliveriesMax) && deliveriesMax > 0)) {
    throw invalid(`deliveriesMax is a whole number from 1 on, not ${deliveriesMax}`);
  }
  if (deliveriesMax > 0 && deadLetter === "") throw invalid("deliveriesMax wants a deadLetter topic");
  if (deadLetter === topic) throw invalid(`the dead letters of "${topic}" cannot go to the same topic`);
  if (!(Number.isInteger(prefetchRecords) && prefetchRecords > 0 && prefetchRecords <= PREFETCH_RECORDS_MAX)) {
    throw invalid(`prefetchRecords is 1 to ${PREFETCH_RECORDS_MAX}, not ${prefetchRecords}`);
  }
  return {
    group,
    wire: { leaseMs, deliveriesMax, deadLetter, keyOrdered: options.keyOrdered ?? false },
    from: options.from ?? "earliest",
    prefetchRecords,
    bytesMax: options.bytesMax ?? 4 * 2 ** 20,
    maxWaitMs: options.maxWaitMs ?? 1_000,
    settleTimeoutMs: options.settleTimeoutMs ?? 30_000,
  };
}

function invalid(message: string): RaftlineError {
  return new RaftlineError("INVALID_REQUEST", message);
}

/** What a consumer with a group takes beside the rest, and the defaults. */
import { MEMBER_TOPICS_MAX } from "../wire/limits.ts";
import { checkFunction, checkMs, checkName, checkOneOf, invalid, TIMER_MS_MAX } from "./checks.ts";

const SESSION_TIMEOUT_MS = 10_000;
const REBALANCE_TIMEOUT_MS = 30_000;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface GroupOptions {
  /** Shares the topics' partitions with all consumers of this name, and goes on where the group was. */
  readonly group?: string;
  /** The same over restarts, and no other consumer's: coming back within the session it gets what it had, and nothing moves. */
  readonly instanceId?: string;
  /** Not heard of for so long, a consumer is taken for dead and the others get its partitions. Default: 10,000. */
  readonly sessionTimeoutMs?: number;
  /** A partition that is to move is let go within this time (the record in hand included). Default: 30,000. */
  readonly rebalanceTimeoutMs?: number;
  /** "auto": a record counts as done when the next one is asked for. "manual": `commit()` alone says. Default: "auto". */
  readonly commit?: "auto" | "manual";
  /** Awaited before the first record of these partitions is given out: the place to `seek` or `pause` them. */
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => Promise<void> | void;
  /**
   * Awaited before these partitions are let go: `commit()` still works for them, unless they are `lost`: then another
   * consumer has them already.
   */
  readonly onRevoked?: (partitions: readonly TopicPartition[], lost: boolean) => Promise<void> | void;
}

export interface GroupSettings {
  readonly group: string;
  readonly instanceId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly autoCommit: boolean;
  readonly onAssigned: (partitions: readonly TopicPartition[]) => Promise<void> | void;
  readonly onRevoked: (partitions: readonly TopicPartition[], lost: boolean) => Promise<void> | void;
}

/** Undefined: no group. @throws {RaftlineError} `INVALID_NAME`, `INVALID_REQUEST` */
export function groupSettings(options: GroupOptions, topics: readonly string[]): GroupSettings | undefined {
  const { instanceId = "", commit = "auto", onAssigned = () => {}, onRevoked = () => {} } = options;
  const { sessionTimeoutMs = SESSION_TIMEOUT_MS, rebalanceTimeoutMs = REBALANCE_TIMEOUT_MS } = options;
  if (options.group === undefined) return undefined;
  const group = checkName("group", options.group);
  if (instanceId !== "") checkName("instance", instanceId);
  if (topics.length > MEMBER_TOPICS_MAX) throw invalid(`a member of a group reads ${MEMBER_TOPICS_MAX} topics at most`);
  checkFunction("onAssigned", onAssigned);
  checkFunction("onRevoked", onRevoked);
  return {
    group,
    instanceId,
    sessionTimeoutMs: checkMs("sessionTimeoutMs", sessionTimeoutMs, 1, TIMER_MS_MAX),
    rebalanceTimeoutMs: checkMs("rebalanceTimeoutMs", rebalanceTimeoutMs, 1, TIMER_MS_MAX),
    autoCommit: checkOneOf("commit", commit, ["auto", "manual"]) === "auto",
    onAssigned,
    onRevoked,
  };
}

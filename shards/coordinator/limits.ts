/** Every bound of a coordinator in one place; the unit is last in the name. */

/** Groups with members, of one coordinator. */
export const GROUPS_MAX = 10_000;

/** Members of one group. */
export const MEMBERS_PER_GROUP_MAX = 2_000;

/** Members of all groups of one coordinator. */
export const MEMBERS_MAX = 50_000;

export const SESSION_TIMEOUT_MS_MIN = 500;
export const SESSION_TIMEOUT_MS_MAX = 30 * 60_000;
export const REBALANCE_TIMEOUT_MS_MAX = 60 * 60_000;

/** A heartbeat waits for news a third of the session, but not for longer. */
export const HEARTBEAT_MS_MAX = 3_000;

/** Partitions that one command gives to new owners: what is more goes with the next. */
export const CHANGES_PER_COMMAND_MAX = 10_000;

/**
 * A partition that says it knows a generation above this is not believed: numbers are exact up to 2^53, and half of them
 * are left for all generations to come.
 */
export const GENERATION_BELIEVED_MAX = 2 ** 52;

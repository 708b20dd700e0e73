/** Every bound of cursors and queues in one place; the unit is last in the name. */

/** Cursors and queues of one partition. */
export const GROUPS_MAX = 1_000;

/** Leases of one queue in one partition that live at once. */
export const LEASES_MAX = 10_000;

/** Records of one queue in one partition that are leased at once, by all consumers and by one. */
export const LEASED_RECORDS_MAX = 1_000_000;
export const LEASED_RECORDS_PER_CONSUMER_MAX = 100_000;

/** Open records that a key-ordered queue looks at in one partition: so many it passes over at most. */
export const KEY_WINDOW_RECORDS_MAX = 10_000;

export const LEASE_MS_MIN = 10;
export const LEASE_MS_MAX = 12 * 3_600_000;

/** How far a record may be put off. */
export const DELAY_MS_MAX = 366 * 86_400_000;

/** Ended leases whose acknowledgements are still recognised when they are sent again. */
export const ENDED_LEASES_KEPT = 1_024;

/** Dead records of one queue in one partition that are not in the dead-letter topic yet: above it nothing is leased. */
export const DEAD_RECORDS_MAX = 100_000;

/** Of a cursor's metadata, as UTF-16 units. */
export const METADATA_LENGTH_MAX = 4_096;

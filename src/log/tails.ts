/** Where each group's log ends, and its term and vote, when all that is queued is durable. */
import type { HardState } from "../raft/types.ts";
import type { GroupTable } from "./group-table.ts";
import type { LogRecord } from "./record.ts";
import type { GroupId } from "./types.ts";

export class Tails {
  readonly #groups: GroupTable;
  readonly #last = new Map<GroupId, number>();
  readonly #hardState = new Map<GroupId, HardState>();

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  /** Invariant: a log has no gap. Whoever queues a record that would make one has lost count, and must not go on. */
  accept(record: LogRecord): void {
    const { group, entries, truncateFrom } = record;
    let last = this.lastIndex(group);
    if (record.reset) last = record.trim!.firstIndex - 1;
    if (truncateFrom > 0) last = Math.min(last, truncateFrom - 1);
    for (const entry of entries) {
      if (entry.index !== last + 1) {
        throw new Error(`group ${group}: entry ${entry.index} cannot follow entry ${last}`);
      }
      last = entry.index;
    }
    this.#last.set(group, last);
    if (record.hardState) this.#hardState.set(group, record.hardState);
  }

  lastIndex(group: GroupId): number {
    return this.#last.get(group) ?? this.#groups.get(group)?.lastIndex ?? 0;
  }

  hardState(group: GroupId): HardState | undefined {
    return this.#hardState.get(group) ?? this.#groups.get(group)?.hardState;
  }

  /** Whether entries or a state of it are queued, or were. */
  has(group: GroupId): boolean {
    return (this.#last.get(group) ?? 0) > 0;
  }

  forget(group: GroupId): void {
    this.#last.set(group, 0);
    this.#hardState.delete(group);
  }
}

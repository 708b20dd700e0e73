/**
 * Follows partitions' logs as they are committed: holds the end of each lease against the time it was given for, and what
 * key-ordered queues give out against the keys.
 */
import { decodePartitionCommand } from "../../shards/partition/commands.ts";
import { applyGroupCommand } from "../../shards/partition/groups/apply-group-command.ts";
import type { GroupCommand } from "../../shards/partition/groups/group-commands.ts";
import type { DeliveredRecords } from "../../shards/partition/groups/leases.ts";
import { GroupTable } from "../../shards/partition/groups/group-table.ts";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";
import { KeyOrder } from "./key-order.ts";

/** Of clocks that run at different rates. */
const ROUNDING_MS = 0.001;

interface Followed {
  readonly groups: GroupTable;
  readonly keys: KeyOrder;
  /** When each lease began to run, somewhere, for the first time: its leader counts from then or from later. */
  readonly sinceMs: Map<number, number>;
  lastIndex: number;
  /** Where the records begin. */
  start: number;
}

export class QueueLog {
  readonly #partitions = new Map<number, Followed>();
  readonly #nowMs: () => number;
  readonly #clockRateMax: number;
  readonly #fail: (violation: Violation) => void;
  /** Ends of leases that were looked at. */
  checked = 0;

  /** `clockRateMax`: how much faster than this clock that of a leader may run. */
  constructor(nowMs: () => number, clockRateMax: number, fail: (violation: Violation) => void) {
    this.#nowMs = nowMs;
    this.#clockRateMax = clockRateMax;
    this.#fail = fail;
  }

  /** With each entry when it is applied anywhere for the first time. */
  committed(group: number, entry: Entry): void {
    let followed = this.#partitions.get(group);
    if (followed === undefined) {
      followed = {
        groups: new GroupTable(),
        keys: new KeyOrder(this.#fail),
        sinceMs: new Map(),
        lastIndex: 0,
        start: 0,
      };
      this.#partitions.set(group, followed);
    }
    // What had left the memory before it was seen leaves a gap: what follows cannot be judged.
    if (entry.index !== followed.lastIndex + 1) return;
    followed.lastIndex = entry.index;
    if (entry.kind === EntryKind.batch) followed.keys.add(entry);
    if (entry.kind !== EntryKind.command) return;
    const command = decodePartitionCommand(entry);
    if (command.type === "trim") {
      followed.start = Math.max(followed.start, Math.min(command.offset, entry.nextOffset));
      return followed.groups.trimmed(followed.start);
    }
    for (const one of command.commands) this.#follow(group, followed, one, entry.nextOffset);
  }

  #follow(shard: number, { groups, keys, sinceMs, start }: Followed, command: GroupCommand, end: number): void {
    const nowMs = this.#nowMs();
    if (command.op === "expire") {
      const lease = groups.queues.get(command.group)?.leases.get(command.leaseId);
      const heldMs = nowMs - (sinceMs.get(command.leaseId) ?? -Infinity);
      if (lease !== undefined) this.checked += 1;
      if (lease !== undefined && heldMs * this.#clockRateMax < lease.leaseMs - ROUNDING_MS) {
        const detail = `shard ${shard}, lease ${command.leaseId}: after ${Math.round(heldMs)} of ${lease.leaseMs} ms`;
        this.#fail({ invariant: "a lease ended early", detail });
      }
      sinceMs.delete(command.leaseId);
    }
    const { code, lease } = applyGroupCommand(groups, command, { start, end });
    if (lease !== undefined) {
      sinceMs.set(lease.leaseId, nowMs);
      const queue = groups.queues.get(command.group)!;
      if (queue.settings.keyOrdered) keys.leased(`shard ${shard}, ${command.group}`, queue, offsetsOf(lease.parts));
    }
    if (command.op === "extend" && code === "") sinceMs.set(command.leaseId, nowMs);
  }
}

function* offsetsOf(parts: readonly DeliveredRecords[]): Iterable<number> {
  for (const { offsets } of parts) {
    for (const [start, end] of offsets.ranges()) {
      for (let offset = start; offset < end; offset++) yield offset;
    }
  }
}

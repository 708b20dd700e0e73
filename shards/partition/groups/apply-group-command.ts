/** What each operation does to the groups. Deterministic: groups, operation and where the records begin and end alone decide. */
import type { GroupCommand } from "./group-commands.ts";
import type { GroupTable } from "./group-table.ts";
import type { DeliveredRecords } from "./leases.ts";
import type { QueueState } from "./queue-state.ts";

/** A refusal has a code, and changed nothing but what the code's own words say. */
export interface GroupResult {
  /** "" or an error code. */
  readonly code: string;
  /** Of a lease: what was given; absent where nothing was free. */
  readonly lease?: GivenLease;
  /** Of a claim or a commit: the cursor as it is then. */
  readonly cursor?: { readonly committed: number; readonly metadata: string; readonly generation: number };
}

/** As given: what becomes of it later does not show. */
export interface GivenLease {
  readonly leaseId: number;
  readonly parts: readonly DeliveredRecords[];
}

const DONE: GroupResult = { code: "" };
const UNKNOWN_GROUP: GroupResult = { code: "UNKNOWN_GROUP" };

/** The records there are: offsets from `start` to before `end`. */
export interface RecordRange {
  readonly start: number;
  readonly end: number;
}

export function applyGroupCommand(groups: GroupTable, command: GroupCommand, range: RecordRange): GroupResult {
  switch (command.op) {
    case "claim":
    case "commit":
    case "resetCursor":
      return applyToCursor(groups, command, range.end);
    case "open": {
      const from = command.from < 0 ? range.end : command.from;
      const queue = groups.openQueue(command.group, command.settings, inRange(from, range));
      return typeof queue === "string" ? { code: queue } : DONE;
    }
    case "remove":
      return remove(groups, command.group, command.force);
    default: {
      const queue = groups.queues.get(command.group);
      return queue === undefined ? UNKNOWN_GROUP : applyToQueue(groups, queue, command, range);
    }
  }
}

type CursorCommand = Extract<GroupCommand, { op: "claim" | "commit" | "resetCursor" }>;
type QueueCommand = Exclude<GroupCommand, CursorCommand | { op: "open" | "remove" }>;

function applyToCursor(groups: GroupTable, command: CursorCommand, end: number): GroupResult {
  const found = groups.openCursor(command.group);
  if (typeof found === "string") return { code: found };
  let code = "";
  if (command.op === "claim") code = found.claim(command.generation, command.memberId);
  else if (command.op === "commit") code = found.commit(command.generation, command.offset, command.metadata, end);
  else code = found.reset(command.offset, end);
  const { committed, metadata, generation } = found;
  return { code, cursor: { committed, metadata, generation } };
}

function applyToQueue(groups: GroupTable, queue: QueueState, command: QueueCommand, range: RecordRange): GroupResult {
  const { end } = range;
  switch (command.op) {
    case "lease": {
      const lease = queue.lease(groups.nextLeaseId(), command.consumer, command.leaseMs, command.offsets, end);
      return lease === undefined ? DONE : { code: "", lease: { leaseId: lease.leaseId, parts: lease.copyParts() } };
    }
    case "ack":
      return { code: queue.ack(command.leaseId, command.consumer, command.offsets) };
    case "nack": {
      const { leaseId, consumer, offsets, parcelId, delayMs } = command;
      return { code: queue.nack(leaseId, consumer, offsets, parcelId, delayMs) };
    }
    case "release":
      return { code: queue.release(command.leaseId, command.consumer, command.offsets) };
    case "extend":
      return { code: queue.extend(command.leaseId, command.consumer, command.leaseMs) };
    case "expire":
      queue.expire(command.leaseId);
      return DONE;
    case "leave":
      queue.leave(command.consumer, command.counts);
      return DONE;
    case "due":
      queue.due(command.parcelId);
      return DONE;
    case "park":
      queue.park(command.parcelId, command.atMs, command.offsets, end);
      return DONE;
    case "drop":
      queue.drop(command.offsets, end);
      return DONE;
    case "deadProducer":
      queue.dead.writeAs(command.producerId);
      return DONE;
    case "forwarded":
      // What an earlier producer wrote says nothing of this one's sequences.
      if (queue.dead.producerId === command.producerId) queue.forwarded(command.sequence);
      return DONE;
    case "resetQueue":
      if (command.offset > end) return { code: "OFFSET_OUT_OF_RANGE" };
      if (queue.leased > 0 && !command.force) return { code: "GROUP_ACTIVE" };
      queue.reset(inRange(command.offset, range));
      return DONE;
  }
}

/** Where a queue begins: what it was told may have been trimmed away on the way here. */
function inRange(offset: number, { start }: RecordRange): number {
  return Math.max(offset, start);
}

function remove(groups: GroupTable, group: string, force: boolean): GroupResult {
  const queue = groups.queues.get(group);
  if (queue === undefined && !groups.cursors.has(group)) return UNKNOWN_GROUP;
  if (queue !== undefined && queue.leased > 0 && !force) return { code: "GROUP_ACTIVE" };
  groups.remove(group);
  return DONE;
}

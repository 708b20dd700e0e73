/** Deliberate bugs of queues and cursors; see canaries.ts. */
import { CursorState } from "../../shards/partition/groups/cursor-state.ts";
import { DeadLetters } from "../../shards/partition/groups/dead-letters.ts";
import { GroupTable } from "../../shards/partition/groups/group-table.ts";
import { QueueState } from "../../shards/partition/groups/queue-state.ts";
import { QueueDeadlines } from "../../shards/partition/queue-deadlines.ts";
import { KeyWindow } from "../../shards/partition/queue-key-window.ts";
import { type Canary, patch } from "./canary.ts";

export const QUEUE_CANARIES: readonly Canary[] = [
  {
    name: "confirm an ack and forget it",
    plant: () =>
      patch(QueueState.prototype, "ack", (original) =>
        function (this: QueueState, leaseId, consumer, offsets) {
          return offsets.nextIn(0) % 7 === 3 && this.leases.has(leaseId)
            ? ""
            : original.call(this, leaseId, consumer, offsets);
        }),
  },
  {
    name: "take an ack of a lease that is over",
    plant: () =>
      patch(
        QueueState.prototype,
        "isOver",
        () => () => false,
        () =>
          patch(QueueState.prototype, "ack", (original) =>
            function (this: QueueState, leaseId, consumer, offsets) {
              original.call(this, leaseId, consumer, offsets);
              return "";
            }),
      ),
  },
  {
    name: "lease a record to two at once",
    plant: () =>
      patch(
        QueueState.prototype,
        "lease",
        (original) =>
          function (this: QueueState, leaseId, consumer, leaseMs, wanted, end) {
            const lease = original.call(this, leaseId, consumer, leaseMs, wanted, end);
            const part = lease?.parts[0];
            if (part !== undefined) {
              this.ready.of(part.deliveries).addAll(part.offsets.slice(0, part.offsets.nextIn(0) + 1));
            }
            return lease;
          },
      ),
  },
  {
    name: "end leases early",
    plant: () =>
      patch(QueueDeadlines.prototype, "leaseRuns", (original) =>
        function (this: QueueDeadlines, leaseId, leaseMs) {
          original.call(this, leaseId, leaseMs * 0.9);
        }),
  },
  {
    name: "lose what is nacked",
    plant: () =>
      patch(QueueState.prototype, "nack", () =>
        function (this: QueueState, leaseId, consumer, offsets) {
          return this.ack(leaseId, consumer, offsets);
        }),
  },
  {
    name: "do not count a delivery that was nacked",
    plant: () =>
      patch(QueueState.prototype, "nack", () =>
        function (this: QueueState, leaseId, consumer, offsets) {
          return this.release(leaseId, consumer, offsets);
        }),
  },
  {
    name: "bury a record twice",
    plant: () =>
      patch(DeadLetters.prototype, "push", (original) =>
        function (this: DeadLetters, offset, deliveries, reason) {
          original.call(this, offset, deliveries, reason);
          original.call(this, offset, deliveries, reason);
        }),
  },
  {
    name: "give out the next of a key while the one before is out",
    plant: () =>
      patch(KeyWindow.prototype, "free", (original) =>
        function (this: KeyWindow, isOver, isFree) {
          return original.call(this, (offset) => isOver(offset) || !isFree(offset), isFree);
        }),
  },
  {
    name: "give out a record before its time",
    plant: () =>
      patch(QueueDeadlines.prototype, "verdictOn", (original) =>
        function (this: QueueDeadlines, timing) {
          const verdict = original.call(this, timing);
          return verdict === "later" ? "now" : verdict;
        }),
  },
  {
    name: "forget what waits for its time",
    plant: () => patch(QueueDeadlines.prototype, "wallParcelRuns", () => () => {}),
  },
  {
    name: "give out a record whose time is over",
    plant: () =>
      patch(QueueDeadlines.prototype, "verdictOn", (original) =>
        function (this: QueueDeadlines, timing) {
          return original.call(this, { ...timing, expiresAtMs: null });
        }),
  },
  {
    name: "give a record up before its time is over",
    plant: () =>
      patch(QueueDeadlines.prototype, "verdictOn", (original) =>
        function (this: QueueDeadlines, timing) {
          const { expiresAtMs } = timing;
          return original.call(this, { ...timing, expiresAtMs: expiresAtMs === null ? null : expiresAtMs - 500 });
        }),
  },
  {
    name: "forget the groups at a checkpoint",
    plant: () => {
      const none = new GroupTable().encode();
      return patch(GroupTable.prototype, "encode", () => () => none);
    },
  },
  {
    name: "take a zombie's commit",
    plant: () =>
      patch(
        CursorState.prototype,
        "commit",
        (original) =>
          function (this: CursorState, _generation, offset, metadata, end) {
            return original.call(this, this.generation, offset, metadata, end);
          },
      ),
  },
  {
    name: "confirm a commit and forget it",
    plant: () => patch(CursorState.prototype, "commit", () => () => ""),
  },
];

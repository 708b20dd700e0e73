/** Deliberate bugs of consumer groups; see canaries.ts. */
import { MemberSession } from "../../shards/coordinator/member-session.ts";
import { CoordinatorState } from "../../shards/coordinator/state.ts";
import { PartitionCursor } from "../../src/client/partition-cursor.ts";
import { type Canary, patch } from "./canary.ts";

export const GROUP_CANARIES: readonly Canary[] = [
  {
    name: "give a partition away before it is let go",
    plant: () => patch(MemberSession.prototype, "hasLetGo", () => () => true),
  },
  {
    name: "use a group's generation twice",
    plant: () => patch(CoordinatorState.prototype, "nextGeneration", () => () => 1),
  },
  {
    name: "begin behind a record that was not read",
    plant: () =>
      patch(PartitionCursor.prototype, "seek", (original) =>
        function (this: PartitionCursor, offset) {
          original.call(this, offset > 0 && this.position < 0 ? offset + 1 : offset);
        }),
  },
  {
    name: "begin before what was committed",
    plant: () =>
      patch(PartitionCursor.prototype, "seek", (original) =>
        function (this: PartitionCursor, offset) {
          original.call(this, this.position < 0 ? Math.max(0, offset - 1) : offset);
        }),
  },
];

/** Bugs of reads under leases: each is one rule of "Leases" in src/raft/README.md left out. */
import { ReadLease } from "../../src/raft/read-lease.ts";
import { VoteHold } from "../../src/raft/vote-hold.ts";
import { type Canary, patch } from "./canary.ts";

export const LEASE_CANARIES: readonly Canary[] = [
  {
    name: "hold a lease for as long as was promised, whatever the clocks",
    plant: () =>
      patch(ReadLease.prototype, "answered", () => (follower, askedMs, holdMs) => {
        follower.heldUntilMs = Math.max(follower.heldUntilMs, askedMs + holdMs);
      }),
  },
  {
    name: "vote in spite of a promise",
    plant: () => patch(VoteHold.prototype, "holds", () => () => false),
  },
  {
    name: "forget at a restart that the vote is promised",
    plant: () => patch(VoteHold.prototype, "holdUntil", () => () => {}),
  },
];

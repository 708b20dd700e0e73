import type { Entry } from "../../src/records/entry.ts";

/** What a group replicates. Deterministic: the same entries give the same state on every replica. */
export interface StateMachine {
  /** Applies a committed entry of kind batch or command; what it returns goes to the proposer, if it waits here. */
  apply(entry: Entry): unknown;
  /** The state as bytes, for a checkpoint: small, whatever the length of the log. */
  capture(): Uint8Array;
  /** Replaces the state by a captured one. `nextOffset`: the offset of the first record after it. */
  restore(state: Uint8Array, nextOffset: number): void;
  /** This replica leads `term`, and has applied everything of the terms before: it may take proposals. */
  onLeading(term: number): void;
  /** It leads no more; what was proposed and not applied is somebody else's to decide. */
  onFollowing(): void;
}

/** Who waits for a proposal. `code` is empty when it was committed and applied. */
export interface ProposalWaiter {
  settled(code: ProposalCode, entry: Entry, result: unknown): void;
}

/** Why a proposal was not applied here. It may still be: only its absence from the log after a later read tells. */
export type ProposalCode = "" | "NOT_LEADER" | "THROTTLED" | "CLOSED" | "DISK_FULL";

/**
 * What of this replica's state is on its disk. Writes are numbered and become durable in order, later than the log goes
 * on: a report tells of the write as it was made, and the log may have been cut since. So a truncation lowers the mark
 * of every write still under way; the report of a write can then never vouch for an entry that replaced one of its
 * own, not even for one with the same index and term that was cut and came again (A-B-A).
 */
import { InvariantError } from "./invariant.ts";
import type { HardState, NodeId } from "./types.ts";

interface PendingWrite {
  readonly sequence: number;
  lastIndex: number;
  readonly hardState: HardState | undefined;
}

export class WriteLedger {
  #pending: PendingWrite[] = [];
  #durableIndex: number;
  #durableTerm: number;
  #durableVote: NodeId;
  #lastSequence = 0;

  constructor(hardState: HardState, lastIndex: number) {
    this.#durableIndex = lastIndex;
    this.#durableTerm = hardState.term;
    this.#durableVote = hardState.vote;
  }

  /** Last index of the present log that is surely on disk, with all before it. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  get durableTerm(): number {
    return this.#durableTerm;
  }

  get durableVote(): NodeId {
    return this.#durableVote;
  }

  /** A write goes out. `lastIndex`: where the log ends with it. Returns its number. */
  begin(lastIndex: number, hardState: HardState | undefined): number {
    this.#lastSequence += 1;
    this.#pending.push({ sequence: this.#lastSequence, lastIndex, hardState });
    return this.#lastSequence;
  }

  /** The log was cut: `index` and what follows is not what any write so far has written. */
  truncateFrom(index: number): void {
    this.#durableIndex = Math.min(this.#durableIndex, index - 1);
    for (const write of this.#pending) write.lastIndex = Math.min(write.lastIndex, index - 1);
  }

  /** All writes up to `sequence` are durable. A report that comes again or late changes nothing. */
  persisted(sequence: number): void {
    if (sequence > this.#lastSequence) {
      throw new InvariantError(`write ${sequence} is durable, and ${this.#lastSequence} was the last one made`);
    }
    while (this.#pending.length > 0 && this.#pending[0]!.sequence <= sequence) {
      const { lastIndex, hardState } = this.#pending.shift()!;
      this.#durableIndex = Math.max(this.#durableIndex, lastIndex);
      if (!hardState) continue;
      this.#durableTerm = hardState.term;
      this.#durableVote = hardState.vote;
    }
  }
}

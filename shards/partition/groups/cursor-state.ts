/**
 * A consumer group's place in one partition. A member that takes the partition over claims it first, under its group's
 * generation: from then on whoever was there before is refused, without anybody being asked.
 */

export type CursorCode = "" | "STALE_GENERATION" | "OFFSET_OUT_OF_RANGE";

export type EncodedCursor = [committed: number, metadata: string, generation: number, memberId: string];

/** Invariant: `generation` never falls. */
export class CursorState {
  /** Next offset to read; -1: nothing was committed. */
  committed = -1;
  metadata = "";
  /** Highest seen; 0: no coordinated member has been here. */
  generation = 0;
  /** Who claimed it last; "": nobody. */
  memberId = "";

  claim(generation: number, memberId: string): CursorCode {
    if (generation < this.generation) return "STALE_GENERATION";
    this.generation = generation;
    this.memberId = memberId;
    return "";
  }

  /** @param end first offset that is not committed in the log: nobody can have read beyond it */
  commit(generation: number, offset: number, metadata: string, end: number): CursorCode {
    if (generation < this.generation) return "STALE_GENERATION";
    if (offset > end) return "OFFSET_OUT_OF_RANGE";
    this.generation = generation;
    this.committed = offset;
    this.metadata = metadata;
    return "";
  }

  /** Whatever generation is there: the members go on from here when they claim it anew. */
  reset(offset: number, end: number): CursorCode {
    if (offset > end) return "OFFSET_OUT_OF_RANGE";
    this.committed = offset;
    this.metadata = "";
    return "";
  }

  encode(): EncodedCursor {
    return [this.committed, this.metadata, this.generation, this.memberId];
  }

  /** Only for what {@link encode} gave. */
  static decode([committed, metadata, generation, memberId]: EncodedCursor): CursorState {
    const cursor = new CursorState();
    cursor.committed = committed;
    cursor.metadata = metadata;
    cursor.generation = generation;
    cursor.memberId = memberId;
    return cursor;
  }
}

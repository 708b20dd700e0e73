/**
 * The last entries of all groups of a node, in memory that is used again and again. An entry comes in on a frame of its
 * own, outside of the heap; kept for a second, such frames outlive two scavenges, and only a marking of the whole heap
 * gives them back: at 100 MB/s one after every half second, each a stall of 10 to 50 ms on every core. So an entry that is
 * durable and applied moves into a slab, and its frame goes young. The oldest slab is filled again when there is no other:
 * who needs its entries later reads them from the log.
 */
import type { RaftLog } from "../../src/raft/raft-log.ts";
import type { Entry } from "../../src/records/entry.ts";

const SLABS = 16;

/** A replica, as far as this concerns it. */
export interface TailOwner {
  /** Last index that the cache has seen; its mark. */
  keptTo: number;
  readonly raft: {
    readonly log: Pick<RaftLog<Entry>, "tailFirstIndex" | "entry" | "replace" | "evictTo">;
    readonly applied: number;
    readonly durable: number;
  };
}

interface Slab {
  readonly bytes: Uint8Array;
  filled: number;
  /** The last entry here of each group that has one. */
  readonly lastIndexOf: Map<TailOwner, number>;
}

export class TailCache {
  readonly #slabBytes: number;
  /** Oldest first; the last is being filled. */
  readonly #slabs: Slab[] = [];

  constructor(bytesMax: number) {
    this.#slabBytes = Math.floor(bytesMax / SLABS);
  }

  /** Of entries that moved here. */
  get bytes(): number {
    return this.#slabs.reduce((total, { filled }) => total + filled, 0);
  }

  /** Moves what is durable and applied since the last time. */
  keep(replica: TailOwner): void {
    const { log, applied, durable } = replica.raft;
    const last = Math.min(applied, durable);
    for (let index = Math.max(replica.keptTo + 1, log.tailFirstIndex); index <= last; index++) {
      this.#move(replica, log.entry(index)!);
    }
    replica.keptTo = Math.max(replica.keptTo, last);
  }

  remove(replica: TailOwner): void {
    for (const { lastIndexOf } of this.#slabs) lastIndexOf.delete(replica);
    // Somebody may still hold the replica: its entries' memory will be others'.
    replica.raft.log.evictTo(replica.keptTo);
  }

  #move(replica: TailOwner, entry: Entry): void {
    const { log } = replica.raft;
    if (entry.byteLength > this.#slabBytes) return log.evictTo(entry.index);
    const slab = this.#slabWithRoom(entry.byteLength);
    log.replace(entry.lentIn(slab.bytes.subarray(slab.filled)));
    slab.filled += entry.byteLength;
    slab.lastIndexOf.set(replica, entry.index);
  }

  #slabWithRoom(byteLength: number): Slab {
    const filling = this.#slabs.at(-1);
    if (filling && filling.filled + byteLength <= this.#slabBytes) return filling;
    const slab = this.#slabs.length < SLABS ? this.#newSlab() : this.#emptied(this.#slabs.shift()!);
    this.#slabs.push(slab);
    return slab;
  }

  #newSlab(): Slab {
    return { bytes: new Uint8Array(this.#slabBytes), filled: 0, lastIndexOf: new Map() };
  }

  /** Invariant: no log holds an entry whose bytes are here when they are written over. */
  #emptied(slab: Slab): Slab {
    for (const [replica, index] of slab.lastIndexOf) replica.raft.log.evictTo(index);
    slab.lastIndexOf.clear();
    slab.filled = 0;
    return slab;
  }
}

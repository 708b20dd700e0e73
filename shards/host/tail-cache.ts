/**
 * Bounds the entries that all groups of a node together keep in memory. Entries leave the cache oldest group first,
 * and only those that are durable and applied here; who needs them later reads them from the log.
 */
import type { Replica } from "./replica.ts";

export class TailCache {
  readonly #bytesMax: number;
  /** Least recently touched first. */
  readonly #bytesOf = new Map<Replica, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  touch(replica: Replica): void {
    const bytes = replica.raft.log.tailBytes;
    this.#bytes += bytes - (this.#bytesOf.get(replica) ?? 0);
    this.#bytesOf.delete(replica);
    if (bytes > 0) this.#bytesOf.set(replica, bytes);
  }

  remove(replica: Replica): void {
    this.#bytes -= this.#bytesOf.get(replica) ?? 0;
    this.#bytesOf.delete(replica);
  }

  evict(): void {
    if (this.#bytes <= this.#bytesMax) return;
    // Groups that share the load keep equal parts; a group below its part keeps all.
    const partBytes = Math.floor((this.#bytesMax * 3) / 4 / this.#bytesOf.size);
    for (const [replica, bytes] of [...this.#bytesOf]) {
      if (bytes <= partBytes) continue;
      this.#evictTo(replica, partBytes);
      const left = replica.raft.log.tailBytes;
      this.#bytes += left - bytes;
      if (left === 0) this.#bytesOf.delete(replica);
      else this.#bytesOf.set(replica, left);
    }
  }

  #evictTo(replica: Replica, bytesKept: number): void {
    const { log, applied, durable } = replica.raft;
    const last = Math.min(applied, durable);
    let over = log.tailBytes - bytesKept;
    let index = log.tailFirstIndex;
    while (over > 0 && index <= last) {
      const [entry] = log.slice(index, index, Infinity) ?? [];
      if (!entry) return;
      over -= entry.byteLength;
      index += 1;
    }
    log.evictTo(index - 1);
  }
}

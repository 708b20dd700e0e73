/**
 * Which nodes have a disk that is much slower than the others', or full: they give their leaders away and are given none,
 * so that whoever publishes waits for the quick ones (a majority is enough), and not for them.
 */
import type { NodeId } from "../raft/types.ts";

/** Writes below this are no reason to do anything, … */
const SLOW_MS_MIN = 40;
/** … and they have to take so many times as long as on other nodes, … */
const SLOW_RATIO = 4;
/** … at so many looks in a row. */
const SLOW_LOOKS = 3;
/** So many looks in a row it must be like the others again. */
const QUICK_LOOKS = 10;

export class DiskHealth {
  /** Looks in a row: above 0 it was slow, below it was not. */
  readonly #streaks = new Map<NodeId, number>();
  readonly #slow = new Set<NodeId>();

  isSlow(node: NodeId): boolean {
    return this.#slow.has(node);
  }

  /** `writeMs`: how long a write takes on each node that is alive; Infinity where the disk is full. */
  look(writeMs: ReadonlyMap<NodeId, number>): void {
    const withRoom = [...writeMs.values()].filter((ms) => ms < Infinity).length;
    for (const [node, ownMs] of writeMs) {
      const others = [...writeMs].filter(([other]) => other !== node).map(([, ms]) => ms).sort((a, b) => a - b);
      const usualMs = others[Math.floor((others.length - 1) / 2)];
      const seemsSlow = usualMs !== undefined && ownMs >= SLOW_MS_MIN && ownMs >= SLOW_RATIO * usualMs;
      // Where no majority has room no other leader could do better.
      this.#note(node, ownMs === Infinity ? withRoom > writeMs.size / 2 : seemsSlow);
    }
  }

  #note(node: NodeId, seemsSlow: boolean): void {
    const before = this.#streaks.get(node) ?? 0;
    const streak = seemsSlow ? Math.max(1, before + 1) : Math.min(-1, before - 1);
    this.#streaks.set(node, streak);
    if (streak >= SLOW_LOOKS) this.#slow.add(node);
    if (streak <= -QUICK_LOOKS) this.#slow.delete(node);
  }
}

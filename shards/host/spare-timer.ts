/**
 * One timer for all groups whose leader lets followers wait for a quorum (src/raft/spares.ts). Unlike other deadlines
 * these are a millisecond or two away, and hardly ever met: a timer that nobody waits for is cancelled.
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { Replica } from "./replica.ts";

export class SpareTimer {
  readonly #runtime: Runtime;
  readonly #due: (replica: Replica, nowMs: number) => void;
  readonly #waiting = new Set<Replica>();
  #timer: Timer | undefined;
  #atMs = Infinity;

  /** `due`: a replica's spares have waited long enough. */
  constructor(runtime: Runtime, due: (replica: Replica, nowMs: number) => void) {
    this.#runtime = runtime;
    this.#due = due;
  }

  /** To be called when a replica's spares may have begun to wait, or may wait no longer. */
  look(replica: Replica): void {
    const untilMs = replica.raft.sparesUntilMs;
    if (untilMs === Infinity) return this.remove(replica);
    this.#waiting.add(replica);
    if (untilMs < this.#atMs) this.#wakeAt(untilMs);
  }

  remove(replica: Replica): void {
    if (this.#waiting.delete(replica) && this.#waiting.size === 0) this.#cancel();
  }

  close(): void {
    this.#waiting.clear();
    this.#cancel();
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#atMs = Infinity;
  }

  #wakeAt(ms: number): void {
    this.#timer?.cancel();
    this.#atMs = ms;
    const delayMs = Math.max(0, Math.ceil(ms - this.#runtime.clock.monotonicMs()));
    this.#timer = this.#runtime.timers.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    this.#cancel();
    const nowMs = this.#runtime.clock.monotonicMs();
    for (const replica of [...this.#waiting]) {
      if (replica.raft.sparesUntilMs <= nowMs) this.#due(replica, nowMs);
      if (this.#waiting.has(replica)) this.look(replica);
    }
  }
}

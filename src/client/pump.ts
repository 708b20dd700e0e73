/** When a fetcher looks for what to ask: at the end of a turn in which something changed, and at a time it named. */
import type { Timer } from "../runtime/runtime.ts";
import type { Cluster } from "./cluster.ts";

/** @example const pump = new Pump(cluster, (nowMs) => this.#look(nowMs)); */
export class Pump {
  readonly #cluster: Cluster;
  readonly #look: (nowMs: number) => number;
  readonly #stopWatching: () => void;
  #scheduled = false;
  #again: Timer | undefined;
  closed = false;

  /** `look` returns when it is to be called again at the latest, monotonic ms; Infinity: when something changes. */
  constructor(cluster: Cluster, look: (nowMs: number) => number) {
    this.#cluster = cluster;
    this.#look = look;
    this.#stopWatching = cluster.onChange(() => this.schedule());
  }

  close(): void {
    this.closed = true;
    this.#stopWatching();
    this.#again?.cancel();
  }

  /** Something changed: several changes in one turn are one look. */
  schedule(): void {
    if (this.#scheduled || this.closed) return;
    this.#scheduled = true;
    this.#cluster.runtime.timers.endTurn(() => {
      this.#scheduled = false;
      if (!this.closed) this.#run();
    });
  }

  #run(): void {
    const { clock, timers } = this.#cluster.runtime;
    const nowMs = clock.monotonicMs();
    const againMs = this.#look(nowMs);
    this.#again?.cancel();
    this.#again = againMs < Infinity ? timers.after(againMs - nowMs, () => this.schedule()) : undefined;
  }
}

/** Asks leaders for read barriers all the time: what is read behind one must be as new as anything was before it. */
import type { SimulatedCluster } from "./cluster.ts";
import type { Violation } from "./history.ts";
import type { Invariants } from "./invariants.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const EVERY_MS_MAX = 500;

export interface BarrierLoadOptions {
  readonly cluster: SimulatedCluster;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly invariants: Invariants;
  readonly fail: (violation: Violation) => void;
}

export class BarrierLoad {
  stopped = false;
  readonly #options: BarrierLoadOptions;

  constructor(options: BarrierLoadOptions) {
    this.#options = options;
  }

  start(): void {
    const { scheduler, random, cluster } = this.#options;
    scheduler.after(random.skewed(1, EVERY_MS_MAX), () => {
      if (this.stopped) return;
      const id = random.pick(cluster.ids);
      cluster.enter(id, () => this.#ask(id));
      this.start();
    });
  }

  #ask(id: number): void {
    const { cluster, random, invariants, fail } = this.#options;
    const leading = (cluster.nodeOf(id)?.host.replicas() ?? []).filter(({ isLeading }) => isLeading);
    if (leading.length === 0) return;
    const replica = random.pick(leading);
    const newest = invariants.newestApplied(replica.group);
    void replica.readBarrier().then((granted) => {
      const { applied } = replica.raft;
      if (!granted || applied >= newest) return;
      const detail = `node ${id}, group ${replica.group}: read at ${applied}, ${newest} was applied before it asked`;
      fail({ invariant: "a stale read", detail });
    });
  }
}

/** Asks leaders for read barriers all the time: what is read behind one must be as new as anything was before it. */
import type { Replica } from "../../shards/host/replica.ts";
import type { ClockOptions, SimulatedCluster } from "./cluster.ts";
import type { Violation } from "./history.ts";
import type { Invariants } from "./invariants.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const EVERY_MS_MAX = 500;
/** A lease lasts only where a leader is asked again and again; then most reads cost next to nothing. */
const EVERY_MS_MAX_WITH_LEASES = 150;

export interface BarrierLoadOptions {
  readonly cluster: SimulatedCluster;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly clocks: ClockOptions;
  readonly invariants: Invariants;
  readonly fail: (violation: Violation) => void;
}

export class BarrierLoad {
  stopped = false;
  readonly #options: BarrierLoadOptions;
  readonly #hasLeases: boolean;

  constructor(options: BarrierLoadOptions) {
    this.#options = options;
    this.#hasLeases = options.clocks.driftMax !== undefined;
  }

  start(): void {
    const { scheduler, random, cluster } = this.#options;
    const everyMsMax = this.#hasLeases ? EVERY_MS_MAX_WITH_LEASES : EVERY_MS_MAX;
    scheduler.after(random.skewed(1, everyMsMax), () => {
      if (this.stopped) return;
      // With leases all that one node leads, and every node: who has an old lease is found while it lasts.
      for (const id of this.#hasLeases ? cluster.ids : [random.pick(cluster.ids)]) {
        cluster.enter(id, () => this.#ask(id));
      }
      this.start();
    });
  }

  #ask(id: number): void {
    const { cluster, random } = this.#options;
    const leading = (cluster.nodeOf(id)?.host.replicas() ?? []).filter(({ isLeading }) => isLeading);
    if (leading.length === 0) return;
    for (const replica of this.#hasLeases ? leading : [random.pick(leading)]) this.#read(id, replica);
  }

  #read(id: number, replica: Replica): void {
    const { invariants, fail } = this.#options;
    const newest = invariants.newestApplied(replica.group);
    void replica.readBarrier().then((granted) => {
      const { applied } = replica.raft;
      if (!granted || applied >= newest) return;
      const detail = `node ${id}, group ${replica.group}: read at ${applied}, ${newest} was applied before it asked`;
      fail({ invariant: "a stale read", detail });
    });
  }
}

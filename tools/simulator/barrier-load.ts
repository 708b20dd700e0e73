/** Asks leaders for read barriers all the time: what is read behind one must be as new as anything was before it. */
import type { GroupId } from "../../src/log/types.ts";
import type { Replica } from "../../shards/host/replica.ts";
import type { ClockOptions, SimulatedCluster } from "./cluster.ts";
import type { Violation } from "./history.ts";
import type { Invariants } from "./invariants.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const EVERY_MS_MAX = 500;
const EVERY_MS_MAX_WITH_LEASES = 150;
/** That all leaders are asked, often enough for their leases to last. */
const ALL_CHANCE_WITH_LEASES = 0.2;

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
      if (this.#hasLeases) this.#askMany(random.chance(ALL_CHANCE_WITH_LEASES));
      else this.#askOne(random.pick(cluster.ids));
      this.start();
    });
  }

  #leadingOn(id: number): Replica[] {
    return (this.#options.cluster.nodeOf(id)?.host.replicas() ?? []).filter(({ isLeading }) => isLeading);
  }

  #askOne(id: number): void {
    const { cluster, random } = this.#options;
    const leading = this.#leadingOn(id);
    if (leading.length > 0) cluster.enter(id, () => this.#read(id, random.pick(leading)));
  }

  /** Where two lead a group, one of them may still have a lease: those are always asked. */
  #askMany(all: boolean): void {
    const { cluster } = this.#options;
    const leading = cluster.ids.flatMap((id) => this.#leadingOn(id).map((replica) => ({ id, replica })));
    const leaders = new Map<GroupId, number>();
    for (const { replica: { group } } of leading) leaders.set(group, (leaders.get(group) ?? 0) + 1);
    for (const { id, replica } of leading) {
      if (all || leaders.get(replica.group)! > 1) cluster.enter(id, () => this.#read(id, replica));
    }
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

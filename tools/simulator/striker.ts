/** Lets the drawn faults strike, and heals what they did. */
import type { Timer } from "../../src/runtime/runtime.ts";
import type { SimulatedCluster } from "./cluster.ts";
import { type FaultName, type FaultPlan, STRIKES } from "./faults.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const RESTART_MS_MAX = 3_000;
const PARTITION_MS_MAX = 5_000;
const PAUSE_MS_MAX = 4_000;
const FULL_MS_MAX = 3_000;
const JUMP_MS_MAX = 3_600_000;

export interface StrikerOptions {
  readonly cluster: SimulatedCluster;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly plan: FaultPlan;
  readonly say: (text: string) => void;
}

export class Striker {
  readonly struck: Record<string, number> = {};
  readonly #options: StrikerOptions;
  #next: Timer | undefined;
  #healed = false;

  constructor(options: StrikerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#colour();
    this.#schedule();
  }

  /** All faults are over, all nodes run. */
  heal(): void {
    const { cluster } = this.#options;
    this.#healed = true;
    this.#next?.cancel();
    cluster.network.faults.cutChance = 0;
    cluster.network.faults.delayMsMax = 1;
    cluster.network.heal();
    for (const id of cluster.ids) {
      cluster.diskOf(id).faults.slowness = 1;
      cluster.diskOf(id).faults.quotaBytes = Infinity;
      cluster.diskOf(id).faults.syncErrors = 0;
      cluster.start(id);
    }
    this.#keepAlive();
  }

  /** A node that was on its way down when everything was healed is started again. */
  #keepAlive(): void {
    const { cluster, scheduler } = this.#options;
    for (const id of cluster.ids) cluster.start(id);
    scheduler.after(1_000, () => this.#keepAlive());
  }

  /** Faults that last for the whole run. */
  #colour(): void {
    const { cluster, random, plan } = this.#options;
    const { faults } = cluster.network;
    if (plan.on.has("slowNetwork")) {
      faults.delayMsMax = random.skewed(5, 200);
      this.#count("slowNetwork");
    }
    if (plan.on.has("cut")) {
      faults.cutChance = random.skewed(0.0001, 0.01);
      this.#count("cut");
    }
    if (plan.on.has("slowDisk")) {
      cluster.diskOf(random.pick(cluster.ids)).faults.slowness = random.skewed(2, 100);
      this.#count("slowDisk");
    }
  }

  #schedule(): void {
    const { scheduler, random, plan } = this.#options;
    this.#next = scheduler.after(random.skewed(plan.everyMs * 0.2, plan.everyMs * 3), () => {
      const possible = STRIKES.filter((name) => plan.on.has(name));
      if (possible.length > 0) this.#strike(random.pick(possible));
      this.#schedule();
    });
  }

  #count(name: FaultName): void {
    this.struck[name] = (this.struck[name] ?? 0) + 1;
  }

  #strike(name: FaultName): void {
    const { cluster, random } = this.#options;
    const id = random.pick(cluster.ids);
    this.#count(name);
    switch (name) {
      case "crash":
        return this.#crash(id);
      case "crashAll":
        return cluster.ids.forEach((each) => this.#crash(each));
      case "pause":
        return cluster.pause(id, random.skewed(50, PAUSE_MS_MAX));
      case "partition":
        return this.#partition(random.chance(0.5));
      case "oneWay":
        return this.#oneWay();
      case "syncError":
        cluster.diskOf(id).faults.syncErrors = 1;
        return this.#later(RESTART_MS_MAX, () => cluster.start(id));
      case "diskFull":
        return this.#fillDisk(id);
      case "clockJump":
        return cluster.jumpClock(id, (random.next() - 0.5) * JUMP_MS_MAX);
      case "transfer":
        return this.#transfer();
      case "restart":
        return this.#restart(id);
    }
  }

  #later(msMax: number, callback: () => void): void {
    const { scheduler, random } = this.#options;
    scheduler.after(random.skewed(1, msMax), () => {
      if (!this.#healed) callback();
    });
  }

  #crash(id: number): void {
    const { cluster, plan } = this.#options;
    if (plan.on.has("tornWrites")) {
      this.#count("tornWrites");
      cluster.losePower(id);
    } else {
      cluster.kill(id);
    }
    this.#later(RESTART_MS_MAX, () => cluster.start(id));
  }

  /** A clean stop, then a start. */
  #restart(id: number): void {
    const { cluster, say } = this.#options;
    const node = cluster.nodeOf(id);
    if (!node) return;
    say(`node ${id} is asked to stop`);
    const gone = () => {
      if (cluster.nodeOf(id) === node) cluster.kill(id);
      this.#later(RESTART_MS_MAX, () => cluster.start(id));
    };
    node.stop().then(gone, gone);
  }

  /** Cuts the nodes into two halves, or one off from all (clients stay with both). */
  #partition(alone: boolean): void {
    const { cluster, random, say } = this.#options;
    const victim = random.pick(cluster.ids);
    const inHalf = (id: number) => alone ? id === victim : id <= victim;
    for (const a of cluster.ids) {
      for (const b of cluster.ids) if (inHalf(a) !== inHalf(b)) cluster.network.block(a, b);
    }
    say(`partition: ${cluster.ids.filter(inHalf)} from ${cluster.ids.filter((id) => !inHalf(id))}`);
    this.#healLater();
  }

  #oneWay(): void {
    const { cluster, random, say } = this.#options;
    const from = random.pick(cluster.ids);
    const to = random.pick(cluster.ids.filter((id) => id !== from));
    cluster.network.block(from, to);
    say(`one way cut: ${from} to ${to}`);
    this.#healLater();
  }

  #healLater(): void {
    const { cluster, say } = this.#options;
    this.#later(PARTITION_MS_MAX, () => {
      say("the network heals");
      cluster.network.heal();
    });
  }

  #fillDisk(id: number): void {
    const { cluster, say } = this.#options;
    const disk = cluster.diskOf(id);
    disk.faults.quotaBytes = disk.usedBytes;
    say(`node ${id}: the disk is full`);
    this.#later(FULL_MS_MAX, () => {
      disk.faults.quotaBytes = Infinity;
      say(`node ${id}: the disk has room again`);
      cluster.start(id);
    });
  }

  #transfer(): void {
    const { cluster, random, scheduler } = this.#options;
    const node = cluster.nodeOf(random.pick(cluster.ids));
    if (!node) return;
    for (const replica of node.host.replicas()) {
      if (!replica.isLeading || random.chance(0.5)) continue;
      replica.raft.transfer(random.pick(cluster.ids), scheduler.nowMs);
      node.host.wake(replica);
    }
  }
}

/** Lets the drawn faults strike, and heals what they did. */
import type { Timer } from "../../src/runtime/runtime.ts";
import type { SimulatedCluster } from "./cluster.ts";
import { Cuts } from "./cuts.ts";
import { SURVIVALS } from "./disk-file.ts";
import { type FaultName, type FaultPlan, type StrikeName, STRIKES } from "./faults.ts";
import { LostDisks } from "./lost-disks.ts";
import { addSpares, strikeGrowth } from "./growth.ts";
import { strikeMove } from "./moves.ts";
import type { MachineId } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const RESTART_MS_MAX = 3_000;
/** Shorter than an election timeout. */
const BLINK_MS_MAX = 100;
const PARTITION_MS_MAX = 5_000;
const PAUSE_MS_MAX = 4_000;
const FULL_MS_MAX = 3_000;
const JUMP_MS_MAX = 3_600_000;
const CHASES_MAX = 6;
const CHASE_MS_MAX = 400;
const BUSY_MS_MAX = 5;
const ROTTEN_BITS_MAX = 3;
const DISK_OPERATIONS_MAX = 60;
const GROWTH_CHANCE = 0.4;
const KEEP_ALIVE_MS = 1_000;

export interface StrikerOptions {
  readonly cluster: SimulatedCluster;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly plan: FaultPlan;
  readonly say: (text: string) => void;
}

export class Striker {
  /** How often each fault struck. */
  readonly struck: Record<string, number> = {};
  readonly #options: StrikerOptions;
  readonly #possible: readonly StrikeName[];
  readonly #cuts: Cuts;
  /** The one node whose disk rots or is lost: of each entry that is committed a good copy remains. */
  readonly #rotten: MachineId;
  readonly #lostDisks: LostDisks;
  #next: Timer | undefined;
  #healed = false;

  constructor(options: StrikerOptions) {
    const { cluster, random, plan } = options;
    this.#options = options;
    this.#possible = STRIKES.filter((name) => plan.on.has(name));
    this.#cuts = new Cuts(cluster.network, cluster.ids, random);
    this.#rotten = random.pick(cluster.ids);
    this.#lostDisks = new LostDisks(cluster, this.#rotten);
  }

  start(): void {
    this.#colour();
    if (this.#possible.length > 0 || this.#options.plan.on.has("growth")) this.#schedule();
  }

  /** All faults are over, all nodes run. */
  heal(): void {
    const { cluster } = this.#options;
    this.#healed = true;
    this.#next?.cancel();
    cluster.network.faults.cutChance = 0;
    cluster.network.faults.delayMsMax = 1;
    cluster.network.heal();
    cluster.setClocks();
    for (const id of cluster.ids) {
      const { faults } = cluster.diskOf(id);
      faults.slowness = 1;
      faults.quotaBytes = Infinity;
      faults.syncErrors = 0;
    }
    this.#keepAlive();
  }

  /** A node that was on its way down when everything was healed is started again. */
  #keepAlive(): void {
    const { cluster, scheduler } = this.#options;
    for (const id of cluster.ids) cluster.start(id);
    addSpares(cluster);
    scheduler.after(KEEP_ALIVE_MS, () => this.#keepAlive());
  }

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
    if (plan.on.has("busyNodes")) {
      cluster.slowTurns(random.skewed(0.1, BUSY_MS_MAX));
      this.#count("busyNodes");
    }
    if (plan.on.has("slowConsumer")) this.#count("slowConsumer");
    if (plan.on.has("clockDrift")) this.#count("clockDrift");
  }

  #schedule(): void {
    const { scheduler, random, plan } = this.#options;
    this.#next = scheduler.after(random.skewed(plan.everyMs * 0.2, plan.everyMs * 3), () => {
      // One that comes and goes does so more than once in a run.
      if (plan.on.has("growth") && (this.#possible.length === 0 || random.chance(GROWTH_CHANCE))) {
        this.#strike("growth");
      } else this.#strike(random.pick(this.#possible));
      this.#schedule();
    });
  }

  #count(name: FaultName): void {
    this.struck[name] = (this.struck[name] ?? 0) + 1;
  }

  #strike(name: StrikeName): void {
    const { cluster, random, say } = this.#options;
    const id = random.pick(cluster.ids);
    this.#count(name);
    switch (name) {
      case "crash":
        return this.#crash(id);
      case "crashAll":
        return this.#crashAll();
      case "crashAtDisk":
        return this.#crashAtDisk(random.chance(0.5) ? this.#leader() : id);
      case "chaseLeader":
        return this.#chase(1 + random.integer(CHASES_MAX));
      case "pause":
        return cluster.pause(random.chance(0.5) ? this.#leader() : id, random.skewed(50, PAUSE_MS_MAX));
      case "partition":
        return this.#cut(random.chance(0.5) ? this.#cuts.alone(id) : this.#cuts.halves());
      case "oneWay":
        return this.#cut(this.#cuts.oneWay());
      case "bridge":
        return this.#cut(this.#cuts.bridge());
      case "ring":
        return this.#cut(this.#cuts.ring());
      case "leaderAlone":
        return this.#cut(this.#cuts.alone(this.#leader()));
      case "firewall":
        return this.#cut(this.#cuts.rejected(this.#leader()));
      case "restartFollowers":
        return this.#restartFollowers(this.#leader());
      case "syncError":
        cluster.diskOf(id).faults.syncErrors = 1;
        return this.#later(RESTART_MS_MAX, () => cluster.start(id));
      case "diskFull":
        return this.#fillDisk(id);
      case "clockJump":
        return cluster.jumpClock(id, (random.next() - 0.5) * JUMP_MS_MAX);
      case "transfer":
        return this.#transfer();
      case "moveReplicas":
        return strikeMove(cluster, random, say);
      case "growth":
        return strikeGrowth(cluster, random, say);
      case "restart":
        return this.#restart(id);
      case "bitRot":
        return this.#rot();
      case "emptyDisk":
        this.#lostDisks.empty();
        return this.#later(RESTART_MS_MAX, () => cluster.start(this.#rotten));
      case "oldCopy":
        this.#lostDisks.rollBack();
        return this.#later(RESTART_MS_MAX, () => cluster.start(this.#rotten));
    }
  }

  #later(msMax: number, callback: () => void): void {
    const { scheduler, random } = this.#options;
    scheduler.after(random.skewed(1, msMax), () => {
      if (!this.#healed) callback();
    });
  }

  /** A node that leads something; any if none does. */
  #leader(): MachineId {
    const { cluster, random } = this.#options;
    const leaders = cluster.alive.filter((id) => {
      for (const replica of cluster.nodeOf(id)?.host.replicas() ?? []) if (replica.isLeading) return true;
      return false;
    });
    return random.pick(leaders.length > 0 ? leaders : cluster.ids);
  }

  #crash(id: MachineId, restartMsMax = RESTART_MS_MAX): void {
    this.#stopHard(id, undefined);
    this.#later(restartMsMax, () => this.#options.cluster.start(id));
  }

  #restartFollowers(leader: MachineId): void {
    this.#cut(this.#cuts.alone(leader));
    for (const id of this.#options.cluster.ids) if (id !== leader) this.#crash(id, BLINK_MS_MAX);
  }

  /** In the instant in which an operation on its disk begins or ends: what was asked for with it is under way. */
  #crashAtDisk(id: MachineId): void {
    const { cluster, random, scheduler } = this.#options;
    const disk = cluster.diskOf(id);
    let left = 1 + random.integer(DISK_OPERATIONS_MAX);
    disk.onOperation = () => {
      left -= 1;
      if (left > 0) return;
      disk.onOperation = () => {};
      scheduler.after(0, () => {
        if (!this.#healed) this.#crash(id);
      });
    };
  }

  /** All at once; with a loss of power sometimes in the same way on all disks, sometimes in any on each. */
  #crashAll(): void {
    const { cluster, random } = this.#options;
    const survival = random.chance(0.5) ? random.pick(SURVIVALS) : undefined;
    for (const id of cluster.ids) {
      this.#stopHard(id, survival);
      this.#later(RESTART_MS_MAX, () => cluster.start(id));
    }
  }

  #stopHard(id: MachineId, survival: typeof SURVIVALS[number] | undefined): void {
    const { cluster, plan } = this.#options;
    if (!plan.on.has("powerLoss")) return cluster.kill(id);
    this.#count("powerLoss");
    cluster.losePower(id, survival);
  }

  /** Whoever leads is killed, and who follows it, too. */
  #chase(times: number): void {
    if (times === 0) return;
    this.#crash(this.#leader());
    this.#later(CHASE_MS_MAX, () => this.#chase(times - 1));
  }

  /** A clean stop, then a start. */
  #restart(id: MachineId): void {
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

  #cut(what: string): void {
    const { cluster, say } = this.#options;
    say(what);
    this.#later(PARTITION_MS_MAX, () => {
      say("the network heals");
      cluster.network.heal();
    });
  }

  #fillDisk(id: MachineId): void {
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

  /** While the node is down some of its log's bits flip. */
  #rot(): void {
    const { cluster, random } = this.#options;
    cluster.kill(this.#rotten);
    const bits = 1 + random.integer(ROTTEN_BITS_MAX);
    for (let bit = 0; bit < bits; bit++) cluster.rot(this.#rotten, random);
    this.#later(RESTART_MS_MAX, () => cluster.start(this.#rotten));
  }

  #transfer(): void {
    const { cluster, random } = this.#options;
    const node = cluster.nodeOf(random.pick(cluster.ids));
    if (!node) return;
    for (const replica of node.host.replicas()) {
      if (!replica.isLeading || random.chance(0.5)) continue;
      replica.raft.transfer(random.pick(cluster.ids), node.host.nowMs());
      node.host.wake(replica);
    }
  }
}

/** The simulated machines: nodes that can be killed, lose power, pause and start again on what their disks kept. */
import { RaftlineNode } from "../../src/node/node.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import type { LogLimits } from "../../src/log/limits.ts";
import type { Message } from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Address } from "../../src/runtime/network.ts";
import type { LogSink, Runtime } from "../../src/runtime/runtime.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { DEFAULT_HOST_LIMITS, type HostLimits } from "../../shards/host/limits.ts";
import { SimulatedDisk } from "./disk.ts";
import type { Survival } from "./disk-file.ts";
import { UNCAUGHT, type Violation } from "./history.ts";
import { type MachineId, SimulatedNetwork } from "./network.ts";
import { ProcessEnded, SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const HOST = "simulated";
const CLIENT_MACHINES_FROM = 100;
const CLIENT_PORT = 7_400;
const PEER_PORT = 7_500;

/** Small, so that a short run meets every bound. */
const LIMITS: HostLimits = {
  ...DEFAULT_HOST_LIMITS,
  tailCacheBytesMax: 64 * 1024,
  checkpointBytes: 32 * 1024,
  checkpointEntries: 200,
  balanceDelayMs: 1_000,
};

const LOG_LIMITS: Partial<LogLimits> = {
  fileBytes: 128 * 1024,
  blockBytesMax: 16 * 1024,
  copyBytesMax: 1024,
  zeroLeadBytes: 4096,
  zeroLeadBelowBytes: 1024,
  runBytesMax: 4096,
  sparseBelowBytes: 300,
  reserveBytes: 16 * 1024,
  reserveBelowFreeBytes: Infinity,
  compactFreesBytesMin: 16 * 1024,
  compactFilesMin: 4,
  compactBytesPerSecond: 1024 * 1024,
  readBytesMax: 16 * 1024,
  scanBytes: 16 * 1024,
  searchBytes: 32 * 1024,
};

/** That a node of a cluster with leases starts again without: its configuration is being changed. */
const NO_LEASES_CHANCE = 0.1;

/** As slow or as fast as a node's clock may be. */
const EXTREME_RATE_CHANCE = 0.8;

const DATA_FOLDER = "data";
const NO_BYTES = new Uint8Array(0);

/** With these a node refuses a disk that is damaged. */
const DAMAGE_CODES: ReadonlySet<string> = new Set(["CORRUPT", "FOREIGN_FILE", "MISSING_FILE", "UNSUPPORTED_VERSION"]);

interface Machine {
  readonly id: MachineId;
  readonly disk: SimulatedDisk;
  process: SimulatedProcess | undefined;
  node: RaftlineNode | undefined;
  skewMs: number;
  /** Bits of its disk flipped: it may refuse to start. */
  rotten: boolean;
}

export interface ClockOptions {
  /** The fastest monotonic clock of a node beside the slowest. */
  readonly rateMax: number;
  /** If given, reads are answered under leases. A node that starts again may be configured otherwise. */
  readonly driftMax: number | undefined;
}

export interface ClusterOptions {
  /** That the cluster is made with. */
  readonly nodes: number;
  /** Machines beside them, for nodes that may be added. */
  readonly spares?: number;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly clocks: ClockOptions;
  /** Of its hosts, where they shall differ from those of all runs. */
  readonly limits?: Partial<HostLimits>;
  readonly fail: (violation: Violation) => void;
  /** For the timeline that a failure prints. */
  readonly say: (text: string) => void;
  /** What a node said to be durable need not be there any more. */
  readonly onReplaced?: (nodeId: MachineId) => void;
  /** A node hands this to its network. */
  readonly onSent?: (nodeId: MachineId, group: number, message: Message<Entry>) => void;
}

export class SimulatedCluster {
  readonly network: SimulatedNetwork;
  readonly #options: ClusterOptions;
  readonly #machines: Machine[];
  readonly #clients: SimulatedProcess[] = [];
  #turnMsMax = 0;
  #clocksRightSinceMs = 0;

  constructor(options: ClusterOptions) {
    const { scheduler, random, nodes, spares = 0 } = options;
    this.#options = options;
    this.network = new SimulatedNetwork(scheduler, random.fork());
    const timers = {
      after: (delayMs: number, callback: () => void) => scheduler.after(delayMs, callback),
      defer: (callback: () => void) => void scheduler.after(0, callback),
      endTurn: (callback: () => void) => void scheduler.after(0, callback),
    };
    this.#machines = Array.from({ length: nodes + spares }, (_, i) => ({
      id: i + 1,
      disk: new SimulatedDisk(random.fork(), timers),
      process: undefined,
      node: undefined,
      skewMs: 0,
      rotten: false,
    }));
  }

  get ids(): MachineId[] {
    return this.#machines.map(({ id }) => id);
  }

  /** Those that the cluster is made with. */
  get founders(): MachineId[] {
    return this.ids.slice(0, this.#options.nodes);
  }

  /** Those that may be added. */
  get spares(): MachineId[] {
    return this.ids.slice(this.#options.nodes);
  }

  /** Where the others reach a node. */
  peerAddress(id: MachineId): Address {
    return { host: HOST, port: PEER_PORT + id };
  }

  get bootstrap(): string[] {
    return this.ids.map((id) => `${HOST}:${CLIENT_PORT + id}`);
  }

  get alive(): MachineId[] {
    return this.#machines.filter(({ process }) => process?.alive).map(({ id }) => id);
  }

  nodeOf(id: MachineId): RaftlineNode | undefined {
    return this.#machine(id).node;
  }

  diskOf(id: MachineId): SimulatedDisk {
    return this.#machine(id).disk;
  }

  /** Visits the nodes whose code ran since the last call, with the same array as long as their replicas are the same. */
  eachTouched(visit: (nodeId: MachineId, replicas: readonly Replica[]) => void): void {
    for (const { id, process, node } of this.#machines) {
      if (!process?.touched) continue;
      process.touched = false;
      if (process.alive && node) visit(id, node.host.replicas());
    }
  }

  /** A process of a client, on a machine of its own. */
  client(random: SeededRandom): SimulatedProcess {
    const id = CLIENT_MACHINES_FROM + this.#clients.length;
    const disk = new SimulatedDisk(random, { after: () => ({ cancel() {} }), defer() {}, endTurn() {} });
    const process = this.#process(id, disk, random, () => 0, 1);
    this.#clients.push(process);
    return process;
  }

  /** A client's process is gone, in the middle of whatever it does. */
  killClient(runtime: Runtime): void {
    const at = this.#clients.findIndex((client) => client.runtime === runtime);
    this.#clients[at]?.kill();
    this.network.crash(CLIENT_MACHINES_FROM + at);
  }

  start(id: MachineId): void {
    const machine = this.#machine(id);
    if (machine.process?.alive) return;
    const { random, fail, say } = this.#options;
    const process = this.#process(id, machine.disk, random.fork(), () => machine.skewMs, this.#drawRate());
    machine.process = process;
    process.turnMsMax = this.#turnMsMax;
    machine.node = undefined;
    say(`node ${id} starts`);
    process.enter(() => {
      const limits = { ...LIMITS, ...this.#options.limits };
      RaftlineNode.open(this.#configOf(id), { runtime: process.runtime, limits, logLimits: LOG_LIMITS }).then(
        (node) => {
          if (!process.alive) return;
          machine.node = node;
          this.#watchSent(node);
          process.enter(() => node.start(this.#addresses(), 0));
        },
        (error: unknown) => {
          if (!process.alive || error instanceof ProcessEnded) return;
          this.#end(machine);
          const code = (error as { code?: string }).code;
          say(`node ${id} could not start: ${error}`);
          // A full disk and one that fails are waited out; one that rots is found out; nothing else must happen.
          if (code !== "DISK_FULL" && code !== "IO_ERROR" && !(machine.rotten && DAMAGE_CODES.has(`${code}`))) {
            fail({ invariant: "a node cannot start", detail: `node ${id}: ${error}` });
          }
        },
      );
    });
  }

  /** kill -9: what was written stays. */
  kill(id: MachineId): void {
    const machine = this.#machine(id);
    if (!machine.process?.alive) return;
    this.#options.say(`node ${id} is killed`);
    this.#end(machine);
    machine.disk.kill();
  }

  /** Power loss: of what was not synced anything may survive. */
  losePower(id: MachineId, survival?: Survival): void {
    const machine = this.#machine(id);
    this.#options.say(`node ${id} loses power`);
    this.#end(machine);
    machine.disk.crash(survival && { survival });
  }

  /** A bit of the log of a node that is down flips, somewhere in what was written. */
  rot(id: MachineId, random: SeededRandom): void {
    const { disk } = this.#machine(id);
    const path = random.pick(disk.paths().filter((each) => each.startsWith(`${DATA_FOLDER}/log/`)));
    const bytes = path === undefined ? NO_BYTES : disk.bytes(path);
    let used = bytes.length;
    while (used > 0 && bytes[used - 1] === 0) used -= 1;
    if (used === 0) return;
    const position = random.integer(used);
    disk.flipBit(path, position, random.integer(8));
    this.#machine(id).rotten = true;
    this.#options.say(`node ${id}: a bit of ${path} flips, at ${position} of ${used}`);
  }

  /** The disk of a node that is down is another one from now on, with these files. */
  replaceDisk(id: MachineId, files: ReadonlyMap<string, Uint8Array>): void {
    const machine = this.#machine(id);
    const { disk } = machine;
    for (const path of disk.paths()) disk.delete(path);
    for (const [path, bytes] of files) disk.put(path, bytes);
    machine.rotten &&= files.size > 0;
    this.#options.onReplaced?.(id);
    this.#options.say(`node ${id} has ${files.size === 0 ? "an empty disk" : "an old copy of its disk"}`);
  }

  /** From now on the end of a turn may be so far away, everywhere. */
  slowTurns(turnMsMax: number): void {
    this.#turnMsMax = turnMsMax;
    for (const { process } of this.#machines) if (process) process.turnMsMax = turnMsMax;
  }

  pause(id: MachineId, forMs: number): void {
    const { process } = this.#machine(id);
    if (!process?.alive) return;
    this.#options.say(`node ${id} is paused for ${Math.round(forMs)} ms`);
    process.pausedUntilMs = this.#options.scheduler.nowMs + forMs;
  }

  /** Runs something as the node's own code, if it is up and not paused. */
  enter(id: MachineId, callback: () => void): void {
    const { process } = this.#machine(id);
    if (process && process.pausedUntilMs <= this.#options.scheduler.nowMs) process.enter(callback);
  }

  /** Since when all wall clocks are right; Infinity while one is not. */
  get clocksRightSinceMs(): number {
    return this.#machines.some(({ skewMs }) => skewMs !== 0) ? Infinity : this.#clocksRightSinceMs;
  }

  /** Or scheduled records would wait for as long as a clock is behind. */
  setClocks(): void {
    if (this.clocksRightSinceMs === Infinity) this.#clocksRightSinceMs = this.#options.scheduler.nowMs;
    for (const machine of this.#machines) machine.skewMs = 0;
  }

  jumpClock(id: MachineId, byMs: number): void {
    this.#options.say(`node ${id}: the wall clock jumps by ${Math.round(byMs)} ms`);
    this.#machine(id).skewMs += byMs;
  }

  #watchSent({ peers, nodeId }: RaftlineNode): void {
    const { onSent } = this.#options;
    if (!onSent) return;
    const queue = peers.queue.bind(peers);
    peers.queue = (group, message, state) => {
      onSent(nodeId, group, message);
      queue(group, message, state);
    };
  }

  #machine(id: MachineId): Machine {
    return this.#machines[id - 1]!;
  }

  #end(machine: Machine): void {
    machine.process?.kill();
    machine.node = undefined;
    this.network.crash(machine.id);
  }

  #process(
    id: MachineId,
    disk: SimulatedDisk,
    random: SeededRandom,
    wallSkewMs: () => number,
    clockRate: number,
  ): SimulatedProcess {
    const { scheduler, fail, say } = this.#options;
    const log: LogSink = {
      write: (level, message, fields) => say(`node ${id}: ${level} ${message} ${fields ? JSON.stringify(fields) : ""}`),
    };
    return new SimulatedProcess({
      machine: id,
      scheduler,
      random,
      network: this.network,
      disk: disk.attach(),
      log,
      wallSkewMs,
      clockRate,
      onFatal: (reason, cause) => {
        say(`node ${id} ends itself: ${reason} (${cause})`);
        const machine = this.#machines[id - 1];
        if (!machine) return;
        this.#end(machine);
        machine.disk.kill();
      },
      onException: (error) => fail({ invariant: UNCAUGHT, detail: `machine ${id}: ${describe(error)}` }),
    });
  }

  #configOf(nodeId: MachineId): NodeConfig {
    const nodes = this.founders.map((id) => ({ id, ...this.peerAddress(id) }));
    const ports = { clientPort: CLIENT_PORT + nodeId, peerPort: PEER_PORT + nodeId };
    const join = !this.founders.includes(nodeId);
    const config = { clusterId: "simulated", nodeId, dataFolder: DATA_FOLDER, host: HOST, nodes, ...ports, join };
    const { random, clocks: { driftMax } } = this.#options;
    const isFirst = this.#machine(nodeId).disk.paths().length === 0;
    if (driftMax === undefined || (!isFirst && random.chance(NO_LEASES_CHANCE))) return config;
    return { ...config, clockDriftMax: driftMax };
  }

  #drawRate(): number {
    const { random, clocks: { rateMax } } = this.#options;
    if (rateMax === 1) return 1;
    return random.chance(EXTREME_RATE_CHANCE) ? random.pick([1, rateMax]) : 1 + random.next() * (rateMax - 1);
  }

  #addresses(): Map<MachineId, Address> {
    return new Map(this.founders.map((id) => [id, this.peerAddress(id)]));
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

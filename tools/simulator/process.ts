/** One run of a simulated process: its own runtime, that goes silent when the process is killed. */
import type { Disk } from "../../src/runtime/disk.ts";
import type { LogSink, Runtime } from "../../src/runtime/runtime.ts";
import type { MachineId, SimulatedNetwork } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Thrown by `runtime.fatal`: the process is gone, and with it whoever called. */
export class ProcessEnded extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ProcessEnded";
  }
}

export interface ProcessOptions {
  readonly machine: MachineId;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly disk: Disk;
  readonly log: LogSink;
  /** Added to the wall clock; the monotonic one is never moved. */
  readonly wallSkewMs: () => number;
  /** The process ended itself. */
  readonly onFatal: (reason: string, cause: unknown) => void;
}

/** 2026-01-01: a wall clock to start from. */
const EPOCH_MS = 1_767_225_600_000;

export class SimulatedProcess {
  readonly runtime: Runtime;
  alive = true;
  /** Stopped for a while (SIGSTOP, a long collection of garbage): what comes due waits. */
  pausedUntilMs = 0;

  constructor(options: ProcessOptions) {
    const { scheduler, random, network, disk, machine, log, wallSkewMs, onFatal } = options;
    const whenRunning = (callback: () => void) => () => this.#run(scheduler, callback);
    this.runtime = {
      clock: {
        monotonicMs: () => scheduler.nowMs,
        wallMs: () => Math.floor(EPOCH_MS + scheduler.nowMs + wallSkewMs()),
      },
      random,
      timers: {
        after: (delayMs, callback) => scheduler.after(delayMs, whenRunning(callback)),
        defer: (callback) => {
          scheduler.after(0, whenRunning(callback));
        },
      },
      disk,
      network: network.of(machine),
      log,
      fatal: (reason, cause) => {
        this.alive = false;
        onFatal(reason, cause);
        throw new ProcessEnded(reason);
      },
    };
  }

  kill(): void {
    this.alive = false;
  }

  #run(scheduler: Scheduler, callback: () => void): void {
    if (!this.alive) return;
    if (scheduler.nowMs < this.pausedUntilMs) {
      scheduler.after(this.pausedUntilMs - scheduler.nowMs, () => this.#run(scheduler, callback));
      return;
    }
    callback();
  }
}

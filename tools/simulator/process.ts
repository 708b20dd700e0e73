/** One run of a simulated process: its own runtime, that goes silent when the process is killed. */
import type { Disk } from "../../src/runtime/disk.ts";
import type { LogSink, Runtime, Timer } from "../../src/runtime/runtime.ts";
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
  /** How fast the monotonic clock, and with it every timer, runs. */
  readonly clockRate: number;
  /** The process ended itself (`runtime.fatal`). */
  readonly onFatal: (reason: string, cause: unknown) => void;
  /** Something was thrown that nobody caught: a real process would be gone. */
  readonly onException: (error: unknown) => void;
}

/** 2026-01-01: a wall clock to start from. */
const EPOCH_MS = 1_767_225_600_000;

/** Keeps the order of what was held up by a pause, without taking noticeable time. */
const SQUEEZE = 1e-6;

/** A timer is not early by the clock of its process, however that rounds. */
const ROUNDING_MS = 1e-6;

/** Cancelled by its owner even when the process was paused as it came due. */
class ProcessTimer implements Timer {
  event: Timer | undefined;
  #callback: (() => void) | undefined;

  constructor(callback: () => void) {
    this.#callback = callback;
  }

  readonly fire = (): void => this.#callback?.();

  cancel(): void {
    this.#callback = undefined;
    this.event?.cancel();
  }
}

export class SimulatedProcess {
  readonly runtime: Runtime;
  alive = true;
  /** Stopped for a while (SIGSTOP, a long collection of garbage): what comes due waits. */
  pausedUntilMs = 0;
  /** How long the end of a turn may be away: a process that is busy with other things. */
  turnMsMax = 0;
  /** Whether its code has run since somebody last looked. */
  touched = false;
  readonly #options: ProcessOptions;
  /** Callbacks of `defer`: first in, first out, as with setImmediate. */
  #deferred: (() => void)[] = [];
  readonly #runDeferred = (): void => this.#deferred.shift()?.();
  readonly #turn = (): void => this.#whenRunning(this.#options.scheduler.nowMs, this.#runDeferred);

  constructor(options: ProcessOptions) {
    const { scheduler, random, network, disk, machine, log, wallSkewMs, clockRate, onFatal } = options;
    this.#options = options;
    this.runtime = {
      clock: {
        monotonicMs: () => scheduler.nowMs * clockRate,
        wallMs: () => Math.floor(EPOCH_MS + scheduler.nowMs + wallSkewMs()),
      },
      random,
      timers: {
        after: (delayMs, callback) => {
          const timer = new ProcessTimer(callback);
          const trueDelayMs = clockRate === 1 || delayMs <= 0 ? delayMs : delayMs / clockRate + ROUNDING_MS;
          const dueMs = scheduler.nowMs + trueDelayMs;
          timer.event = scheduler.after(trueDelayMs, () => this.#whenRunning(dueMs, timer.fire));
          return timer;
        },
        defer: (callback) => {
          this.#deferred.push(callback);
          scheduler.after(this.turnMsMax * random.next(), this.#turn);
        },
        endTurn: (callback) => this.runtime.timers.defer(callback),
      },
      disk,
      network: network.of(machine),
      log,
      memory: () => ({ resident: 0, heapReserved: 0, heapUsed: 0, external: 0 }),
      fatal: (reason, cause) => {
        this.kill();
        onFatal(reason, cause);
        throw new ProcessEnded(reason);
      },
    };
    network.setGate(machine, {
      pausedUntilMs: () => this.pausedUntilMs,
      enter: (callback) => this.enter(callback),
    });
  }

  kill(): void {
    this.alive = false;
    this.#deferred = [];
  }

  /** Runs something of this process, if it lives. */
  enter(callback: () => void): void {
    if (!this.alive) return;
    this.touched = true;
    try {
      callback();
    } catch (error) {
      if (error instanceof ProcessEnded) return;
      this.#options.onException(error);
    }
  }

  #whenRunning(dueMs: number, callback: () => void): void {
    const { scheduler } = this.#options;
    if (!this.alive) return;
    if (scheduler.nowMs >= this.pausedUntilMs) return this.enter(callback);
    const resumeMs = this.pausedUntilMs + (dueMs - scheduler.nowMs + 60_000) * SQUEEZE;
    scheduler.after(resumeMs - scheduler.nowMs, () => this.#whenRunning(dueMs, callback));
  }
}

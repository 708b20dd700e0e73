/** A machine with a simulated disk and simulated time, on which the log runs in tests. */
import type { LogSink, Runtime } from "../../src/runtime/runtime.ts";
import { type LogOptions, openLog } from "../../src/log/log.ts";
import type { LogLimits } from "../../src/log/limits.ts";
import { type Log, LogError } from "../../src/log/types.ts";
import { SimulatedDisk } from "../../tools/simulator/disk.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { Scheduler } from "../../tools/simulator/scheduler.ts";

/** Small enough that a few writes roll files, split runs and share runs. */
export const SMALL: Partial<LogLimits> = {
  fileBytes: 32 * 1024,
  blockBytesMax: 8 * 1024,
  copyBytesMax: 512,
  zeroLeadBytes: 2048,
  zeroLeadBelowBytes: 1024,
  runBytesMax: 2048,
  sparseBelowBytes: 300,
  reserveBytes: 0,
  compactFreesBytesMin: 4 * 1024,
  compactFilesMin: 4,
  reserveBelowFreeBytes: Infinity,
  readBytesMax: 8 * 1024,
  readGapBytes: 512,
  indexCacheBytes: 4096,
  scanBytes: 16 * 1024,
  searchBytes: 32 * 1024,
};

export const FOLDER = "node/log";

export class Machine {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly messages: string[] = [];
  fatalReason: string | undefined = undefined;

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.scheduler = new Scheduler(random.fork());
    this.random = random.fork();
    const { scheduler } = this;
    this.disk = new SimulatedDisk(random.fork(), {
      after: (delayMs, callback) => scheduler.after(delayMs, callback),
      defer: (callback) => void scheduler.after(0, callback),
      endTurn: (callback) => void scheduler.after(0, callback),
    });
  }

  /** The runtime of a process that starts now. */
  start(): Runtime {
    const { scheduler } = this;
    const log: LogSink = { write: (_level, message) => void this.messages.push(message) };
    return {
      clock: { monotonicMs: () => scheduler.nowMs, wallMs: () => scheduler.nowMs },
      random: this.random,
      timers: {
        after: (delayMs, callback) => scheduler.after(delayMs, callback),
        defer: (callback) => void scheduler.after(0, callback),
        endTurn: (callback) => void scheduler.after(0, callback),
      },
      disk: this.disk.attach(),
      network: {
        listen: () => Promise.reject(new Error("no network")),
        connect: () => Promise.reject(new Error("no network")),
      },
      log,
      memory: () => ({ resident: 0, heapReserved: 0, heapUsed: 0, external: 0 }),
      fatal: (reason, cause) => {
        this.fatalReason = `${reason}: ${cause}`;
        this.disk.kill();
        this.scheduler.stop();
        throw new Error(this.fatalReason);
      },
    };
  }

  open(limits: Partial<LogLimits> = SMALL, onDamage: LogOptions["onDamage"] = () => {}): Promise<Log> {
    return openLog(this.start(), FOLDER, { limits, onDamage });
  }

  /** Runs simulated time until `work` is done; undefined if it never will be (the machine crashed). */
  async run<T>(work: Promise<T>): Promise<T | undefined> {
    let result: T | undefined;
    let failure: { error: unknown } | undefined;
    work.then((value) => {
      result = value;
      this.scheduler.stop();
    }, (error) => {
      failure = { error };
      this.scheduler.stop();
    });
    await this.scheduler.run(this.scheduler.nowMs + 600_000);
    if (failure) throw failure.error;
    return result;
  }
}

/** Why its log does not open. */
export async function refusal(machine: Machine): Promise<LogError> {
  try {
    await machine.run(machine.open());
  } catch (error) {
    if (error instanceof LogError) return error;
    throw error;
  }
  throw new Error("it was opened");
}

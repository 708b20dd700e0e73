/**
 * `raftline/testing`: run your own producers and consumers against a simulated cluster, on a simulated clock, with
 * faults that are drawn from a seed. The same seed gives the same run.
 *
 * @example
 * ```ts
 * import { simulateCluster } from "raftline/testing";
 *
 * await simulateCluster({ seed: 7, faults: ["crash", "partition"] }, async (world) => {
 *   const client = await world.connect();
 *   await client.admin.createTopic("orders", { partitions: 2 });
 *   const { partition, offset } = await client.producer().send("orders", { key: "42", value: "paid" });
 *   await world.healed();
 *   for await (const record of client.consumer({ topics: ["orders"], from: "earliest", until: "end" })) {
 *     if (record.partition === partition && record.offset === offset && record.text() !== "paid") throw new Error("lost");
 *   }
 *   await client.close();
 * });
 * ```
 */
import { type Client, connect } from "../../src/client/client.ts";
import type { ConnectOptions } from "../../src/client/options.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import { Testbed } from "./testbed.ts";

export { FAULT_NAMES, type FaultName } from "./faults.ts";
export { RealWorldError } from "./real-world.ts";

export interface SimulateOptions {
  /** A whole number; everything that is drawn is drawn from it. */
  readonly seed: number;
  /** 1 to 7; 3 if left out. */
  readonly nodes?: number;
  /** Of these the seed draws some; all if left out, none for `[]`. */
  readonly faults?: readonly FaultName[];
  /** Simulated seconds until everything is healed; 30 if left out. */
  readonly faultSeconds?: number;
  /** Simulated seconds within which `run` must end; 300 if left out. */
  readonly seconds?: number;
  /** Hears what happens, line by line. */
  readonly onTimeline?: (line: string) => void;
}

/**
 * What the code under test is handed. Inside, the real `Date.now`, `Math.random` and `setTimeout` throw
 * {@link RealWorldError}: what is below takes their place.
 */
export interface World {
  /** A client on a simulated machine of its own; tries until the cluster answers. */
  connect(options?: Omit<ConnectOptions, "runtime">): Promise<Client>;
  /** Simulated milliseconds since the start. */
  nowMs(): number;
  sleep(delayMs: number): Promise<void>;
  /** Uniform in [0, 1), from the seed. */
  random(): number;
  /** Resolves when the faults are over and all nodes run again. */
  healed(): Promise<void>;
  /** A line for the timeline. */
  say(text: string): void;
}

export interface SimulatedRun {
  readonly simulatedSeconds: number;
  readonly events: number;
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** Equal for equal seeds and equal code. */
  readonly hash: number;
}

/** The code under test threw, did not end, or the cluster broke a promise. */
export class SimulationError extends Error {
  readonly code = "SIMULATION_FAILED";
  readonly seed: number;
  /** The last things that happened. */
  readonly timeline: readonly string[];

  constructor(message: string, seed: number, timeline: readonly string[], options?: ErrorOptions) {
    super(message, options);
    this.name = "SimulationError";
    this.seed = seed;
    this.timeline = timeline;
  }
}

const NODES_MAX = 7;
const RETRY_MS = 100;

/**
 * Runs `run` against a simulated cluster while faults strike.
 * @throws {SimulationError} with the seed; `cause` is what `run` threw
 * @throws {RangeError} an option that makes no sense
 */
export async function simulateCluster(
  options: SimulateOptions,
  run: (world: World) => Promise<void>,
): Promise<SimulatedRun> {
  const { seed, nodes = 3, faults = FAULT_NAMES, faultSeconds = 30, seconds = 300, onTimeline } = options;
  checkOptions(seed, nodes, faults);
  const bed = new Testbed({ seed, nodes, faults, ...(onTimeline && { onTimeline }) });
  let thrown: { readonly error: unknown } | undefined;
  try {
    bed.startNodes();
    bed.striker.start();
    const healed = new Promise<void>((resolve) => {
      bed.scheduler.after(faultSeconds * 1000, () => {
        bed.striker.heal();
        bed.timeline.say("healed");
        resolve();
      });
    });
    // Begun by an event: all of it is inside the simulation.
    const running = new Promise<void>((resolve) => {
      bed.scheduler.after(0, () => resolve(run(worldOf(bed, healed))));
    });
    const ending = running.catch((error: unknown) => {
      thrown = { error };
    });
    await bed.until("the code under test ends", seconds * 1000, ending);
  } finally {
    bed.close();
  }
  if (thrown) {
    throw new SimulationError(`seed ${seed}: ${thrown.error}`, seed, bed.timeline.lines, { cause: thrown.error });
  }
  if (bed.violation) {
    const { invariant, detail } = bed.violation;
    throw new SimulationError(`seed ${seed}: ${invariant}: ${detail}`, seed, bed.timeline.lines);
  }
  const { scheduler, striker, hash } = bed;
  return { simulatedSeconds: scheduler.nowMs / 1000, events: scheduler.count, faults: striker.struck, hash };
}

function checkOptions(seed: number, nodes: number, faults: readonly string[]): void {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`a seed is a whole number, not ${seed}`);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
    throw new RangeError(`nodes: 1 to ${NODES_MAX}, not ${nodes}`);
  }
  const known: readonly string[] = FAULT_NAMES;
  const unknown = faults.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new RangeError(`there is no fault "${unknown}": ${FAULT_NAMES.join(", ")}`);
}

function worldOf(bed: Testbed, healed: Promise<void>): World {
  const { cluster, scheduler, timeline } = bed;
  const random = bed.random.fork();
  const { runtime: own } = cluster.client(random.fork());
  return {
    connect: async (options = {}) => {
      const { runtime } = cluster.client(random.fork());
      for (;;) {
        try {
          return await connect(cluster.bootstrap, { ...options, runtime });
        } catch (error) {
          if ((error as { code?: string }).code !== "UNAVAILABLE") throw error;
          await sleep(own, RETRY_MS);
        }
      }
    },
    nowMs: () => scheduler.nowMs,
    sleep: (delayMs) => sleep(own, delayMs),
    random: () => random.next(),
    healed: () => healed,
    say: (text) => timeline.say(text),
  };
}

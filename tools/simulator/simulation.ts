/** One seed, one run: a cluster, clients, faults; then healing, and everything is held against what was promised. */
import process from "node:process";
import { SimulatedCluster } from "./cluster.ts";
import { drawFaults, type FaultName, type FaultPlan } from "./faults.ts";
import { TopicHistory, type Violation } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { ProcessEnded } from "./process.ts";
import { guardRealWorld } from "./real-world.ts";
import { SeededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { Striker } from "./striker.ts";
import {
  connectPatiently,
  ConsumerLoad,
  createTopic,
  ProducerLoad,
  readAll,
  type WorkloadOptions,
} from "./workload.ts";

const TIMELINE_LINES = 400;
const SETUP_MS_MAX = 30_000;
const SETTLE_MS_MAX = 90_000;
const READ_MS_MAX = 60_000;
const CONSUMERS = 1;
const PRODUCERS = 2;

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes?: number;
  /** Simulated, of the phase with faults. */
  readonly seconds?: number;
  /** Which may be drawn; all if left out. */
  readonly faults?: readonly FaultName[];
  /** Called before anything starts: where a canary puts its bug in. */
  readonly onTimeline?: (line: string) => void;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly simulatedSeconds: number;
  readonly events: number;
  readonly sends: number;
  readonly acknowledged: number;
  readonly committedEntries: number;
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** Over every committed entry and event: equal for equal seeds. */
  readonly hash: number;
  readonly timeline: readonly string[];
}

/** The first violation ends the run. */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  guardRealWorld();
  return await new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #scheduler: Scheduler;
  readonly #cluster: SimulatedCluster;
  readonly #plan: FaultPlan;
  readonly #striker: Striker;
  readonly #invariants: Invariants;
  readonly #history: TopicHistory;
  readonly #partitions: number;
  readonly #timeline: string[] = [];
  #violation: Violation | undefined;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const random = this.#random;
    this.#scheduler = new Scheduler(random.fork());
    const fail = (violation: Violation) => this.#fail(violation);
    const say = (text: string) => this.#say(text);
    const scheduler = this.#scheduler;
    this.#cluster = new SimulatedCluster({ nodes: options.nodes ?? 3, scheduler, random: random.fork(), fail, say });
    this.#plan = drawFaults(random.fork(), options.faults);
    this.#striker = new Striker({ cluster: this.#cluster, scheduler, random: random.fork(), plan: this.#plan, say });
    this.#partitions = 1 + random.integer(3);
    this.#invariants = new Invariants(fail, say);
    this.#history = new TopicHistory(this.#partitions, fail);
  }

  async run(): Promise<Outcome> {
    const release = watchUnhandled((error) => {
      this.#fail({
        invariant: "an exception nobody caught",
        detail: error instanceof Error ? error.stack ?? "" : `${error}`,
      });
    });
    try {
      await this.#phases();
    } finally {
      release();
    }
    const { seed } = this.#options;
    return {
      seed,
      violation: this.#violation,
      simulatedSeconds: this.#scheduler.nowMs / 1000,
      events: this.#scheduler.count,
      sends: this.#history.sends,
      acknowledged: this.#history.acknowledged,
      committedEntries: this.#invariants.committedEntries,
      faults: this.#striker.struck,
      hash: (Math.imul(this.#invariants.hash, 31) + this.#scheduler.count) | 0,
      timeline: this.#timeline,
    };
  }

  async #phases(): Promise<void> {
    const cluster = this.#cluster;
    this.#say(
      `seed ${this.#options.seed}: ${this.#partitions} partitions, faults ${[...this.#plan.on].join(", ") || "none"}`,
    );
    for (const id of cluster.ids) cluster.start(id);
    const setup = this.#workload();
    await this.#until(
      "the topic is created",
      SETUP_MS_MAX,
      (async () => {
        const client = await connectPatiently(setup);
        await createTopic(client, setup.runtime, this.#partitions, Math.min(3, cluster.ids.length));
        await client.close();
      })(),
    );
    if (this.#violation) return;
    const producers = Array.from({ length: PRODUCERS }, (_, id) => new ProducerLoad(id, this.#workload()));
    const consumers = Array.from({ length: CONSUMERS }, () => new ConsumerLoad(this.#workload()));
    const producing = Promise.all(producers.map((producer) => producer.run()));
    for (const consumer of consumers) void consumer.run();
    this.#striker.start();
    await this.#runFor((this.#options.seconds ?? 15) * 1000);
    this.#striker.heal();
    this.#say("healed");
    for (const producer of producers) producer.stopped = true;
    await this.#until("every send has an outcome", SETTLE_MS_MAX, producing);
    for (const consumer of consumers) consumer.stopped = true;
    let ends: number[] = [];
    const reading = readAll(this.#workload()).then((read) => {
      ends = read;
    });
    await this.#until("everything is read back", READ_MS_MAX, reading);
    if (!this.#violation) this.#history.checkComplete(ends);
  }

  #workload(): WorkloadOptions {
    const random = this.#random.fork();
    const { runtime } = this.#cluster.client(random.fork());
    const fail = (violation: Violation) => this.#fail(violation);
    const { bootstrap } = this.#cluster;
    return { runtime, random, bootstrap, partitions: this.#partitions, history: this.#history, fail };
  }

  async #runFor(ms: number): Promise<void> {
    if (this.#violation) return;
    await this.#scheduler.run(this.#scheduler.nowMs + ms, () => this.#afterEvent());
  }

  /** Liveness: on a healed cluster this must come about in time. */
  async #until(what: string, msMax: number, work: Promise<unknown>): Promise<void> {
    if (this.#violation) return;
    let done = false;
    let failure: unknown;
    work.then(() => {
      done = true;
    }, (error: unknown) => {
      done = true;
      failure = error;
    });
    const endMs = this.#scheduler.nowMs + msMax;
    while (!done && !this.#violation && this.#scheduler.nowMs < endMs) {
      await this.#scheduler.run(endMs, () => {
        this.#afterEvent();
        if (done) this.#scheduler.stop();
      });
    }
    if (this.#violation) return;
    if (!done) this.#fail({ invariant: "no progress", detail: `not within ${msMax} simulated ms: ${what}` });
    else if (failure !== undefined) this.#fail({ invariant: "no progress", detail: `${what}: ${failure}` });
  }

  #afterEvent(): void {
    this.#invariants.check(this.#cluster.touched());
  }

  #fail(violation: Violation): void {
    if (this.#violation) return;
    this.#violation = violation;
    this.#say(`VIOLATION ${violation.invariant}: ${violation.detail}`);
    this.#scheduler.stop();
  }

  #say(text: string): void {
    const line = `${(this.#scheduler.nowMs / 1000).toFixed(4).padStart(9)} s  ${text}`;
    this.#options.onTimeline?.(line);
    this.#timeline.push(line);
    if (this.#timeline.length > TIMELINE_LINES) this.#timeline.shift();
  }
}

/** A process that ended itself leaves promises that nobody waits for; everything else unhandled is a finding. */
function watchUnhandled(found: (error: unknown) => void): () => void {
  const handler = (reason: unknown) => {
    if (!(reason instanceof ProcessEnded)) found(reason);
  };
  process.on("unhandledRejection", handler);
  return () => process.off("unhandledRejection", handler);
}

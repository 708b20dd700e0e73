/** A simulated cluster with its faults and its invariants; what is done with it, its users say. */
import process from "node:process";
import type { Entry } from "../../src/records/entry.ts";
import type { HostLimits } from "../../shards/host/limits.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { type ClockOptions, SimulatedCluster } from "./cluster.ts";
import { drawFaults, type FaultName, type FaultPlan } from "./faults.ts";
import { UNCAUGHT, type Violation } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { ProcessEnded } from "./process.ts";
import { Promises } from "./promises.ts";
import { SeededRandom } from "./random.ts";
import { guardRealWorld } from "./real-world.ts";
import { Scheduler } from "./scheduler.ts";
import { Striker } from "./striker.ts";
import { Timeline } from "./timeline.ts";

const FIVE_NODES_CHANCE = 0.15;
const LEASES_CHANCE = 0.5;
const DRIFT_MIN = 1.001;
const DRIFT_MAX = 2;

export interface TestbedOptions {
  readonly seed: number;
  /** 3 or 5 are drawn if left out. */
  readonly nodes?: number;
  /** Which may be drawn; all if left out. */
  readonly faults?: readonly FaultName[];
  /** Drawn if left out. */
  readonly clocks?: ClockOptions;
  /** Of the nodes' hosts; see {@link SimulatedCluster}. */
  readonly limits?: Partial<HostLimits>;
  readonly onTimeline?: (line: string) => void;
  /** False: errors come without stacks; a run makes hundreds that are expected, and walking the stack is dear. */
  readonly stacks?: boolean;
  /** With each entry when it is applied anywhere for the first time. */
  readonly onCommitted?: (group: number, entry: Entry) => void;
}

export class Testbed {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly cluster: SimulatedCluster;
  readonly plan: FaultPlan;
  readonly clocks: ClockOptions;
  readonly striker: Striker;
  readonly invariants: Invariants;
  readonly timeline: Timeline;
  /** The first one ends the run. */
  violation: Violation | undefined;
  readonly #release: () => void;
  /** Made once: it is called after every event. */
  readonly #check = (nodeId: number, replicas: readonly Replica[]) => this.invariants.check(nodeId, replicas);

  constructor(options: TestbedOptions) {
    guardRealWorld();
    const { stackTraceLimit } = Error;
    if (options.stacks === false) Error.stackTraceLimit = 0;
    const random = this.random = new SeededRandom(options.seed);
    const scheduler = this.scheduler = new Scheduler(random.fork());
    const timeline = this.timeline = new Timeline(scheduler, options.onTimeline);
    const { fail } = this;
    const say = (text: string) => timeline.say(text);
    const drawnNodes = random.chance(FIVE_NODES_CHANCE) ? 5 : 3;
    const nodes = options.nodes ?? drawnNodes;
    const promises = new Promises(fail);
    const onSent = promises.sent.bind(promises);
    const onReplaced = promises.diskReplaced.bind(promises);
    const plan = this.plan = drawFaults(random.fork(), options.faults);
    const drawnClocks = drawClocks(random, plan);
    const clocks = this.clocks = options.clocks ?? drawnClocks;
    const told = { fail, say, onSent, onReplaced };
    // Every second run to the point: what goes wrong within a moment is seldom met by deadlines that come late.
    const slack = options.seed % 2 === 0 ? { deadlineSlackMs: 0 } : {};
    const limits = { ...slack, ...options.limits };
    const spares = plan.on.has("growth") ? 1 : 0;
    this.cluster = new SimulatedCluster({ nodes, spares, scheduler, random: random.fork(), clocks, limits, ...told });
    this.striker = new Striker({ cluster: this.cluster, scheduler, random: random.fork(), plan, say });
    this.invariants = new Invariants(fail, say, {
      onCommitted: options.onCommitted ?? (() => {}),
      onStarted: (nodeId, replica) => promises.started(nodeId, replica),
    });
    const ignore = watchUnhandled((error) => this.failByException(error));
    this.#release = () => {
      ignore();
      Error.stackTraceLimit = stackTraceLimit;
    };
  }

  /** Over every event and every committed entry: equal for equal seeds. */
  get hash(): number {
    return this.scheduler.hash ^ this.invariants.hash;
  }

  startNodes(): void {
    for (const id of this.cluster.ids) this.cluster.start(id);
  }

  /** To be called at the end. */
  close(): void {
    this.#release();
  }

  async runFor(ms: number): Promise<void> {
    if (this.violation) return;
    await this.scheduler.run(this.scheduler.nowMs + ms, () => this.#afterEvent());
  }

  /** Runs until `work` is done, which must be within so much simulated time. */
  async until(what: string, msMax: number, work: Promise<unknown>): Promise<void> {
    if (this.violation) return;
    let done = false;
    let failure: unknown;
    work.then(() => {
      done = true;
    }, (error: unknown) => {
      done = true;
      failure = error;
    });
    const endMs = this.scheduler.nowMs + msMax;
    await this.scheduler.run(endMs, () => {
      this.#afterEvent();
      if (done) this.scheduler.stop();
    });
    if (!done) this.fail({ invariant: "no progress", detail: `not within ${msMax} simulated ms: ${what}` });
    else if (failure !== undefined) this.fail({ invariant: "no progress", detail: `${what}: ${failure}` });
  }

  failByException(error: unknown): void {
    const detail = error instanceof Error ? error.stack ?? error.message : String(error);
    this.fail({ invariant: UNCAUGHT, detail });
  }

  readonly fail = (violation: Violation): void => {
    if (this.violation) return;
    this.violation = violation;
    this.timeline.say(`VIOLATION ${violation.invariant}: ${violation.detail}`);
    this.scheduler.stop();
  };

  #afterEvent(): void {
    this.cluster.eachTouched(this.#check);
  }
}

/** Where leases rest on clocks these differ by no more than is allowed; where nothing does, by what is left to chance. */
function drawClocks(random: SeededRandom, { on }: FaultPlan): ClockOptions {
  const drift = DRIFT_MIN + random.next() * (DRIFT_MAX - DRIFT_MIN);
  const driftMax = random.chance(LEASES_CHANCE) ? drift : undefined;
  return { rateMax: on.has("clockDrift") ? drift : 1, driftMax };
}

/** A process that ended itself leaves promises that nobody waits for; everything else unhandled is a finding. */
function watchUnhandled(found: (error: unknown) => void): () => void {
  const handler = (reason: unknown) => {
    if (!(reason instanceof ProcessEnded)) found(reason);
  };
  process.on("unhandledRejection", handler);
  return () => process.off("unhandledRejection", handler);
}

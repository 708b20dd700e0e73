/**
 * Leases under everything that could break them, from a seed: clocks that drift as far as is allowed, leaders cut off and
 * followers told that they are gone, messages that come late, transfers, restarts. Everybody is asked to read all the time,
 * and no answer may miss what somebody had applied when it was asked. It finds a lease that is too long for the clocks; the
 * other rules are broken too seldom by chance, and each has its own test in leases.test.ts.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NodeId } from "../../src/raft/types.ts";
import { Cluster, seeded } from "./harness.ts";
import type { Letter, Member } from "./member.ts";

const SEEDS = 120;
const STEPS = 400;
const DRIFT = 1.3;

class Run {
  readonly cluster: Cluster;
  readonly #random: () => number;
  readonly #late: Letter[] = [];
  readonly #asked = new Map<number, number>();
  #value = 0;
  /** Answers that came without waiting: under a lease. */
  atOnce = 0;
  leaders = new Set<number>();

  constructor(seed: number) {
    this.#random = seeded(seed * 6007 + 5);
    const size = this.#random() < 0.7 ? 3 : 5;
    const rate = () => this.#random() < 0.3 ? 1 + this.#random() * (DRIFT - 1) : this.#random() < 0.5 ? 1 : DRIFT;
    const rates = Object.fromEntries(Array.from({ length: size }, (_, at) => [at + 1, rate()]));
    this.cluster = new Cluster(size, { seed, clockDriftMax: DRIFT, rates });
  }

  step(): void {
    const { cluster } = this;
    this.#harm();
    this.#delay();
    cluster.advance(1 + this.#random() * 20);
    for (const { id, raft } of cluster.members) {
      if (raft.role !== "leader") continue;
      this.leaders.add(raft.term);
      cluster.propose(id, `v${++this.#value}`);
    }
    this.#delay();
    cluster.settle();
    for (const member of cluster.members) this.#read(member);
  }

  #read(member: Member): void {
    const { cluster } = this;
    const context = this.#asked.size + 1;
    this.#asked.set(context, Math.max(...cluster.members.map(({ raft }) => raft.applied)));
    member.raft.readIndex(context, cluster.timeOf(member.id));
    member.pump(cluster.timeOf(member.id));
    for (const { context: answered, index } of member.reads.splice(0)) {
      if (answered === context && index >= 0) this.atOnce += 1;
      const atLeast = this.#asked.get(answered)!;
      assert.ok(index < 0 || index >= atLeast, `${member.id} answers a read with ${index}, and ${atLeast} was applied`);
    }
  }

  #harm(): void {
    const { cluster } = this;
    const dice = this.#random();
    const id = this.#random() < 0.6 && cluster.leader > 0 ? cluster.leader : this.#someone();
    if (dice < 0.02) this.#cutOff(id);
    else if (dice < 0.05) cluster.heal();
    else if (dice < 0.06 && cluster.has(id)) this.#restart(id);
    else if (dice < 0.08 && cluster.has(id)) cluster.raft(id).transfer(this.#someone(), cluster.timeOf(id));
    else if (dice < 0.1) this.#hint(this.#someone());
  }

  /** And the others take it for dead, as they would if its port refused. */
  #cutOff(id: NodeId): void {
    this.cluster.isolate(id);
    if (this.#random() < 0.7) this.#hint(id);
  }

  #hint(gone: NodeId): void {
    const { cluster } = this;
    for (const { id, raft } of cluster.members) if (id !== gone) raft.peerLost(gone, cluster.timeOf(id));
  }

  /** It had answered what it was asked, and knows nothing of that any more. */
  #restart(id: NodeId): void {
    this.cluster.crash(id, this.#random() < 0.5);
    this.cluster.restart(id);
  }

  /** Some messages stay behind, and come when their time has long passed. */
  #delay(): void {
    const { cluster } = this;
    if (this.#random() < 0.3) {
      this.#late.push(...cluster.take(({ type }) => this.#random() < (type === "timeout-now" ? 0.5 : 0.05)));
    }
    if (this.#random() < 0.1) { for (const letter of this.#late.splice(0, 3)) cluster.deliver(letter); }
  }

  #someone(): NodeId {
    return 1 + Math.floor(this.#random() * this.cluster.configuration.voters.length);
  }
}

const test = suite("leases under everything at once");

test(`never answer a read with less than somebody had, ${SEEDS} seeds`, () => {
  let atOnce = 0;
  let terms = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const run = new Run(seed);
    try {
      for (let step = 0; step < STEPS; step++) run.step();
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    atOnce += run.atOnce;
    terms += run.leaders.size;
  }
  // Else it shows nothing.
  assert.ok(atOnce > SEEDS * 50 && terms > SEEDS * 3, `${atOnce} reads under leases, ${terms} leaders`);
});

test.run();

/**
 * A group under everything at once: messages lost, doubled and reordered, disks that lag, crashes that lose what was not
 * written, links cut, logs cut at the front, leadership handed over, members changed, disks lost; in half of the seeds with
 * reads under leases, and clocks that drift apart as far as these allow. The harness checks
 * after every event that terms have one leader, that what is committed is on a majority's disks, and that nothing applied
 * is ever different anywhere; here also that acknowledged proposals survive, that reads are not stale, and that the
 * group comes back to life when the faults end.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, type ClusterOptions, seeded } from "./harness.ts";
import { emptyDisk } from "./member.ts";

const SEEDS = 150;
const STEPS = 400;

type Fault = "drop" | "double" | "reorder" | "crash" | "cut" | "wipe" | "change" | "compact";

const DRIFT = 1.25;

/** By a dice of its own: what else happens is the same with and without. */
function drawLeases(seed: number): Pick<ClusterOptions, "clockDriftMax" | "rates"> {
  const random = seeded(seed * 104_729 + 1);
  if (random() < 0.5) return {};
  const spread = random() < 0.5 ? 0 : DRIFT - 1;
  return {
    clockDriftMax: DRIFT,
    rates: Object.fromEntries(Array.from({ length: 7 }, (_, at) => [at + 1, 1 + random() * spread])),
  };
}

class Chaos {
  readonly cluster: Cluster;
  readonly #random: () => number;
  /** Chances of each fault, drawn from the seed: some runs have none of a kind. */
  readonly #chance: Record<Fault, number>;
  readonly #size: number;
  /** What is lost was dropped for its damage: the replica knows what it had. */
  readonly #dropsKnowingly: boolean;
  /** Proposals whose commit their leader saw applied. */
  readonly acknowledged = new Set<string>();
  readonly #reads = new Map<number, { readonly id: number; readonly atLeast: number }>();
  #values = 0;

  constructor(seed: number) {
    this.#random = seeded(seed * 7919 + 1);
    this.#dropsKnowingly = seed % 4 < 2;
    const some = (most: number) => this.#random() < 0.5 ? 0 : this.#random() * most;
    this.#chance = {
      drop: some(0.3),
      double: some(0.2),
      reorder: some(1),
      crash: some(0.04),
      cut: some(0.05),
      wipe: some(0.3),
      change: some(0.05),
      compact: some(0.1),
    };
    // A group of two cannot lose a disk: who was away may have been needed.
    if (this.#chance.wipe > 0) this.#chance.change = 0;
    this.#size = 3 + 2 * this.#below(2);
    this.cluster = new Cluster(this.#size, {
      ...drawLeases(seed),
      seed,
      extra: [6, 7],
      fanOut: seed % 2 === 0,
      limits: { inFlightMessagesMax: 1 + this.#below(4), appendBytesMax: 10 + this.#below(40), retryMs: 100 },
    });
    this.cluster.elect(1);
    for (const { id } of this.cluster.members) if (this.#random() < 0.5) this.cluster.slowDisks.add(id);
  }

  step(): void {
    const { cluster } = this;
    const dice = this.#random();
    if (dice < 0.6) this.#deliver(1 + this.#below(5));
    else if (dice < 0.7) this.#persist(1 + this.#below(3));
    else if (dice < 0.77) cluster.pass(this.#random() * (this.#random() < 0.05 ? 1500 : 100));
    else if (dice < 0.87) this.#propose();
    else if (dice < 0.91) this.#read();
    else if (dice < 0.93) this.#load();
    else this.#harm();
    for (const member of cluster.members) {
      const nowMs = cluster.timeOf(member.id);
      member.pump(nowMs);
      if (!cluster.slowDisks.has(member.id)) member.persist(nowMs);
      member.pump(nowMs);
      this.#checkReads(member);
    }
    cluster.check();
  }

  /** Faults end, everybody is back: the group must agree, take proposals, and have everything it acknowledged. */
  recover(): void {
    const { cluster } = this;
    for (let id = 1; id <= 7; id++) if (id <= this.#size || id >= 6) { if (cluster.isDown(id)) this.#restart(id); }
    cluster.heal();
    cluster.slowDisks.clear();
    for (const member of cluster.members) member.applies = true;
    // Whatever is on its way is lost; nobody is told.
    for (const letter of cluster.letters.splice(0)) cluster.lose(letter);
    cluster.advance(8000);
    const leader = cluster.leader;
    assert.not.equal(leader, 0, "nobody leads");
    assert.ok(cluster.propose(leader, "the end").ok);
    cluster.advance(3000);
    for (const { id, raft } of cluster.members) {
      const { voters, learners } = cluster.raft(leader).configuration;
      if (!voters.includes(id) && !learners.includes(id)) continue;
      assert.is(cluster.values(id).at(-1), "the end", `member ${id} is behind`);
      assert.is(raft.leader, leader, `member ${id} does not know the leader`);
      assert.ok(raft.vouched, `member ${id} is not vouched for`);
    }
    const stored = new Set(cluster.values(leader));
    for (const value of this.acknowledged) assert.ok(stored.has(value), `${value} is lost`);
    assert.is(stored.size, cluster.values(leader).length, "a proposal is stored twice");
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #someone() {
    return this.cluster.members[this.#below(this.cluster.members.length)];
  }

  #deliver(count: number): void {
    const { letters } = this.cluster;
    for (let done = 0; done < count && letters.length > 0; done++) {
      const at = this.#random() < this.#chance.reorder ? this.#below(letters.length) : 0;
      const [letter] = this.#random() < this.#chance.double ? [letters[at]!] : letters.splice(at, 1);
      if (this.#random() < this.#chance.drop) this.cluster.lose(letter!);
      else this.cluster.deliver(letter!);
    }
  }

  #persist(count: number): void {
    const member = this.#someone();
    member?.persist(this.cluster.timeOf(member.id), count);
  }

  #load(): void {
    const member = this.#someone();
    member?.load(this.cluster.timeOf(member.id));
  }

  #propose(): void {
    const member = this.#random() < 0.8 && this.cluster.leader > 0
      ? this.cluster.member(this.cluster.leader)
      : this.#someone();
    if (!member) return;
    this.#values += 1;
    this.cluster.propose(member.id, `v${this.#values}`);
    if (member.raft.role !== "leader") return;
    for (const value of this.cluster.values(member.id)) this.acknowledged.add(value);
  }

  #read(): void {
    const member = this.#random() < 0.5 && this.cluster.leader > 0
      ? this.cluster.member(this.cluster.leader)
      : this.#someone();
    if (!member) return;
    const context = this.#reads.size + 1;
    this.#reads.set(context, { id: member.id, atLeast: Math.max(...this.cluster.members.map((m) => m.raft.applied)) });
    member.raft.readIndex(context, this.cluster.timeOf(member.id));
  }

  #checkReads(member: { id: number; reads: { context: number; index: number }[] }): void {
    for (const { context, index } of member.reads.splice(0)) {
      const asked = this.#reads.get(context)!;
      assert.is(asked.id, member.id, "a read is answered by somebody else");
      assert.ok(index === -1 || index >= asked.atLeast, `read ${context} at ${index} misses ${asked.atLeast}`);
    }
  }

  #harm(): void {
    const { cluster } = this;
    const chance = this.#chance;
    const member = this.#someone();
    if (!member) return;
    const { id, raft } = member;
    for (let node = 1; node <= 7; node++) if (cluster.isDown(node) && this.#random() < 0.2) this.#restart(node);
    if (this.#random() < chance.cut * 5) cluster.cut(id, 1 + this.#below(7));
    if (this.#random() < 0.05) cluster.heal();
    if (this.#random() < chance.compact * 5 && raft.applied > 0) member.checkpoint(1 + this.#below(raft.applied + 1));
    if (this.#random() < 0.05) raft.transfer(1 + this.#below(5), cluster.timeOf(id));
    if (this.#random() < 0.05) raft.peerLost(raft.leader, cluster.timeOf(id));
    if (this.#random() < chance.change * 5) this.#change(cluster.leader);
    member.applies = this.#random() < 0.9;
    if (this.#random() < chance.crash * 5) this.#crash(id);
  }

  #change(leader: number): void {
    if (leader === 0) return;
    const nodes = [1, 2, 3, 6, 7].filter(() => this.#random() < 0.7);
    const learners = nodes.filter(() => this.#random() < 0.2);
    this.cluster.change(leader, { voters: nodes.filter((node) => !learners.includes(node)), learners });
  }

  #crash(id: number): void {
    const { cluster } = this;
    const member = cluster.member(id);
    if (this.#random() < 0.5) member.persistSilently(this.#below(member.writes.length + 1));
    cluster.crash(id, this.#random() < 0.5);
    if (cluster.isForgetful || this.#random() >= this.#chance.wipe) return;
    const { hardState, entries, start } = member.disk;
    const { index, term } = entries.at(-1) ?? start;
    const kept = { hardState: { term: hardState.term, vote: 0, commit: 0 }, had: { index, term } };
    cluster.replaceDisk(id, { ...emptyDisk(cluster.configuration), ...(this.#dropsKnowingly ? kept : {}) });
  }

  #restart(id: number): void {
    this.cluster.restart(id);
  }
}

const test = suite("a group under everything at once");

for (let part = 0; part < 5; part++) {
  test(`keeps its promises and comes back to life, seeds ${part * (SEEDS / 5)} to ${(part + 1) * (SEEDS / 5) - 1}`, () => {
    for (let seed = part * (SEEDS / 5); seed < (part + 1) * (SEEDS / 5); seed++) {
      const chaos = new Chaos(seed);
      try {
        for (let step = 0; step < STEPS; step++) chaos.step();
        chaos.recover();
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  });
}

test.run();

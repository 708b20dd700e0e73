/**
 * A group in one process: messages wait in a list, writes wait on disks, time stands still, until the test says
 * otherwise. After every event it is checked that no term has two leaders and that nothing that was applied is ever
 * different anywhere.
 */
import * as assert from "uvu/assert";
import { FanOut } from "../../src/raft/fan-out.ts";
import type { RaftLimits } from "../../src/raft/limits.ts";
import type { Configuration, ConfigurationChange, Message, NodeId, ProposeResult } from "../../src/raft/types.ts";
import { emptyDisk, type Letter, Member, type MemberSettings, type TestDisk } from "./member.ts";
import { group, TestEntry } from "./test-entry.ts";

export const ELECTION_TIMEOUT_MS = 1000;
const HEARTBEAT_MS = 50;

export interface ClusterOptions {
  readonly configuration?: Configuration;
  /** Started as well, though not (yet) in the configuration. */
  readonly extra?: readonly NodeId[];
  readonly limits?: Partial<RaftLimits>;
  readonly snapshotAt?: "checkpoint" | "start";
  readonly seed?: number;
  /** Reads under a lease. */
  readonly clockDriftMax?: number;
  /** Quiet leaders may send to a quorum first. */
  readonly fanOut?: boolean;
  /** How fast the members' clocks run; 1 for those left out. */
  readonly rates?: Readonly<Record<NodeId, number>>;
  /** Disks to start from; others are empty. */
  readonly disks?: Readonly<Record<NodeId, TestDisk>>;
}

/** A small generator of numbers in [0, 1): the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Cluster {
  nowMs = 0;
  readonly configuration: Configuration;
  /** Sent and neither delivered nor lost. */
  letters: Letter[] = [];
  /** Disks that keep their writes waiting: only `persist` completes them. */
  readonly slowDisks = new Set<NodeId>();
  /** Every message that was delivered, if the test wants to read them. */
  readonly delivered: Message<TestEntry>[] = [];
  readonly random: () => number;
  readonly #members = new Map<NodeId, Member>();
  readonly #down = new Map<NodeId, TestDisk>();
  /** What was durable on them when it was acknowledged counts: one disk may be lost. */
  readonly #lostDisks: [NodeId, TestDisk][] = [];
  readonly #limits: Partial<RaftLimits>;
  readonly #snapshotAt: "checkpoint" | "start";
  readonly #clockDriftMax: number | undefined;
  readonly #fanOut: boolean;
  readonly #rates: Readonly<Record<NodeId, number>>;
  /** Links that lose everything, `from>to`. */
  readonly #cut = new Set<string>();
  readonly #heardMs = new Map<string, number>();
  readonly #leaders = new Map<number, NodeId>();
  readonly #truth = new Map<number, string>();
  readonly #committedOf = new Map<string, number>();
  readonly #checkedTo = new Map<NodeId, number>();

  constructor(size: number, options: ClusterOptions = {}) {
    this.random = seeded(options.seed ?? 1);
    this.#limits = options.limits ?? {};
    this.#snapshotAt = options.snapshotAt ?? "checkpoint";
    this.#clockDriftMax = options.clockDriftMax;
    this.#fanOut = options.fanOut === true;
    this.#rates = options.rates ?? {};
    const nodes = Array.from({ length: size }, (_, at) => at + 1);
    this.configuration = options.configuration ?? group(...nodes);
    for (const id of [...nodes, ...(options.extra ?? [])]) {
      this.#start(id, options.disks?.[id] ?? emptyDisk(this.configuration));
    }
    this.#hear();
  }

  get members(): Member[] {
    return [...this.#members.values()];
  }

  has(id: NodeId): boolean {
    return this.#members.has(id);
  }

  isDown(id: NodeId): boolean {
    return this.#down.has(id);
  }

  /** Its disk is lost while it is down. */
  replaceDisk(id: NodeId, disk: TestDisk): void {
    this.#lostDisks.push([id, this.#down.get(id)!]);
    this.#down.set(id, { ...disk, forgot: true });
  }

  /** Whether somebody lost a disk and was not yet vouched for. */
  get isForgetful(): boolean {
    return [...this.#down.values(), ...this.members.map(({ disk }) => disk)].some(({ forgot }) => forgot);
  }

  member(id: NodeId): Member {
    const member = this.#members.get(id);
    if (!member) throw new Error(`member ${id} is down`);
    return member;
  }

  raft(id: NodeId): Member["raft"] {
    return this.member(id).raft;
  }

  /** What a member's own clock shows; its core is to be told of no other time. */
  timeOf(id: NodeId): number {
    return this.nowMs * (this.#rates[id] ?? 1);
  }

  /** The one that leads in the highest term; 0 for nobody. */
  get leader(): NodeId {
    const leading = this.members.filter(({ raft }) => raft.role === "leader");
    return leading.sort((a, b) => b.raft.term - a.raft.term)[0]?.id ?? 0;
  }

  /** Has `id` elected, with everybody's help. */
  elect(id: NodeId): void {
    this.raft(id).campaign(this.timeOf(id));
    this.settle();
    assert.is(this.raft(id).role, "leader", `member ${id} was not elected`);
  }

  propose(id: NodeId, ...values: string[]): ProposeResult {
    return this.raft(id).propose(values.map((value) => new TestEntry(value)), this.timeOf(id));
  }

  change(id: NodeId, change: ConfigurationChange): ProposeResult {
    return this.raft(id).proposeConfiguration(change, this.timeOf(id));
  }

  /** What a member's state machine has, without the entries the core made itself. */
  values(id: NodeId): string[] {
    return this.member(id).applied.map(({ value }) => value).filter((v) => v !== "" && !v.startsWith("configuration "));
  }

  /** Delivers, writes, loads and applies until nothing is left to do. Time does not pass. */
  settle(): void {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      let busy = false;
      for (const member of this.members) {
        const nowMs = this.timeOf(member.id);
        if (member.pump(nowMs)) busy = true;
        if (!this.slowDisks.has(member.id) && member.persist(nowMs)) busy = true;
        if (member.load(nowMs)) busy = true;
      }
      this.check();
      const letters = this.letters;
      this.letters = [];
      for (const letter of letters) this.deliver(letter);
      if (!busy && letters.length === 0 && this.letters.length === 0) return;
    }
    throw new Error("the group does not come to rest");
  }

  /** Pumps every member once: what they have to say is then in `letters`. */
  pump(): void {
    for (const member of this.members) member.pump(this.timeOf(member.id));
    this.check();
  }

  deliver(letter: Letter): void {
    const { from, to } = letter.message;
    const member = this.#members.get(to);
    if (!member || this.#cut.has(`${from}>${to}`)) return this.lose(letter);
    this.delivered.push(letter.message);
    member.step(letter, this.timeOf(to));
    member.pump(this.timeOf(to));
    this.check();
  }

  /** It never arrives. Of a snapshot the host that sends it knows, and tells. */
  lose({ message }: Letter): void {
    if (message.type === "snapshot") {
      this.#members.get(message.from)?.raft.snapshotFailed(message.to, this.timeOf(message.from));
    }
  }

  /** Takes the waiting messages that fit out of the list. */
  take(fits: (message: Message<TestEntry>) => boolean): Letter[] {
    this.pump();
    const taken = this.letters.filter(({ message }) => fits(message));
    this.letters = this.letters.filter(({ message }) => !fits(message));
    return taken;
  }

  /** Lets time pass: node heartbeats are heard, deadlines are kept, everything is delivered at once. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.settle();
    while (this.nowMs < untilMs) {
      const nextMs = Math.min(
        untilMs,
        (Math.floor(this.nowMs / HEARTBEAT_MS) + 1) * HEARTBEAT_MS,
        this.#nextDeadlineMs(),
      );
      this.nowMs = Math.max(nextMs, this.nowMs + 0.01);
      this.#hear();
      this.tickDue();
      this.settle();
    }
  }

  /** Time passes and deadlines are kept, but nothing is delivered or written. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.#hear();
    this.tickDue();
    this.pump();
  }

  tickDue(): void {
    for (const { id, raft, deadlineMs } of this.members) {
      if (deadlineMs <= this.timeOf(id)) raft.tick(this.timeOf(id));
    }
  }

  /** Lets time pass until there is a leader in whom a majority believes. */
  waitForLeader(limitMs = 20 * ELECTION_TIMEOUT_MS): NodeId {
    for (let waited = 0; waited < limitMs; waited += 10) {
      this.advance(10);
      const id = this.leader;
      const followed = this.members.filter(({ raft }) => id !== 0 && raft.leader === id).length;
      if (followed > this.configuration.voters.length / 2) return id;
    }
    throw new Error("nobody was elected");
  }

  /** Messages from `from` to `to` are lost from now on, node heartbeats too. */
  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Nobody hears the others of `ids`, and they hear nobody. */
  isolate(...ids: NodeId[]): void {
    for (const inside of ids) {
      for (const { id: outside } of this.members) {
        if (ids.includes(outside)) continue;
        this.cut(inside, outside);
        this.cut(outside, inside);
      }
    }
  }

  /** All links work again, in new sessions. */
  heal(): void {
    const pairs = new Set([...this.#cut].map((link) => link.split(">").map(Number).sort().join(">")));
    this.#cut.clear();
    for (const pair of pairs) {
      const [a, b] = pair.split(">").map(Number) as [NodeId, NodeId];
      this.connect(a, b);
    }
    this.#hear();
  }

  /** kill -9: what is not durable is gone, what it sent last may still arrive. `noticed`: its port refuses. */
  crash(id: NodeId, noticed = false): void {
    const member = this.member(id);
    this.#members.delete(id);
    this.#down.set(id, member.disk);
    this.letters = this.letters.filter(({ message }) => message.from !== id && message.to !== id);
    if (noticed) { for (const { id: other, raft } of this.members) raft.peerLost(id, this.timeOf(other)); }
  }

  /** `inSession`: only this replica begins anew, the others hear nothing of it. */
  restart(id: NodeId, inSession = false): void {
    const disk = this.#down.get(id)!;
    this.#down.delete(id);
    this.#start(id, disk);
    this.#checkedTo.delete(id);
    if (!inSession) { for (const other of this.#members.keys()) if (other !== id) this.connect(id, other); }
    this.#hear();
  }

  /** @throws if a rule of consensus is broken as far as an observer can see. */
  check(): void {
    for (const { id, raft, applied } of this.members) {
      if (raft.role === "leader") {
        const leader = this.#leaders.get(raft.term) ?? id;
        assert.is(leader, id, `${leader} and ${id} lead in term ${raft.term}`);
        this.#leaders.set(raft.term, id);
      }
      const from = Math.min(this.#checkedTo.get(id) ?? 0, applied.length);
      for (const { index, term, value } of applied.slice(from)) {
        const told = `${term}:${value}`;
        const truth = this.#truth.get(index) ?? told;
        assert.is(told, truth, `member ${id} applied something else at ${index}`);
        this.#truth.set(index, truth);
      }
      this.#checkedTo.set(id, applied.length);
    }
  }

  /** Whatever a leader calls committed is on the disks of a majority that has not lost its memory. */
  #checkCommit({ id, raft }: Member): void {
    if (raft.role !== "leader") return;
    const { commit, log, configuration } = raft;
    const key = `${id}/${raft.term}`;
    if (commit <= (this.#committedOf.get(key) ?? 0) || log.term(commit) !== raft.term) return;
    this.#committedOf.set(key, commit);
    for (const half of [configuration.voters, configuration.outgoing]) {
      const having = half.filter((voter) => this.#hasOnDisk(voter, commit, raft.term));
      const enough = half.length === 0 || having.length > half.length / 2;
      assert.ok(enough, `member ${id} commits ${commit} of term ${raft.term}, which only ${having} of ${half} have`);
    }
  }

  #hasOnDisk(id: NodeId, index: number, term: number): boolean {
    const disks = this.#lostDisks.filter(([loser]) => loser === id).map(([, disk]) => disk);
    const member = this.#members.get(id);
    const disk = member?.disk ?? this.#down.get(id);
    if (disk && !disk.forgot) disks.push(disk);
    return disks.some(({ start, entries }) => index <= start.index || entries[index - start.index - 1]?.term === term);
  }

  #start(id: NodeId, disk: TestDisk): void {
    const settings: MemberSettings = {
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      random: this.random,
      peerHeardMs: (peer) => this.#heardMs.get(`${id}<${peer}`) ?? -Infinity,
      limits: this.#limits,
      snapshotAt: this.#snapshotAt,
      ...(this.#fanOut ? { fanOut: new FanOut() } : {}),
      ...(this.#clockDriftMax === undefined ? {} : { clockDriftMax: this.#clockDriftMax }),
    };
    const world = {
      send: (letter: Letter) => void this.letters.push(letter),
      watch: (member: Member) => this.#checkCommit(member),
    };
    this.#members.set(id, new Member(id, disk, settings, this.timeOf(id), world));
  }

  /** A new link session between two members. */
  connect(a: NodeId, b: NodeId): void {
    this.#members.get(a)?.raft.peerUp(b, this.timeOf(a));
    this.#members.get(b)?.raft.peerUp(a, this.timeOf(b));
  }

  #hear(): void {
    for (const listener of this.#members.keys()) {
      for (const speaker of this.#members.keys()) {
        if (speaker === listener || this.#cut.has(`${speaker}>${listener}`)) continue;
        this.#heardMs.set(`${listener}<${speaker}`, this.timeOf(listener));
      }
    }
  }

  #nextDeadlineMs(): number {
    return Math.min(...this.members.map(({ id, deadlineMs }) => deadlineMs / (this.#rates[id] ?? 1)));
  }
}

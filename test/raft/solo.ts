/** One replica alone with the test, which plays all others: for what has to be said in an exact order. Its id is 1. */
import type { FanOutPolicy } from "../../src/raft/fan-out.ts";
import type { RaftLimits } from "../../src/raft/limits.ts";
import type { Configuration, HardState, LogEnd, Message, NodeId } from "../../src/raft/types.ts";
import { ELECTION_TIMEOUT_MS, seeded } from "./harness.ts";
import { emptyDisk, Member } from "./member.ts";
import { accepted, describe, voteResponse } from "./messages.ts";
import { group, placed, TestEntry } from "./test-entry.ts";

export interface SoloOptions {
  readonly configuration?: Configuration;
  /** Terms of the entries in its log. */
  readonly log?: readonly number[];
  readonly hardState?: Partial<HardState>;
  /** The log begins after it. */
  readonly start?: { readonly index: number; readonly term: number };
  readonly limits?: Partial<RaftLimits>;
  /** When the other nodes were last heard; never, if left out. */
  readonly heardMs?: (peer: NodeId) => number;
  /** See `peerTakesBytes`; all have room, if left out. */
  readonly takesBytes?: (peer: NodeId) => number;
  readonly forgot?: boolean;
  readonly had?: LogEnd;
  /** Reads under a lease. */
  readonly clockDriftMax?: number;
  readonly mayHavePromised?: boolean;
  readonly fanOut?: FanOutPolicy;
}

export class Solo {
  nowMs = 0;
  readonly member: Member;
  /** Its writes wait until `persist` is called. */
  slow = false;
  #sent: Message<TestEntry>[] = [];

  constructor(options: SoloOptions = {}) {
    const { configuration = group(1, 2, 3), log = [], hardState, heardMs = () => -Infinity } = options;
    const disk = { ...emptyDisk(configuration), forgot: options.forgot ?? false, had: options.had };
    disk.start = options.start ?? disk.start;
    disk.entries = log.map((term, at) => placed(term, disk.start.index + at + 1));
    disk.checkpoint = { ...disk.checkpoint, ...disk.start };
    disk.hardState = { term: log.at(-1) ?? 0, vote: 0, commit: 0, ...hardState };
    const settings = {
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      random: seeded(1),
      peerHeardMs: heardMs,
      limits: options.limits ?? {},
      ...(options.takesBytes === undefined ? {} : { peerTakesBytes: options.takesBytes }),
      ...(options.clockDriftMax === undefined ? {} : { clockDriftMax: options.clockDriftMax }),
      ...(options.fanOut === undefined ? {} : { fanOut: options.fanOut }),
      ...(options.mayHavePromised === undefined ? {} : { mayHavePromised: options.mayHavePromised }),
    };
    const world = { send: ({ message }: { message: Message<TestEntry> }) => void this.#sent.push(message), watch() {} };
    this.member = new Member(1, disk, settings, 0, world);
  }

  get raft(): Member["raft"] {
    return this.member.raft;
  }

  /** What it has sent since the last call, as text. */
  sent(): string[] {
    this.#pump();
    return this.#sent.splice(0).map(describe);
  }

  /** Gives it messages, and tells what it sends. */
  receive(...messages: Message<TestEntry>[]): string[] {
    for (const message of messages) {
      this.member.step({ message, state: undefined }, this.nowMs);
      this.#pump();
    }
    return this.sent();
  }

  /** Time passes in one leap. */
  wait(ms: number): string[] {
    this.nowMs += ms;
    if (this.member.deadlineMs <= this.nowMs) this.raft.tick(this.nowMs);
    return this.sent();
  }

  persist(count?: number): string[] {
    this.member.persist(this.nowMs, count);
    return this.sent();
  }

  propose(...values: string[]): void {
    this.raft.propose(values.map((value) => new TestEntry(value)), this.nowMs);
  }

  /** Makes it the leader, with the votes of all others, who then have its whole log. */
  lead(): void {
    const others = this.raft.configuration.voters.filter((voter) => voter !== 1);
    this.raft.campaign(this.nowMs, false);
    this.#pump();
    for (const from of others) this.receive(voteResponse({ from, term: this.raft.term }, false));
    for (const from of others) this.receive(accepted({ from, term: this.raft.term }, this.raft.lastIndex));
    this.#sent = [];
  }

  #pump(): void {
    do this.member.pump(this.nowMs); while (!this.slow && this.member.persist(this.nowMs));
  }
}

/**
 * What the leader of a coordinator does: takes heartbeats, ends sessions, moves partitions. A partition is given to its
 * new owner only when the old one has let it go, has left, or is taken for dead: all others go on undisturbed.
 *
 * Sessions are in the leader's memory alone: a steady heartbeat costs no log entry. A new leader gives every member a
 * whole session first.
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { GroupHeartbeatRequest } from "../../src/wire/coordinator-protocol.ts";
import type { GroupHeartbeatResponse } from "../../src/wire/coordinator-responses.ts";
import type { ProposalWaiter } from "../host/state-machine.ts";
import { type CoordinatorCommand, encodeCommand } from "./commands.ts";
import { CHANGES_PER_COMMAND_MAX, GENERATION_BELIEVED_MAX, HEARTBEAT_MS_MAX } from "./limits.ts";
import { MemberSession } from "./member-session.ts";
import { type Plan, planOf } from "./plan.ts";
import type { CoordinatorState, Group, Member } from "./state.ts";

export interface CoordinatorLeaderOptions {
  readonly runtime: Runtime;
  /** As of what is applied. */
  readonly state: CoordinatorState;
  /** Shards of a topic, by partition, as the metadata here says; none if it does not exist. */
  readonly partitionsOf: (topic: string) => readonly number[];
  readonly propose: (entry: Entry, waiter: ProposalWaiter) => void;
}

interface Led {
  readonly sessions: Map<string, MemberSession>;
  plan: Plan | undefined;
  /** An assignment is on its way into the log: one at a time. */
  assigning: boolean;
}

const REFUSED = { leaderHint: 0, generation: 0, heartbeatMs: 0, told: 0, assigned: null };

export class CoordinatorLeader {
  readonly #options: CoordinatorLeaderOptions;
  readonly #groups = new Map<string, Led>();
  #sweep: { readonly atMs: number; readonly timer: Timer } | undefined;
  #closed = false;

  constructor(options: CoordinatorLeaderOptions) {
    this.#options = options;
    for (const name of options.state.groups.keys()) this.changed(name);
  }

  /** Answered when what the member should hold is not what it was told last, or after a while. */
  async heartbeat(request: GroupHeartbeatRequest): Promise<GroupHeartbeatResponse> {
    const code = await this.#admit(request);
    if (code !== "") return { ...REFUSED, code };
    const session = this.#groups.get(request.group)?.sessions.get(request.memberId);
    const member = this.#options.state.groups.get(request.group)?.members.get(request.memberId);
    if (session === undefined || member === undefined) return { ...REFUSED, code: "UNKNOWN_MEMBER" };
    if (!session.report(request)) return this.#overtaken(request, member);
    session.deadlineMs = this.#nowMs() + member.sessionTimeoutMs;
    this.#answer(request.group, request.memberId, session.takeWaiting());
    this.#advance(request.group);
    return this.#whenNews(request, session, heartbeatMsOf(member));
  }

  async leave(group: string, memberIds: readonly string[]): Promise<string> {
    return await this.#submit({ type: "leave", group, memberIds });
  }

  /** Whether partitions of the group are on their way from one member to another. */
  isRebalancing(group: string): boolean {
    return (this.#groups.get(group)?.plan?.moves.length ?? 0) > 0;
  }

  /** A command was applied to the group. */
  changed(name: string): void {
    const group = this.#options.state.groups.get(name);
    const led = this.#led(name);
    led.plan = undefined;
    for (const [memberId, session] of led.sessions) {
      if (group?.members.has(memberId)) continue;
      led.sessions.delete(memberId);
      session.takeWaiting()?.answer({ ...REFUSED, code: goneCode(group, session.instanceId) });
    }
    if (group === undefined) return void this.#groups.delete(name);
    for (const [memberId, { instanceId, sessionTimeoutMs }] of group.members) {
      if (led.sessions.has(memberId)) continue;
      led.sessions.set(memberId, new MemberSession(instanceId, this.#nowMs() + sessionTimeoutMs));
    }
    this.#advance(name);
  }

  /** Topics have come or gone. */
  topicsChanged(): void {
    for (const [name, led] of this.#groups) {
      led.plan = undefined;
      this.#advance(name);
    }
  }

  /** Leads no more: who waits is sent elsewhere. */
  close(): void {
    this.#closed = true;
    this.#sweep?.timer.cancel();
    for (const { sessions } of this.#groups.values()) {
      for (const session of sessions.values()) session.takeWaiting()?.answer({ ...REFUSED, code: "NOT_LEADER" });
    }
    this.#groups.clear();
  }

  /** "": the member is known as it says it is, now at the latest. */
  async #admit(request: GroupHeartbeatRequest): Promise<string> {
    const { group, memberId, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs } = request;
    const state = this.#options.state.groups.get(group);
    const known = state?.members.get(memberId);
    const wanted: Member = { memberId, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs };
    if (known !== undefined && isSame(known, wanted)) return "";
    if (known === undefined && request.generation > 0) return goneCode(state, instanceId);
    return await this.#submit({ type: "join", group, member: wanted });
  }

  /** A newer one of the member has come and waits for the news. */
  #overtaken({ group, told }: GroupHeartbeatRequest, member: Member): GroupHeartbeatResponse {
    const { generation } = this.#options.state.groups.get(group)!;
    return { code: "", leaderHint: 0, generation, heartbeatMs: heartbeatMsOf(member), told, assigned: null };
  }

  #whenNews(
    { group, memberId, told }: GroupHeartbeatRequest,
    session: MemberSession,
    heartbeatMs: number,
  ): Promise<GroupHeartbeatResponse> {
    if (this.#closed) return Promise.resolve({ ...REFUSED, code: "NOT_LEADER" });
    return new Promise((answer) => {
      const timer = this.#options.runtime.timers.after(heartbeatMs, () => {
        this.#answer(group, memberId, session.takeWaiting());
      });
      session.waiting = { told, timer, answer };
      this.#tellIfNews(group, memberId, session);
    });
  }

  #tellIfNews(name: string, memberId: string, session: MemberSession): void {
    if (session.waiting === undefined) return;
    if (this.#planOf(name)?.told.get(memberId)?.hash === session.waiting.told) return;
    this.#answer(name, memberId, session.takeWaiting());
  }

  #answer(name: string, memberId: string, waiting: MemberSession["waiting"]): void {
    if (waiting === undefined) return;
    const group = this.#options.state.groups.get(name);
    const told = this.#planOf(name)?.told.get(memberId);
    const member = group?.members.get(memberId);
    if (group === undefined || told === undefined || member === undefined) {
      return waiting.answer({ ...REFUSED, code: "UNKNOWN_MEMBER" });
    }
    waiting.answer({
      code: "",
      leaderHint: 0,
      generation: group.generation,
      heartbeatMs: heartbeatMsOf(member),
      told: told.hash,
      assigned: told.hash === waiting.told ? null : told.assigned,
    });
  }

  /** Gives what is free to who should have it, and lets those who wait hear of what has changed for them. */
  #advance(name: string): void {
    const group = this.#options.state.groups.get(name);
    const led = this.#groups.get(name);
    const plan = this.#planOf(name);
    if (group === undefined || led === undefined || plan === undefined || this.#closed) return;
    this.#watchLettingGo(group, led, plan);
    if (!led.assigning) this.#assign(name, group, led, plan);
    for (const [memberId, session] of led.sessions) this.#tellIfNews(name, memberId, session);
    this.#armSweep();
  }

  #assign(name: string, group: Group, led: Led, { moves, told }: Plan): void {
    const { generation } = group;
    const { changes, above } = refusals(group, led);
    for (const { shard, from, to } of moves) {
      const isFree = from === "" || led.sessions.get(from)?.hasLetGo(shard, told.get(from)!.hash);
      if (isFree && changes.length < CHANGES_PER_COMMAND_MAX) changes.push([shard, to]);
    }
    if (changes.length === 0) return;
    led.assigning = true;
    void this.#submit({ type: "assign", group: name, generation, changes, above }).then((code) => {
      led.assigning = false;
      if (code === "" || code === "STALE_GENERATION") this.#advance(name);
    });
  }

  #watchLettingGo({ members }: Group, { sessions }: Led, { moves }: Plan): void {
    const owing = new Set(moves.map(({ from }) => from));
    for (const [memberId, session] of sessions) {
      if (!owing.has(memberId)) session.letGoByMs = Infinity;
      else if (session.letGoByMs === Infinity) {
        session.letGoByMs = this.#nowMs() + members.get(memberId)!.rebalanceTimeoutMs;
      }
    }
  }

  /** Wakes for the session that ends first, as things are now; a heartbeat that came since only makes it look again. */
  #armSweep(): void {
    let atMs = Infinity;
    for (const { sessions } of this.#groups.values()) {
      for (const { deadlineMs, letGoByMs, ending } of sessions.values()) {
        if (!ending) atMs = Math.min(atMs, deadlineMs, letGoByMs);
      }
    }
    if (this.#sweep !== undefined && this.#sweep.atMs <= atMs) return;
    this.#sweep?.timer.cancel();
    this.#sweep = undefined;
    if (atMs === Infinity || this.#closed) return;
    const timer = this.#options.runtime.timers.after(Math.max(1, atMs - this.#nowMs()), () => {
      this.#sweep = undefined;
      this.#endSessions();
      this.#armSweep();
    });
    this.#sweep = { atMs, timer };
  }

  #endSessions(): void {
    const nowMs = this.#nowMs();
    for (const [group, { sessions }] of this.#groups) {
      const ended = [...sessions].filter(([, { deadlineMs, letGoByMs, ending }]) => {
        return !ending && (deadlineMs <= nowMs || letGoByMs <= nowMs);
      });
      if (ended.length === 0) continue;
      for (const [, session] of ended) session.ending = true;
      const memberIds = ended.map(([memberId]) => memberId);
      void this.#submit({ type: "leave", group, memberIds }).then((code) => {
        // Too much on its way: they are looked at again.
        if (code !== "") { for (const [, session] of ended) session.ending = false; }
      });
    }
  }

  #planOf(name: string): Plan | undefined {
    const group = this.#options.state.groups.get(name);
    const led = this.#groups.get(name);
    if (group === undefined || led === undefined) return undefined;
    led.plan ??= planOf(group, this.#options.partitionsOf);
    return led.plan;
  }

  #led(name: string): Led {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const led: Led = { sessions: new Map(), plan: undefined, assigning: false };
    this.#groups.set(name, led);
    return led;
  }

  #submit(command: CoordinatorCommand): Promise<string> {
    return new Promise((resolve) => {
      this.#options.propose(encodeCommand(command), {
        settled: (code, _entry, result) => resolve(code === "" ? result as string : code),
      });
    });
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}

/**
 * Owners whom their partitions refuse are given them anew, under a generation that is above the one known there: nothing
 * else would ever change for them, and nobody would read the partition.
 */
function refusals(
  { owners }: Group,
  { sessions }: Led,
): { changes: [shard: number, memberId: string][]; above: number } {
  const changes: [number, string][] = [];
  let above = 0;
  for (const [memberId, session] of sessions) {
    for (const [shard, known] of session.refused()) {
      const owner = owners.get(shard);
      if (owner?.memberId !== memberId || owner.generation >= known || known > GENERATION_BELIEVED_MAX) continue;
      if (changes.length === CHANGES_PER_COMMAND_MAX) return { changes, above };
      changes.push([shard, memberId]);
      above = Math.max(above, known);
    }
  }
  return { changes, above };
}

function heartbeatMsOf({ sessionTimeoutMs }: Member): number {
  return Math.min(HEARTBEAT_MS_MAX, Math.floor(sessionTimeoutMs / 3));
}

/** A member that is gone may join anew, but not while another runs as the same instance. */
function goneCode(group: Group | undefined, instanceId: string): "INSTANCE_FENCED" | "UNKNOWN_MEMBER" {
  const taken = instanceId !== "" && [...group?.members.values() ?? []].some((one) => one.instanceId === instanceId);
  return taken ? "INSTANCE_FENCED" : "UNKNOWN_MEMBER";
}

function isSame(known: Member, wanted: Member): boolean {
  return known.instanceId === wanted.instanceId && known.sessionTimeoutMs === wanted.sessionTimeoutMs &&
    known.rebalanceTimeoutMs === wanted.rebalanceTimeoutMs && known.topics.length === wanted.topics.length &&
    known.topics.every((topic, i) => topic === wanted.topics[i]);
}

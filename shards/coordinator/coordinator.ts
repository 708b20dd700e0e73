/** One coordinator on this node: answers what members ask where it leads, and says who leads where it does not. */
import type { Runtime } from "../../src/runtime/runtime.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import type { GroupHeartbeatRequest } from "../../src/wire/coordinator-protocol.ts";
import type {
  CoordinatorResult,
  GroupHeartbeatResponse,
  GroupListResponse,
  GroupMembersResponse,
} from "../../src/wire/coordinator-responses.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { CoordinatorLeader } from "./coordinator-leader.ts";
import { REBALANCE_TIMEOUT_MS_MAX, SESSION_TIMEOUT_MS_MAX, SESSION_TIMEOUT_MS_MIN } from "./limits.ts";
import type { CoordinatorMachine } from "./machine.ts";
import type { Member } from "./state.ts";

/** Whether the one who asks may know of a topic. */
export type MayKnow = (topic: string) => boolean;

export interface CoordinatorOptions {
  readonly runtime: Runtime;
  readonly host: Host;
  readonly replica: Replica;
  readonly machine: CoordinatorMachine;
  readonly partitionsOf: (topic: string) => readonly number[];
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  #leader: CoordinatorLeader | undefined;
  #closed = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    options.machine.onChanged = (group) => this.#leader?.changed(group);
    options.machine.onLeadership = (leads) => this.#leadership(leads);
  }

  /** @throws {RaftlineError} `INVALID_REQUEST` */
  async heartbeat(request: GroupHeartbeatRequest): Promise<GroupHeartbeatResponse> {
    checkTimeouts(request);
    const refused = { generation: 0, heartbeatMs: 0, told: 0, assigned: null };
    const answer = this.#leader === undefined
      ? { ...refused, code: "NOT_LEADER", leaderHint: 0 }
      : await this.#leader.heartbeat(request);
    return { ...answer, ...this.#hinted(answer.code) };
  }

  async leave(group: string, memberId: string): Promise<CoordinatorResult> {
    return this.#hinted(this.#leader === undefined ? "NOT_LEADER" : await this.#leader.leave(group, [memberId]));
  }

  /** What a member said that it reads, and who has that instance id ("": none); nothing of those that are not known here. */
  topicsOf(group: string, memberId: string, instanceId: string): readonly string[] {
    const members = [...this.#options.machine.state.groups.get(group)?.members.values() ?? []];
    const isMeant = (member: Member) => {
      return member.memberId === memberId || (instanceId !== "" && member.instanceId === instanceId);
    };
    return members.filter(isMeant).flatMap(({ topics }) => topics);
  }

  /** Those who read what the asking one may know, and of them no more than that. */
  async members(name: string, mayKnow: MayKnow): Promise<GroupMembersResponse> {
    const leads = await this.#options.replica.readBarrier();
    const group = leads ? this.#options.machine.state.groups.get(name) : undefined;
    const result = this.#hinted(leads ? "" : "NOT_LEADER");
    if (group === undefined) return { ...result, generation: 0, rebalancing: false, members: [] };
    const known = [...group.members.values()].filter((member) => member.topics.some(mayKnow));
    if (known.length === 0) return { ...result, generation: 0, rebalancing: false, members: [] };
    const members = known.map(({ memberId, instanceId, topics: all, sessionTimeoutMs }) => {
      const topics = all.filter(mayKnow);
      const hidden = new Set(all.filter((topic) => !mayKnow(topic)).flatMap(this.#options.partitionsOf));
      const owned = [...group.owners].filter(([shard, owner]) => owner.memberId === memberId && !hidden.has(shard));
      const shards = owned.map(([shard]) => shard);
      return { memberId, instanceId, topics, sessionTimeoutMs, shards };
    });
    const rebalancing = this.#leader?.isRebalancing(name) ?? false;
    return { ...result, generation: group.generation, rebalancing, members };
  }

  async list(mayKnow: MayKnow): Promise<GroupListResponse> {
    const leads = await this.#options.replica.readBarrier();
    const groups = leads ? [...this.#options.machine.state.groups] : [];
    const rows = groups.map(([group, { members }]) => {
      return { group, members: [...members.values()].filter(({ topics }) => topics.some(mayKnow)).length };
    });
    return { ...this.#hinted(leads ? "" : "NOT_LEADER"), groups: rows.filter(({ members }) => members > 0) };
  }

  topicsChanged(): void {
    this.#leader?.topicsChanged();
  }

  close(): void {
    this.#closed = true;
    this.#leadership(false);
  }

  #leadership(leads: boolean): void {
    const { runtime, host, replica, machine, partitionsOf } = this.#options;
    this.#leader?.close();
    this.#leader = leads && !this.#closed
      ? new CoordinatorLeader({
        runtime,
        state: machine.state,
        partitionsOf,
        propose: (entry, waiter) => host.propose(replica, entry, waiter),
      })
      : undefined;
  }

  #hinted(code: string): CoordinatorResult {
    if (code !== "NOT_LEADER") return { code, leaderHint: 0 };
    const { leader } = this.#options.replica.raft;
    return { code: leader === 0 ? "NO_LEADER" : "NOT_LEADER", leaderHint: leader };
  }
}

function checkTimeouts({ sessionTimeoutMs, rebalanceTimeoutMs }: GroupHeartbeatRequest): void {
  if (sessionTimeoutMs < SESSION_TIMEOUT_MS_MIN || sessionTimeoutMs > SESSION_TIMEOUT_MS_MAX) {
    throw new RaftlineError(
      "INVALID_REQUEST",
      `a session lasts ${SESSION_TIMEOUT_MS_MIN} to ${SESSION_TIMEOUT_MS_MAX} ms, not ${sessionTimeoutMs}`,
    );
  }
  if (rebalanceTimeoutMs === 0 || rebalanceTimeoutMs > REBALANCE_TIMEOUT_MS_MAX) {
    throw new RaftlineError(
      "INVALID_REQUEST",
      `partitions are let go within 1 to ${REBALANCE_TIMEOUT_MS_MAX} ms, not ${rebalanceTimeoutMs}`,
    );
  }
}

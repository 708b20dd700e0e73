/** This node's coordinators: their replicas, which are there from the start, and the requests of members to them. */
import type { LogEnd, NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Coordinator, type MayKnow } from "../../shards/coordinator/coordinator.ts";
import { CoordinatorMachine } from "../../shards/coordinator/machine.ts";
import { coordinatorReplicas, FIRST_COORDINATOR_SHARD } from "../../shards/coordinator/placement.ts";
import type { Host } from "../../shards/host/host.ts";
import type { MetadataState } from "../../shards/metadata/state.ts";
import { coordinatorOf, type CoordinatorRequest } from "../wire/coordinator-protocol.ts";
import type { CoordinatorResult } from "../wire/coordinator-responses.ts";
import { COORDINATORS } from "../wire/limits.ts";
import type { Exchange } from "../wire/rpc-session.ts";
import type { Memory } from "./memory.ts";
import type { Routing } from "./routing.ts";

/** Followers are not read. */
const COMMIT_NOTICE_MS = 200;

export interface CoordinatorsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly memory: Memory;
  readonly metadata: MetadataState;
  readonly routing: Routing;
  /** Those that the cluster was made with. */
  readonly nodes: readonly NodeId[];
}

export class Coordinators {
  readonly #options: CoordinatorsOptions;
  /** By number; undefined: not here. */
  readonly #here: (Coordinator | undefined)[];

  constructor(options: CoordinatorsOptions) {
    this.#options = options;
    this.#here = Array.from({ length: COORDINATORS }, (_, number) => this.#start(FIRST_COORDINATOR_SHARD + number));
  }

  /** @throws {RaftlineError} `INVALID_REQUEST` */
  async handle(exchange: Exchange<CoordinatorRequest>, mayKnow: MayKnow): Promise<void> {
    const { request } = exchange;
    const number = request.type === "groupList" ? request.coordinator : coordinatorOf(request.group);
    const coordinator = this.#here[number];
    const elsewhere = this.#elsewhere(number);
    switch (request.type) {
      case "groupHeartbeat": {
        const refused = { ...elsewhere, generation: 0, heartbeatMs: 0, told: 0, assigned: null };
        const answer = await coordinator?.heartbeat(request) ?? refused;
        return void (exchange.open && exchange.ok("groupHeartbeat", answer));
      }
      case "groupLeave": {
        const answer = await coordinator?.leave(request.group, request.memberId) ?? elsewhere;
        return void (exchange.open && exchange.ok("groupLeave", answer));
      }
      case "groupMembers": {
        const refused = { ...elsewhere, generation: 0, rebalancing: false, members: [] };
        const answer = await coordinator?.members(request.group, mayKnow) ?? refused;
        return void (exchange.open && exchange.ok("groupMembers", answer));
      }
      case "groupList": {
        const answer = await coordinator?.list(mayKnow) ?? { ...elsewhere, groups: [] };
        return void (exchange.open && exchange.ok("groupList", answer));
      }
    }
  }

  /** What a group's member said that it reads, and who has that instance id, as far as this node knows. */
  topicsOf(group: string, memberId: string, instanceId: string): readonly string[] {
    return this.#here[coordinatorOf(group)]?.topicsOf(group, memberId, instanceId) ?? [];
  }

  /** The metadata was changed: topics may have come or gone. */
  topicsChanged(): void {
    for (const coordinator of this.#here) coordinator?.topicsChanged();
  }

  /** Another replica takes the place of the one that was here: its log was damaged. */
  begin(shard: number, had: LogEnd | undefined): void {
    const number = shard - FIRST_COORDINATOR_SHARD;
    this.#here[number]?.close();
    this.#here[number] = this.#start(shard, had);
  }

  close(): void {
    for (const coordinator of this.#here) coordinator?.close();
  }

  #elsewhere(number: number): CoordinatorResult {
    const { node } = this.#options.routing.leaderOf(FIRST_COORDINATOR_SHARD + number);
    return { code: node === 0 ? "NO_LEADER" : "NOT_LEADER", leaderHint: node };
  }

  #start(shard: number, had?: LogEnd): Coordinator | undefined {
    const { runtime, nodeId, host, memory, metadata, nodes } = this.#options;
    const replicas = coordinatorReplicas(nodes, shard);
    if (!replicas.includes(nodeId)) return undefined;
    const machine = new CoordinatorMachine();
    const replica = host.add({
      group: shard,
      configuration: { voters: replicas, outgoing: [], learners: [], learnersNext: [] },
      machine,
      vouched: !memory.doubts(shard),
      had,
      campaign: replicas[0] === nodeId,
      trimAtCheckpoint: true,
      commitNoticeMs: COMMIT_NOTICE_MS,
    });
    const partitionsOf = (topic: string) => metadata.topics.get(topic)?.partitions.map((one) => one.shard) ?? [];
    return new Coordinator({ runtime, host, replica, machine, partitionsOf });
  }
}

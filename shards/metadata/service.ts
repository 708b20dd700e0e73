/**
 * The metadata shard as seen from any node: commands and read barriers run on its leader, wherever that is; what was
 * answered is applied here before the caller hears of it, so that a node sees what it was told.
 */
import type { NodeId } from "../../src/raft/types.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { type ErrorCode, RaftlineError } from "../../src/wire/errors.ts";
import type { TopicChanges, TopicOptions } from "../../src/wire/admin-commands.ts";
import type { Host } from "../host/host.ts";
import type { PeerRequests } from "../host/peer-requests.ts";
import type { Replica } from "../host/replica.ts";
import type { CommandResult } from "./command-result.ts";
import {
  type DeleteTopic,
  encodeCommand,
  type FinishMove,
  type MetadataCommand,
  type MoveReplicas,
} from "./commands.ts";
import type { AllocateProducerIds } from "./commands.ts";
import type { MetadataMachine } from "./machine.ts";
import { type AddNode, type DrainNode, type RegisterNode, removalRefused, type RemoveNode } from "./node-commands.ts";
import { placePartitions, type Standing, standingsOf } from "./placement.ts";
import { planDrain, planSpread } from "./spreading.ts";

const RETRY_MS = 50;
const FORWARD_MS_MAX = 5_000;
const EXECUTE_MS_MAX = 15_000;
const DEFAULT_RECORD_BYTES_MAX = 1024 * 1024;
const DEFAULT_PARTITIONS = 1;
const DEFAULT_REPLICAS = 3;
/** Partitions that are on the move at a time, because they are told to leave a node. */
const DRAINED_AT_A_TIME = 64;
/** What looks for moves runs for as long as it takes, and nothing beside it. */
const SPREAD_AT_A_TIME = 256;

/** May be done twice without harm: tried again where the first outcome is not known. */
const REPEATABLE: ReadonlySet<string> = new Set([
  "registerNode",
  "addNode",
  "drainNode",
  "spread",
  "moveDrained",
  "allocateProducerIds",
  "finishMove",
]);

/** What may be asked of the leader. A new topic's placement is the leader's to choose. */
export type MetadataRequest =
  | { readonly type: "createTopic"; readonly name: string; readonly options: TopicOptions }
  | DeleteTopic
  /** Where more partitions go is the leader's to choose, too. */
  | { readonly type: "alterTopic"; readonly name: string; readonly changes: TopicChanges }
  | MoveReplicas
  | FinishMove
  | RegisterNode
  | AddNode
  | RemoveNode
  | DrainNode
  /** Has nodes hold and lead about as much; gives how many `moves` were begun. */
  | { readonly type: "spread" }
  /** Some more of what is on nodes that are drained leaves them. */
  | { readonly type: "moveDrained" }
  | AllocateProducerIds
  /** Changes nothing: what is read after it is at least as new as its asking. */
  | { readonly type: "barrier" };

/** What the leader answered, and the index that the asking node must have applied before it believes it. */
interface Executed {
  readonly index: number;
  readonly value: unknown;
}

export interface MetadataServiceOptions {
  readonly runtime: Runtime;
  readonly host: Host;
  readonly replica: Replica;
  readonly machine: MetadataMachine;
  readonly requests: PeerRequests;
  /** Who votes on the metadata. */
  readonly founders: readonly NodeId[];
  /** Nodes that may be given replicas. */
  readonly takers: () => readonly NodeId[];
  /** Of each node that is alive; Infinity where the disk is full. */
  readonly diskWriteMs: () => ReadonlyMap<NodeId, number>;
}

/** Under this name other nodes ask for what the leader is to do. */
const COMMAND = "metadata";

export class MetadataService {
  readonly #options: MetadataServiceOptions;
  #replica: Replica;
  #closed = false;

  constructor(options: MetadataServiceOptions) {
    this.#options = options;
    this.#replica = options.replica;
    options.requests.handle(COMMAND, async (request) => {
      const executed = await this.#executeHere(request as MetadataRequest);
      if (executed === undefined) throw new RaftlineError("NOT_LEADER", "this node does not lead the metadata");
      return [executed.index, executed.value];
    });
  }

  /** This node's replica of it. */
  get replica(): Replica {
    return this.#replica;
  }

  /** Node that leads the metadata shard, 0 if not known here. */
  get leader(): NodeId {
    return this.#replica.raft.leader;
  }

  /** Another replica took the place of the one that was here: its log was damaged, and its state goes on. */
  goOnWith(replica: Replica): void {
    this.#replica = replica;
  }

  /** @throws {RaftlineError} as the command's own refusal; `NO_LEADER`; `TIMED_OUT`, then the outcome is not known */
  async execute(request: MetadataRequest): Promise<unknown> {
    const { runtime, host } = this.#options;
    const deadlineMs = runtime.clock.monotonicMs() + EXECUTE_MS_MAX;
    while (!this.#closed) {
      const { leader } = this;
      const executed = leader === host.nodeId
        ? await this.#executeHere(request)
        : leader !== 0
        ? await this.#forward(leader, request)
        : undefined;
      if (executed) {
        if (await this.#replica.whenApplied(executed.index)) return executed.value;
        throw new RaftlineError("UNAVAILABLE", "this node's metadata ends here: what was done is not seen on it");
      }
      if (runtime.clock.monotonicMs() > deadlineMs) {
        throw new RaftlineError("NO_LEADER", "the metadata shard has no leader: is a majority of the nodes up?");
      }
      await sleep(runtime, RETRY_MS);
    }
    throw new RaftlineError("UNAVAILABLE", "this node is stopping");
  }

  close(): void {
    this.#closed = true;
  }

  /** Undefined: this node does not lead, and nothing was done that may not be done again. */
  async #executeHere(request: MetadataRequest): Promise<Executed | undefined> {
    const { machine } = this.#options;
    const replica = this.#replica;
    if (!replica.isLeading) return undefined;
    if (request.type === "barrier") {
      return await replica.readBarrier() ? { index: replica.raft.applied, value: null } : undefined;
    }
    if (request.type === "createTopic" && machine.state.topics.has(request.name)) {
      // Who was cut off, and leads no more without knowing it, may not know that it was deleted either.
      if (!await replica.readBarrier()) return undefined;
    }
    const command = this.#toCommand(request);
    if (command.type === "moveShards" && command.moves.length === 0) {
      return { index: replica.raft.applied, value: { moves: 0 } };
    }
    const outcome = await this.#propose(command);
    if (outcome === undefined) {
      if (REPEATABLE.has(request.type)) return undefined;
      throw new RaftlineError("TIMED_OUT", "the metadata leader changed: the outcome is not known");
    }
    if (!outcome.ok) throw new RaftlineError(outcome.code, outcome.message);
    return { index: replica.raft.applied, value: outcome.value };
  }

  #toCommand(request: Exclude<MetadataRequest, { type: "barrier" }>): MetadataCommand {
    const { machine: { state }, founders } = this.#options;
    switch (request.type) {
      case "createTopic":
        return this.#toCreateTopic(request.name, request.options);
      case "alterTopic":
        return this.#toAlterTopic(request.name, request.changes);
      case "moveDrained":
        return {
          type: "moveShards",
          moves: planDrain(state, this.#standings(), DRAINED_AT_A_TIME),
        };
      case "spread":
        return { type: "moveShards", moves: planSpread(state, this.#standings(), SPREAD_AT_A_TIME) };
      case "addNode":
        if (!founders.includes(request.node.id)) return request;
        throw new RaftlineError("ALREADY_EXISTS", `node ${request.node.id} is one that the cluster was made with`);
      case "removeNode": {
        const refusal = removalRefused(state, request.id);
        if (!refusal) return request;
        throw new RaftlineError(refusal.code, refusal.message);
      }
      default:
        return request;
    }
  }

  #standings(): Map<NodeId, Standing> {
    const { takers, diskWriteMs } = this.#options;
    return standingsOf(takers(), diskWriteMs());
  }

  #toCreateTopic(name: string, options: TopicOptions): MetadataCommand {
    const { state } = this.#options.machine;
    if (state.topics.has(name)) throw new RaftlineError("ALREADY_EXISTS", `the topic "${name}" exists already`);
    const standings = this.#standings();
    const replicas = options.replicas ?? Math.max(1, Math.min(DEFAULT_REPLICAS, standings.size));
    const placement = placePartitions(state, standings, options.partitions ?? DEFAULT_PARTITIONS, replicas);
    return {
      type: "createTopic",
      name,
      retention: options.retention ?? {},
      recordBytesMax: options.recordBytesMax ?? DEFAULT_RECORD_BYTES_MAX,
      placement,
    };
  }

  #toAlterTopic(name: string, { partitions, ...changes }: TopicChanges): MetadataCommand {
    const { state } = this.#options.machine;
    const topic = state.topics.get(name);
    const behind = topic?.partitions.length ?? 0;
    // That there is no such topic is the log's to say.
    if (!topic || partitions === undefined || partitions === behind) return { type: "alterTopic", name, changes };
    if (partitions < behind) {
      const message = `the topic "${name}" has ${behind} partitions: more can be added, and none be taken away`;
      throw new RaftlineError("INVALID_REQUEST", message);
    }
    if ((changes.retention?.consumed ?? topic.retention.consumed) === true) {
      const why = "a group that has not begun in a new partition would lose what the others have done with there";
      throw new RaftlineError("INVALID_REQUEST", `records of "${name}" go when they are consumed: ${why}`);
    }
    const placement = placePartitions(state, this.#standings(), partitions - behind, topic.replicas);
    return { type: "alterTopic", name, changes, more: { behind, placement } };
  }

  #propose(command: MetadataCommand): Promise<CommandResult | undefined> {
    const { host } = this.#options;
    return new Promise((resolve) => {
      host.propose(this.#replica, encodeCommand(command), {
        settled: (code, _entry, result) => resolve(code === "" ? (result as CommandResult) : undefined),
      });
    });
  }

  /** Undefined: nothing was done there that may not be done again. */
  async #forward(peer: NodeId, request: MetadataRequest): Promise<Executed | undefined> {
    const reply = await this.#options.requests.ask(peer, COMMAND, request, FORWARD_MS_MAX);
    if (reply.code === "NOT_LEADER") return undefined;
    if (reply.code !== "") throw new RaftlineError(reply.code as ErrorCode, reply.message);
    const [index, value] = reply.result as [number, unknown];
    return { index, value };
  }
}

/**
 * The metadata shard as seen from any node: commands and read barriers run on its leader, wherever that is; what was
 * answered is applied here before the caller hears of it, so that a node sees what it was told.
 */
import type { NodeId } from "../../src/raft/types.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { type ErrorCode, RaftlineError } from "../../src/wire/errors.ts";
import type { TopicOptions } from "../../src/wire/admin-commands.ts";
import type { Host } from "../host/host.ts";
import type { PeerRequests } from "../host/peer-requests.ts";
import type { Replica } from "../host/replica.ts";
import {
  type AlterTopic,
  type CommandResult,
  type DeleteTopic,
  encodeCommand,
  type FinishMove,
  type MetadataCommand,
  type MoveReplicas,
} from "./commands.ts";
import type { AllocateProducerIds, RegisterNode } from "./commands.ts";
import type { MetadataMachine } from "./machine.ts";
import { placePartitions, standingsOf } from "./placement.ts";

const RETRY_MS = 50;
const FORWARD_MS_MAX = 5_000;
const EXECUTE_MS_MAX = 15_000;
const DEFAULT_RECORD_BYTES_MAX = 1024 * 1024;
const DEFAULT_PARTITIONS = 1;
const DEFAULT_REPLICAS = 3;

/** May be done twice without harm: tried again where the first outcome is not known. */
const REPEATABLE: ReadonlySet<string> = new Set(["registerNode", "allocateProducerIds", "finishMove"]);

/** What may be asked of the leader. A new topic's placement is the leader's to choose. */
export type MetadataRequest =
  | { readonly type: "createTopic"; readonly name: string; readonly options: TopicOptions }
  | DeleteTopic
  | AlterTopic
  | MoveReplicas
  | FinishMove
  | RegisterNode
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
  /** Nodes that may hold replicas. */
  readonly nodes: readonly NodeId[];
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
    const outcome = await this.#propose(this.#toCommand(request));
    if (outcome === undefined) {
      if (REPEATABLE.has(request.type)) return undefined;
      throw new RaftlineError("TIMED_OUT", "the metadata leader changed: the outcome is not known");
    }
    if (!outcome.ok) throw new RaftlineError(outcome.code, outcome.message);
    return { index: replica.raft.applied, value: outcome.value };
  }

  #toCommand(request: Exclude<MetadataRequest, { type: "barrier" }>): MetadataCommand {
    if (request.type !== "createTopic") return request;
    const { nodes, machine, diskWriteMs } = this.#options;
    const { name, options } = request;
    if (machine.state.topics.has(name)) {
      throw new RaftlineError("ALREADY_EXISTS", `the topic "${name}" exists already`);
    }
    const replicas = options.replicas ?? Math.min(DEFAULT_REPLICAS, nodes.length);
    const standings = standingsOf(nodes, diskWriteMs());
    const placement = placePartitions(machine.state, standings, options.partitions ?? DEFAULT_PARTITIONS, replicas);
    return {
      type: "createTopic",
      name,
      retention: options.retention ?? {},
      recordBytesMax: options.recordBytesMax ?? DEFAULT_RECORD_BYTES_MAX,
      placement,
    };
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

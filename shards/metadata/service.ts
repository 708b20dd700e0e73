/**
 * The metadata shard as seen from any node: commands and read barriers run on its leader, wherever that is; what was
 * answered is applied here before the caller hears of it, so that a node sees what it was told.
 */
import type { NodeId } from "../../src/raft/types.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import { type ErrorCode, RaftlineError } from "../../src/wire/errors.ts";
import type { TopicOptions } from "../../src/wire/admin-commands.ts";
import type { ForwardedReply, ForwardedRequest } from "../../src/wire/peer-protocol.ts";
import type { Host } from "../host/host.ts";
import type { Peers } from "../host/peers.ts";
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
import { placePartitions } from "./placement.ts";

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
  readonly peers: Peers;
  /** Nodes that may hold replicas. */
  readonly nodes: readonly NodeId[];
}

interface Forwarded {
  readonly peer: NodeId;
  readonly timer: Timer;
  readonly settle: (reply: ForwardedReply) => void;
}

export class MetadataService {
  readonly #options: MetadataServiceOptions;
  readonly #forwarded = new Map<number, Forwarded>();
  #lastRequestId = 0;
  #closed = false;

  constructor(options: MetadataServiceOptions) {
    this.#options = options;
  }

  /** Node that leads the metadata shard, 0 if not known here. */
  get leader(): NodeId {
    return this.#options.replica.raft.leader;
  }

  /** @throws {RaftlineError} as the command's own refusal; `NO_LEADER`; `TIMED_OUT`, then the outcome is not known */
  async execute(request: MetadataRequest): Promise<unknown> {
    const { runtime, host, replica } = this.#options;
    const deadlineMs = runtime.clock.monotonicMs() + EXECUTE_MS_MAX;
    while (!this.#closed) {
      const { leader } = this;
      const executed = leader === host.nodeId
        ? await this.#executeHere(request)
        : leader !== 0
        ? await this.#forward(leader, request)
        : undefined;
      if (executed) {
        if (await replica.whenApplied(executed.index)) return executed.value;
        throw new RaftlineError("UNAVAILABLE", "this node's metadata ends here: what was done is not seen on it");
      }
      if (runtime.clock.monotonicMs() > deadlineMs) {
        throw new RaftlineError("NO_LEADER", "the metadata shard has no leader: is a majority of the nodes up?");
      }
      await sleep(runtime, RETRY_MS);
    }
    throw new RaftlineError("UNAVAILABLE", "this node is stopping");
  }

  onRequest(peer: NodeId, { requestId, command, args }: ForwardedRequest): void {
    const { peers } = this.#options;
    this.#executeHere({ type: command, ...(args as object) } as MetadataRequest).then(
      (executed) => {
        const code = executed ? "" : "NOT_LEADER";
        peers.answer(peer, {
          requestId,
          code,
          message: "",
          result: executed ? [executed.index, executed.value] : null,
        });
      },
      (error: unknown) => {
        const code = error instanceof RaftlineError ? error.code : "INTERNAL";
        const message = error instanceof Error ? error.message : String(error);
        peers.answer(peer, { requestId, code, message, result: null });
      },
    );
  }

  onReply(peer: NodeId, reply: ForwardedReply): void {
    const forwarded = this.#forwarded.get(reply.requestId);
    if (forwarded?.peer !== peer) return;
    this.#forwarded.delete(reply.requestId);
    forwarded.timer.cancel();
    forwarded.settle(reply);
  }

  close(): void {
    this.#closed = true;
    for (const [requestId, { peer }] of [...this.#forwarded]) {
      this.onReply(peer, { requestId, code: "UNAVAILABLE", message: "this node is stopping", result: null });
    }
  }

  /** Undefined: this node does not lead, and nothing was done that may not be done again. */
  async #executeHere(request: MetadataRequest): Promise<Executed | undefined> {
    const { replica } = this.#options;
    if (!replica.isLeading) return undefined;
    if (request.type === "barrier") {
      return await replica.readBarrier() ? { index: replica.raft.applied, value: null } : undefined;
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
    const { nodes, machine } = this.#options;
    const { name, options } = request;
    if (machine.state.topics.has(name)) {
      throw new RaftlineError("ALREADY_EXISTS", `the topic "${name}" exists already`);
    }
    const replicas = options.replicas ?? Math.min(DEFAULT_REPLICAS, nodes.length);
    const placement = placePartitions(machine.state, nodes, options.partitions ?? DEFAULT_PARTITIONS, replicas);
    if (!placement) {
      throw new RaftlineError("NOT_ENOUGH_NODES", `${replicas} replicas want as many nodes; there are ${nodes.length}`);
    }
    return {
      type: "createTopic",
      name,
      retention: options.retention ?? {},
      recordBytesMax: options.recordBytesMax ?? DEFAULT_RECORD_BYTES_MAX,
      placement,
    };
  }

  #propose(command: MetadataCommand): Promise<CommandResult | undefined> {
    const { host, replica } = this.#options;
    return new Promise((resolve) => {
      host.propose(replica, encodeCommand(command), {
        settled: (code, _entry, result) => resolve(code === "" ? (result as CommandResult) : undefined),
      });
    });
  }

  /** Undefined: nothing was done there that may not be done again. */
  async #forward(peer: NodeId, request: MetadataRequest): Promise<Executed | undefined> {
    const { runtime, peers } = this.#options;
    const requestId = ++this.#lastRequestId;
    const { type: command, ...args } = request;
    const reply = await new Promise<ForwardedReply>((settle) => {
      const timer = runtime.timers.after(FORWARD_MS_MAX, () => {
        const message = `node ${peer} did not answer within ${FORWARD_MS_MAX} ms: the outcome is not known`;
        this.onReply(peer, { requestId, code: "TIMED_OUT", message, result: null });
      });
      this.#forwarded.set(requestId, { peer, timer, settle });
      if (!peers.forward(peer, { requestId, command, args })) {
        this.onReply(peer, { requestId, code: "NOT_LEADER", message: "", result: null });
      }
    });
    if (reply.code === "NOT_LEADER") return undefined;
    if (reply.code !== "") throw new RaftlineError(reply.code as ErrorCode, reply.message);
    const [index, value] = reply.result as [number, unknown];
    return { index, value };
  }
}

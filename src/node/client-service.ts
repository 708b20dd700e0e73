/** Answers the client protocol: what a request asks, from the partitions and the metadata of this node. */
import type { Runtime } from "../runtime/runtime.ts";
import { handleDeleteRecords } from "../../shards/partition/delete-records.ts";
import { handleOffsets } from "../../shards/partition/offsets.ts";
import { FetchService } from "../../shards/partition/fetch.ts";
import { GroupRequests } from "../../shards/partition/group-requests.ts";
import { LeaseService } from "../../shards/partition/lease.ts";
import { handleSettle } from "../../shards/partition/settle.ts";
import { ProduceService } from "../../shards/partition/produce.ts";
import type { MetadataService } from "../../shards/metadata/service.ts";
import type { MetadataState } from "../../shards/metadata/state.ts";
import { type AdminCommand, decodeAdminCommand, type TopicSummary } from "../wire/admin-commands.ts";
import { RaftlineError } from "../wire/errors.ts";
import { BATCH_BYTES_MAX, IN_FLIGHT_BYTES_MAX, REQUEST_LIMITS } from "../wire/limits.ts";
import type { HelloRequest, MetadataRequest, ProducerIdRequest, Request } from "../wire/protocol.ts";
import { PROTOCOL_VERSION } from "../wire/protocol.ts";
import type { NodeAddress, TopicMetadata } from "../wire/responses.ts";
import type { Exchange, RpcHandler, RpcSession } from "../wire/rpc-session.ts";
import type { AdminService } from "./admin-service.ts";
import type { Coordinators } from "./coordinators.ts";
import { type Credential, type KnownCredentials, may, mayAll, whoIs } from "./credentials.ts";
import { type Lookup, type Need, needOfCommand, needsOf } from "./rights-needed.ts";
import type { Members } from "./members.ts";
import type { Partitions } from "./partitions.ts";
import type { ProducerIds } from "./producer-ids.ts";
import type { Routing } from "./routing.ts";

export interface ClientServiceOptions {
  readonly runtime: Runtime;
  readonly nodeId: number;
  readonly clusterId: string;
  readonly credentials: KnownCredentials;
  readonly partitions: Partitions;
  readonly coordinators: Coordinators;
  readonly routing: Routing;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly producerIds: ProducerIds;
  readonly admin: AdminService;
  readonly members: Members;
}

export class ClientService implements RpcHandler {
  readonly #options: ClientServiceOptions;
  readonly #produce: ProduceService;
  readonly #fetch: FetchService;
  readonly #lease: LeaseService;
  readonly #groups: GroupRequests;
  readonly #who = new WeakMap<RpcSession, Credential>();

  constructor(options: ClientServiceOptions) {
    this.#options = options;
    const partitionOf = (shard: number) => options.partitions.get(shard);
    this.#produce = new ProduceService(options.runtime, partitionOf, this.#missing);
    this.#fetch = new FetchService({ runtime: options.runtime, sourceOf: partitionOf, missing: this.#missing });
    this.#lease = new LeaseService(options.runtime, partitionOf, this.#missing);
    this.#groups = new GroupRequests(partitionOf, this.#missing, this.#topicOf);
  }

  hello(exchange: Exchange<HelloRequest>): void {
    const { protocolVersion, clientName, credentials } = exchange.request;
    const { nodeId, clusterId, members } = this.#options;
    if (protocolVersion !== PROTOCOL_VERSION) {
      return exchange.fail(
        "UNSUPPORTED_VERSION",
        `this node speaks version ${PROTOCOL_VERSION}, not ${protocolVersion}`,
      );
    }
    const who = whoIs(this.#options.credentials.current, credentials);
    if (who === undefined) return exchange.fail("NOT_AUTHORIZED", "no or wrong credentials");
    if (!members.has(nodeId)) return exchange.fail("UNAVAILABLE", members.strangerText());
    this.#who.set(exchange.session, who);
    exchange.session.accept(credentials?.name ?? clientName);
    const limits = {
      batchBytesMax: BATCH_BYTES_MAX,
      frameBytesMax: REQUEST_LIMITS.frameBytesMax,
      inFlightBytesMax: IN_FLIGHT_BYTES_MAX,
    };
    exchange.ok("hello", { nodeId, clusterId, limits });
  }

  request(exchange: Exchange<Exclude<Request, HelloRequest>>): void {
    const { request } = exchange;
    const who = this.#restricted(exchange.session);
    if (who) {
      const refused = needsOf(request, this.#lookup).find(({ right, topic }) => !may(who, right, topic));
      if (refused) return exchange.failWith(forbidden(who, refused));
    }
    switch (request.type) {
      case "produce":
        return this.#produce.handle(exchange as Exchange<typeof request>);
      case "fetch":
        return this.#fetch.handle(exchange as Exchange<typeof request>);
      case "metadata":
        return this.#later(exchange, this.#answerMetadata(exchange as Exchange<typeof request>));
      case "offsets": {
        const partitionOf = (shard: number) => this.#options.partitions.get(shard);
        return this.#later(exchange, handleOffsets(exchange as Exchange<typeof request>, partitionOf, this.#missing));
      }
      case "deleteRecords": {
        const partitionOf = (shard: number) => this.#options.partitions.get(shard);
        const answering = handleDeleteRecords(exchange as Exchange<typeof request>, partitionOf, this.#missing);
        return this.#later(exchange, answering);
      }
      case "producerId":
        return this.#later(exchange, this.#answerProducerId(exchange as Exchange<typeof request>));
      case "admin":
        return this.#later(exchange, this.#answerAdmin(exchange as Exchange<typeof request>));
      case "lease":
        return this.#lease.handle(exchange as Exchange<typeof request>);
      case "settle": {
        const partitionOf = (shard: number) => this.#options.partitions.get(shard);
        return handleSettle(exchange as Exchange<typeof request>, partitionOf, this.#missing);
      }
      case "queueOpen":
        return this.#later(exchange, this.#groups.open(exchange as Exchange<typeof request>));
      case "cursor":
        return this.#later(exchange, this.#groups.cursor(exchange as Exchange<typeof request>));
      case "groups":
        return this.#later(exchange, this.#groups.describe(exchange as Exchange<typeof request>));
      case "groupReset":
        return this.#later(exchange, this.#groups.reset(exchange as Exchange<typeof request>));
      case "groupRemove":
        return this.#later(exchange, this.#groups.remove(exchange as Exchange<typeof request>));
      case "groupHeartbeat":
      case "groupLeave":
      case "groupMembers":
      case "groupList":
        return this.#later(
          exchange,
          this.#options.coordinators.handle(exchange as Exchange<typeof request>, (topic) => mayKnow(who, topic)),
        );
    }
  }

  /** Whether who is there came in with what is configured no more, and has to come in anew. */
  isStale(session: RpcSession): boolean {
    const who = this.#who.get(session);
    return who !== undefined && !this.#options.credentials.stillHas(who);
  }

  closed(session: RpcSession): void {
    this.#fetch.closed(session);
  }

  close(): void {
    this.#produce.close();
    this.#fetch.close();
    this.#lease.close();
  }

  /** For a shard without a replica here: unknown, or held by others. */
  readonly #missing = (shard: number): { code: string; leaderHint: number } => {
    const { metadata, routing } = this.#options;
    if (!metadata.topicOfShard.has(shard)) return { code: "UNKNOWN_PARTITION", leaderHint: 0 };
    return { code: "NOT_LEADER", leaderHint: routing.leaderOf(shard).node };
  };

  readonly #lookup: Lookup = {
    topicOf: (shard) => this.#topicOf(shard),
    topicsOfMember: (...member) => this.#options.coordinators.topicsOf(...member),
  };
  readonly #topicOf = (shard: number): string | undefined => this.#options.metadata.topicOfShard.get(shard)?.name;

  #later(exchange: Exchange<Exclude<Request, HelloRequest>>, answering: Promise<void>): void {
    answering.catch((error: unknown) => {
      if (!exchange.open) return;
      if (error instanceof RaftlineError) return exchange.failWith(error);
      this.#options.runtime.log.write("error", "a request failed", {
        type: exchange.request.type,
        reason: String(error),
      });
      exchange.fail("INTERNAL", "the node could not answer; its log says why");
    });
  }

  /** From what this node knows; that a topic does not exist is only said after asking the metadata's leader. */
  async #answerMetadata(exchange: Exchange<MetadataRequest>): Promise<void> {
    const { metadata, metadataService } = this.#options;
    const who = this.#restricted(exchange.session);
    const isKnown = (name: string) => mayKnow(who, name);
    const names = exchange.request.topics ?? [...metadata.topics.keys()].filter(isKnown);
    if (names.some((name) => isKnown(name) && !metadata.topics.has(name))) {
      await metadataService.execute({ type: "barrier" });
    }
    const nodes: NodeAddress[] = [...metadata.nodes.values()]
      .map(({ id, host, clientPort }) => ({ id, host, port: clientPort }));
    const topics = names.map((name) => isKnown(name) ? this.#describe(name) : nothingOf(name, "NOT_AUTHORIZED"));
    if (exchange.open) exchange.ok("metadata", { revision: metadata.revision, nodes, topics });
  }

  #describe(name: string): TopicMetadata {
    const { metadata, routing } = this.#options;
    const topic = metadata.topics.get(name);
    if (!topic) return nothingOf(name, "UNKNOWN_TOPIC");
    return {
      name,
      code: "",
      topicId: topic.topicId,
      settings: { recordBytesMax: topic.recordBytesMax, retention: topic.retention },
      partitions: topic.partitions.map(({ shard }) => {
        const { node, term } = routing.leaderOf(shard);
        return { shard, leader: node, leaderTerm: term };
      }),
    };
  }

  async #answerProducerId(exchange: Exchange<ProducerIdRequest>): Promise<void> {
    const producerId = await this.#options.producerIds.next();
    if (exchange.open) exchange.ok("producerId", { producerId, epoch: 0 });
  }

  async #answerAdmin(exchange: Exchange<Extract<Request, { type: "admin" }>>): Promise<void> {
    const command = decodeAdminCommand(exchange.request.command, exchange.request.args);
    const who = this.#restricted(exchange.session);
    const result = who ? await this.#executeFor(who, command) : await this.#options.admin.execute(command);
    if (exchange.open) exchange.ok("admin", { result });
  }

  /** Who it is, if that is somebody who may not do everything. */
  #restricted(session: RpcSession): Credential | undefined {
    const who = this.#who.get(session);
    return who === undefined || mayAll(who) ? undefined : who;
  }

  /** As far as somebody may who may not do everything. @throws {RaftlineError} `NOT_AUTHORIZED`, and as `AdminService` */
  async #executeFor(who: Credential, command: AdminCommand): Promise<unknown> {
    const need = needOfCommand(command);
    if (need && !may(who, need.right, need.topic)) throw forbidden(who, need);
    const result = await this.#options.admin.execute(command);
    if (command.command !== "listTopics") return result;
    return (result as TopicSummary[]).filter(({ name }) => may(who, "any", name));
  }
}

/** Whoever may do everything is nobody here. */
function mayKnow(who: Credential | undefined, topic: string): boolean {
  return who === undefined || may(who, "any", topic);
}

function nothingOf(name: string, code: string): TopicMetadata {
  return { name, code, topicId: 0, settings: {}, partitions: [] };
}

/** By its name only if it may be known: a shard's number, or a member's, tells nobody of a topic. */
function forbidden(who: Credential, { right, topic }: Need): RaftlineError {
  const { name } = who;
  const where = topic === "*" ? "the whole cluster" : may(who, "any", topic) ? `topic "${topic}"` : "that topic";
  const what = right === "any" ? "has no rights on" : `may not ${right} on`;
  return new RaftlineError("NOT_AUTHORIZED", `${name} ${what} ${where}`);
}

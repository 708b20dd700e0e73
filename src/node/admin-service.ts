/** The admin commands, for the client protocol and the HTTP API alike. */
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { MetadataService } from "../../shards/metadata/service.ts";
import type { MetadataState, TopicRecord } from "../../shards/metadata/state.ts";
import type {
  AdminCommand,
  ClusterDescription,
  NodeDescription,
  TopicDescription,
  TopicSummary,
} from "../wire/admin-commands.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { Members } from "./members.ts";
import type { Routing } from "./routing.ts";

const LEADERS_MS_MAX = 10_000;
const LEADERS_POLL_MS = 10;

export interface AdminServiceOptions {
  readonly runtime: Runtime;
  readonly clusterId: string;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly routing: Routing;
  readonly members: Members;
  readonly isAlive: (nodeId: number) => boolean;
}

export class AdminService {
  readonly #options: AdminServiceOptions;

  constructor(options: AdminServiceOptions) {
    this.#options = options;
  }

  /** The result has the shape that `adminCommands` gives for the command. @throws {RaftlineError} */
  async execute(command: AdminCommand): Promise<unknown> {
    const { members, metadataService } = this.#options;
    members.refuseStranger();
    switch (command.command) {
      case "createTopic": {
        const { name, options } = command.args;
        await metadataService.execute({ type: "createTopic", name, options });
        await this.#leadersOf(name);
        return this.#describe(name);
      }
      case "deleteTopic":
        await metadataService.execute({ type: "deleteTopic", name: command.args.name });
        return {};
      case "alterTopic": {
        const { name, changes } = command.args;
        await metadataService.execute({ type: "alterTopic", name, changes });
        if (changes.partitions !== undefined) await this.#leadersOf(name);
        return this.#describe(name);
      }
      case "moveReplicas": {
        await metadataService.execute({ type: "moveReplicas", ...command.args });
        return this.#describe(command.args.name);
      }
      case "describeTopic":
        await metadataService.execute({ type: "barrier" });
        return this.#describe(command.args.name);
      case "listTopics":
        await metadataService.execute({ type: "barrier" });
        return this.#list();
      case "describeCluster":
        return this.#cluster();
      case "addNode":
        await metadataService.execute({ type: "addNode", node: command.args });
        return {};
      case "removeNode":
        await metadataService.execute({ type: "removeNode", ...command.args });
        return {};
      case "drainNode":
        await metadataService.execute({ type: "drainNode", ...command.args });
        return {};
      case "spreadReplicas":
        return await metadataService.execute({ type: "spread" });
    }
  }

  /** A topic is given to its creator when its partitions have leaders, or after a while without. */
  async #leadersOf(name: string): Promise<void> {
    const { runtime, metadata, routing } = this.#options;
    const deadlineMs = runtime.clock.monotonicMs() + LEADERS_MS_MAX;
    for (;;) {
      const partitions = metadata.topics.get(name)?.partitions ?? [];
      if (partitions.every(({ shard }) => routing.leaderOf(shard).node !== 0)) return;
      if (runtime.clock.monotonicMs() > deadlineMs) return;
      await sleep(runtime, LEADERS_POLL_MS);
    }
  }

  #describe(name: string): TopicDescription {
    const topic = this.#options.metadata.topics.get(name);
    if (!topic) throw new RaftlineError("UNKNOWN_TOPIC", `there is no topic "${name}"`);
    const { topicId, replicas, retention, recordBytesMax } = topic;
    return { name, topicId, replicas, retention, recordBytesMax, partitions: this.#partitionsOf(topic) };
  }

  #partitionsOf(topic: TopicRecord): TopicDescription["partitions"] {
    return topic.partitions.map(({ shard, replicas, target, passed = [] }, partition) => {
      const { node, term } = this.#options.routing.leaderOf(shard);
      return {
        partition,
        shard,
        leader: node,
        leaderTerm: term,
        replicas: [...replicas],
        target: [...target],
        passed: [...passed],
      };
    });
  }

  #list(): TopicSummary[] {
    return [...this.#options.metadata.topics.values()].map(({ name, topicId, partitions, replicas }) => ({
      name,
      topicId,
      partitions: partitions.length,
      replicas,
    }));
  }

  #cluster(): ClusterDescription {
    const { metadata, metadataService, clusterId, isAlive } = this.#options;
    const { added, draining } = metadata;
    const unheard = [...added.values()].filter(({ id }) => !metadata.nodes.has(id));
    const nodes: NodeDescription[] = [
      ...[...metadata.nodes.values()].map(({ id, host, clientPort: port }) => ({ id, host, port })),
      ...unheard.map(({ id, host }) => ({ id, host, port: 0 })),
    ].sort((a, b) => a.id - b.id).map((node) => ({
      ...node,
      alive: isAlive(node.id),
      added: added.has(node.id),
      draining: draining.has(node.id),
    }));
    let partitions = 0;
    for (const topic of metadata.topics.values()) partitions += topic.partitions.length;
    return { clusterId, metadataLeader: metadataService.leader, nodes, topics: metadata.topics.size, partitions };
  }
}

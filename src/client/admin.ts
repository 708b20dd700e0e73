/** The admin part of the client: topics and the cluster. */
import {
  type AdminArgs,
  type AdminCommandName,
  type AdminResult,
  type ClusterDescription,
  decodeAdminCommand,
  decodeAdminResult,
  type TopicChanges,
  type TopicDescription,
  type TopicOptions,
  type TopicSummary,
} from "../wire/admin-commands.ts";
import { RaftlineError } from "../wire/errors.ts";
import { checkWhole } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { memberCounts } from "./group-members.ts";
import {
  describeGroup,
  type GroupInPartition,
  type GroupPlaceDescription,
  type GroupResetOptions,
  groupsOf,
  removeGroup,
  resetGroup,
} from "./groups.ts";
import { deleteRecords } from "./delete-records.ts";

const RETRIES = 8;
const RETRY_MS_FIRST = 50;
const TIMEOUT_MS = 15_000;
const READ_TIMEOUT_MS = 5_000;
/** Said by a node that did nothing: the same command may go again. */
const NOTHING_DONE: ReadonlySet<string> = new Set(["NO_LEADER", "NOT_LEADER", "THROTTLED"]);
/** May be asked of several nodes at once. */
const READ_ONLY: ReadonlySet<string> = new Set(["describeTopic", "listTopics", "describeCluster"]);

/** Any node answers; changes are passed to the metadata's leader. */
export class AdminClient {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * @throws {RaftlineError} `ALREADY_EXISTS`, `INVALID_NAME`, `INVALID_REQUEST`, `NOT_ENOUGH_NODES`; `TIMED_OUT` or
   * `UNAVAILABLE`: it may exist now
   */
  createTopic(name: string, options: TopicOptions = {}): Promise<TopicDescription> {
    return this.#execute("createTopic", { name, options });
  }

  /** Its records are gone for good. @throws {RaftlineError} `UNKNOWN_TOPIC` */
  async deleteTopic(name: string): Promise<void> {
    await this.#execute("deleteTopic", { name });
    this.#cluster.forgetTopic(name);
  }

  /**
   * Settings that are not named stay. More `partitions` take records, and are read, within half a minute, everywhere; then most
   * keys have another partition than before, so that the order of one key's records does not hold across that.
   * @throws {RaftlineError} `UNKNOWN_TOPIC`, `INVALID_REQUEST` (fewer partitions than there are, or records go
   * when they are consumed), `NOT_ENOUGH_NODES`
   */
  async alterTopic(name: string, changes: TopicChanges): Promise<TopicDescription> {
    const topic = await this.#execute("alterTopic", { name, changes });
    // For this client's own producers and consumers at once; if nobody answers now, like everybody's.
    if (changes.partitions !== undefined) await this.#cluster.look([name]).catch(() => {});
    return topic;
  }

  /**
   * Moves a partition's replicas to these nodes while it serves: newcomers catch up, then take the place of those that
   * are not named. Answers when the move has begun; {@link describeTopic} tells `target` until it is done. Another call
   * takes its place.
   * @throws {RaftlineError} `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, `UNKNOWN_NODE`, `INVALID_REQUEST`
   * @example await client.admin.moveReplicas("orders", 0, [4, 2, 3]); // from now on node 4 should lead it
   */
  moveReplicas(name: string, partition: number, replicas: readonly number[]): Promise<TopicDescription> {
    return this.#execute("moveReplicas", { name, partition, replicas: [...replicas] });
  }

  /** @throws {RaftlineError} `UNKNOWN_TOPIC` */
  describeTopic(name: string): Promise<TopicDescription> {
    return this.#execute("describeTopic", { name });
  }

  /**
   * Deletes the records of one partition below `beforeOffset`, for every reader and for good; resolves with the first
   * offset that is left. What is below is gone at once for readers, and from the disks within seconds.
   *
   * @throws {RaftlineError} `OFFSET_OUT_OF_RANGE` (beyond the end), `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, `TIMED_OUT`
   * @example
   * await client.admin.deleteRecords("orders", 0, 1_000);
   */
  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<number> {
    return await deleteRecords(this.#cluster, topic, partition, checkWhole("beforeOffset", beforeOffset, 0));
  }

  /** Cursors and queues of a topic, each in every partition that knows it. @throws {RaftlineError} `UNKNOWN_TOPIC` */
  listGroups(topic: string): Promise<GroupInPartition[]> {
    return groupsOf(this.#cluster, topic, "");
  }

  /** One group's places and who reads there, by partition; none where it is not known. @throws {RaftlineError} `UNKNOWN_TOPIC` */
  describeGroup(topic: string, group: string): Promise<GroupPlaceDescription[]> {
    return describeGroup(this.#cluster, topic, group);
  }

  /** Consumers of each group that has any right now; queues have no members. */
  groupMembers(): Promise<Map<string, number>> {
    return memberCounts(this.#cluster);
  }

  /**
   * Lets a group go on elsewhere; resolves with the offsets. A queue delivers all from there on as if it never had.
   * @throws {RaftlineError} `UNKNOWN_GROUP`, `GROUP_ACTIVE`, `OFFSET_OUT_OF_RANGE`
   * @example
   * await client.admin.resetGroup("orders", "mail", { to: { timeMs: Date.parse("2026-01-31") } });
   */
  resetGroup(
    topic: string,
    group: string,
    options: GroupResetOptions,
  ): Promise<{ partition: number; offset: number }[]> {
    return resetGroup(this.#cluster, topic, group, options);
  }

  /** Forgets a group. @throws {RaftlineError} `UNKNOWN_GROUP`, `GROUP_ACTIVE` unless forced */
  removeGroup(topic: string, group: string, options: { readonly force?: boolean } = {}): Promise<void> {
    return removeGroup(this.#cluster, topic, group, options.force ?? false);
  }

  listTopics(): Promise<TopicSummary[]> {
    return this.#execute("listTopics", {});
  }

  describeCluster(): Promise<ClusterDescription> {
    return this.#execute("describeCluster", {});
  }

  /**
   * Adds a node to the cluster, or tells where one that was added is reached now. `id` is none of those that the cluster was made
   * with; `host` and `port` are where the other nodes reach it. It is started with `join: true` in its configuration, before or
   * afterwards; then new topics may be placed on it, and {@link spreadReplicas} gives it its share of those that are there. It
   * holds partitions, and has no vote on the metadata.
   * @throws {RaftlineError} `ALREADY_EXISTS` (the cluster was made with it), `INVALID_REQUEST`
   * @example await client.admin.addNode(4, { host: "10.0.0.4", port: 7501 });
   */
  async addNode(id: number, peer: { readonly host: string; readonly port: number }): Promise<void> {
    await this.#execute("addNode", { id, host: peer.host, port: peer.port });
  }

  /**
   * Has a node hold nothing: its replicas go to others, a few at a time, and it is given no more, until `drain` is false.
   * Answers at once; {@link describeTopic} tells where replicas are.
   * @throws {RaftlineError} `UNKNOWN_NODE`; `NOT_ENOUGH_NODES`: a partition has more replicas than there are other nodes
   */
  async drainNode(id: number, drain = true): Promise<void> {
    await this.#execute("drainNode", { id, drain });
  }

  /**
   * Takes a node that was added, and drained, out of the cluster.
   * @throws {RaftlineError} `UNKNOWN_NODE`, `NODE_IN_USE` (drain it first), `INVALID_REQUEST` (the cluster was made with it)
   */
  async removeNode(id: number): Promise<void> {
    await this.#execute("removeNode", { id });
  }

  /**
   * Moves replicas from nodes that hold or lead most to those that do least, until they are one apart, while all is served. Resolves
   * with the number of partitions that began to move; 0: nothing is left to do. Many go in several calls.
   * @example while (await client.admin.spreadReplicas() > 0) await setTimeout(1_000);
   */
  async spreadReplicas(): Promise<number> {
    return (await this.#execute("spreadReplicas", {})).moves;
  }

  async #execute<C extends AdminCommandName>(command: C, args: AdminArgs<C>): Promise<AdminResult<C>> {
    decodeAdminCommand(command, args as Record<string, unknown>);
    const request = { type: "admin", command, args: args as Record<string, unknown> } as const;
    const { clock } = this.#cluster.runtime;
    const giveUpMs = clock.monotonicMs() + TIMEOUT_MS;
    for (let attempt = 0;; attempt++) {
      try {
        const answer = READ_ONLY.has(command)
          ? await this.#cluster.anyRequest(request, READ_TIMEOUT_MS)
          : await (await this.#cluster.anyConnection()).request(request, TIMEOUT_MS);
        return decodeAdminResult(command, answer.result);
      } catch (error) {
        const again = error instanceof RaftlineError &&
          (NOTHING_DONE.has(error.code) || (error.retriable && READ_ONLY.has(command)));
        const isOver = attempt >= RETRIES || clock.monotonicMs() >= giveUpMs;
        if (!again || isOver || this.#cluster.closed) throw error;
      }
      await this.#cluster.sleep(Math.min(1_000, RETRY_MS_FIRST * 2 ** attempt));
    }
  }
}

/** A log group's places in the partitions of one topic, kept by the partitions themselves. */
import { RaftlineError } from "../wire/errors.ts";
import type { CursorPart } from "../wire/group-protocol.ts";
import type { CursorResult } from "../wire/group-responses.ts";
import type { Cluster } from "./cluster.ts";
import { askLeaders } from "./partition-requests.ts";

const ATTEMPT_MS = 3_000;
const GIVE_UP_MS = 15_000;

/** Where a group is in one partition. */
export interface Cursor {
  readonly partition: number;
  /** Next offset to read; undefined: nothing was committed. */
  readonly offset: number | undefined;
  readonly metadata: string;
  /** Highest that has claimed the partition; 0: none. */
  readonly generation: number;
}

export interface CommitPart {
  readonly partition: number;
  /** Next offset to read. */
  readonly offset: number;
  /** Kept with it, at most 4,096 characters. */
  readonly metadata?: string;
}

/**
 * @example
 * const cursors = client.cursors("orders", "stock");
 * const [{ offset = 0 }] = await cursors.read([0]);
 * await cursors.commit([{ partition: 0, offset: offset + 100 }]);
 */
export class Cursors {
  readonly #cluster: Cluster;
  readonly #topic: string;
  readonly #group: string;

  /** Made by `client.cursors(…)`. */
  constructor(cluster: Cluster, topic: string, group: string) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#group = group;
  }

  /** As of now: no commit that was confirmed before is missing. @throws {RaftlineError} `WRONG_GROUP_KIND`, `TIMED_OUT`, … */
  read(partitions: readonly number[]): Promise<Cursor[]> {
    return this.#ask(partitions, "fetch", () => ({ generation: 0, offset: 0, text: "" }));
  }

  /**
   * From now on the partitions take commits of this generation and later ones only. What is answered is what a member of
   * an earlier generation committed last.
   * @throws {RaftlineError} `STALE_GENERATION`: a later one is there; `WRONG_GROUP_KIND`, `TIMED_OUT`, …
   */
  claim(partitions: readonly number[], generation: number, memberId: string): Promise<Cursor[]> {
    return this.#ask(partitions, "claim", () => ({ generation, offset: 0, text: memberId }));
  }

  /**
   * Resolves when all are on a majority's disks. Generation 0: the group has no coordinator.
   * @throws {RaftlineError} `STALE_GENERATION`, `OFFSET_OUT_OF_RANGE` (beyond the end): some may have been committed;
   * `WRONG_GROUP_KIND`, `TIMED_OUT`, …
   */
  async commit(parts: readonly CommitPart[], generation = 0): Promise<void> {
    const partitions = parts.map(({ partition }) => partition);
    await this.#ask(partitions, "commit", (i) => {
      return { generation, offset: parts[i]!.offset, text: parts[i]!.metadata ?? "" };
    });
  }

  async #ask(
    partitions: readonly number[],
    kind: CursorPart["kind"],
    fieldsOf: (position: number) => Omit<CursorPart, "shard" | "kind">,
  ): Promise<Cursor[]> {
    const routes = (await this.#cluster.loadTopic(this.#topic)).routesOf(partitions);
    const results = await askLeaders<CursorResult>(this.#cluster, {
      routes,
      timeoutMs: GIVE_UP_MS,
      ask: async (nodeId, positions) => {
        const parts = positions.map((i) => ({ shard: routes[i]!.shard, kind, ...fieldsOf(i) }));
        const request = { type: "cursor", group: this.#group, parts } as const;
        return (await this.#cluster.request(nodeId, "write", request, ATTEMPT_MS)).parts;
      },
    });
    return results.map(({ code, committed, metadata, generation }, i) => {
      const partition = partitions[i]!;
      if (code !== "") {
        throw new RaftlineError(code, `${kind} of group "${this.#group}" in ${this.#topic}/${partition}: ${code}`);
      }
      return { partition, offset: committed < 0 ? undefined : committed, metadata, generation };
    });
  }
}

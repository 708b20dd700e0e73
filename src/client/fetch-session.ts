/**
 * A fetch session with one node, as its reader sees it: what the node was asked for and has not answered yet, so that only
 * what has changed since is said again (see `FetchRequest`).
 */
import type { FetchRequest } from "../wire/protocol.ts";
import type { FetchResult } from "../wire/responses.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { Route } from "./topic-view.ts";

/** A cursor as it was when it was asked for. */
export interface Asked {
  readonly cursor: PartitionCursor;
  readonly epoch: number;
  readonly offset: number;
}

export class FetchSession {
  readonly nodeId: number;
  /** Requests that wait for their answers. */
  polls = 0;
  readonly #number: number;
  readonly #asked = new Map<number, Asked>();
  readonly #dropped = new Set<number>();
  #opened = false;

  /** `number`: of no other session on the same connection. */
  constructor(nodeId: number, number: number) {
    this.nodeId = nodeId;
    this.#number = number;
  }

  /** Where what was asked for and not answered is read. */
  get routes(): Route[] {
    return Array.from(this.#asked.values(), ({ cursor }) => cursor.route);
  }

  /** Nothing was asked for that is not answered. */
  get isIdle(): boolean {
    return this.#asked.size === 0;
  }

  /** A request for these cursors, too. */
  ask(cursors: readonly PartitionCursor[], partBytesMax: number, bytesMax: number, maxWaitMs: number): FetchRequest {
    const parts = cursors.map((cursor) => {
      const { route: { shard }, epoch, fetchOffset: offset } = cursor;
      this.#asked.set(shard, { cursor, epoch, offset });
      this.#dropped.delete(shard);
      return { shard, offset, bytesMax: partBytesMax };
    });
    const dropped = [...this.#dropped];
    this.#dropped.clear();
    const step = this.#opened ? "go on" : "open";
    this.#opened = true;
    return { type: "fetch", session: this.#number, step, maxWaitMs, bytesMin: 1, bytesMax, parts, dropped };
  }

  /** Nobody wants it any more: the node hears of it with the next request. */
  drop(cursor: PartitionCursor): void {
    const { shard } = cursor.route;
    if (this.#asked.get(shard)?.cursor !== cursor) return;
    this.#asked.delete(shard);
    this.#dropped.add(shard);
  }

  /** For whom a result is; undefined if it answers what was asked before a later request. */
  take({ shard, offset }: FetchResult): Asked | undefined {
    const asked = this.#asked.get(shard);
    if (asked?.offset !== offset) return undefined;
    this.#asked.delete(shard);
    return asked;
  }

  /** It is not to be relied on any more. Gives what was asked for in it, which no answer can be for now. */
  lose(): Asked[] {
    const lost = [...this.#asked.values()];
    this.#asked.clear();
    return lost;
  }

  /** Gives it up; the node forgets it. */
  end(): FetchRequest {
    const nothing = { maxWaitMs: 0, bytesMin: 0, bytesMax: 0, parts: [], dropped: [] };
    return { type: "fetch", session: this.#number, step: "end", ...nothing };
  }
}

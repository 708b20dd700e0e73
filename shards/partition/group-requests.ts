/** Requests about groups that are asked seldom: opening, cursors, how far they are, setting them back, removing them. */
import type { CursorPart, CursorRequest, GroupPlace, QueueOptions } from "../../src/wire/group-protocol.ts";
import type { GroupRemoveRequest, GroupResetRequest, GroupsRequest } from "../../src/wire/group-protocol.ts";
import type { QueueOpenRequest } from "../../src/wire/group-protocol.ts";
import type { CursorResult, GroupsResult, GroupStatus, ShardResult } from "../../src/wire/group-responses.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { GroupResult } from "./groups/apply-group-command.ts";
import type { GroupCommand } from "./groups/group-commands.ts";
import type { GroupTable } from "./groups/group-table.ts";
import { LEASE_MS_MAX, LEASE_MS_MIN, METADATA_LENGTH_MAX } from "./groups/limits.ts";
import type { Partition } from "./partition.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";
import { codeOfReadFailure } from "./read-failures.ts";

export class GroupRequests {
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #topicOf: (shard: number) => string | undefined;

  constructor(partitionOf: PartitionOf, missing: MissingShard, topicOf: (shard: number) => string | undefined) {
    this.#partitionOf = partitionOf;
    this.#missing = missing;
    this.#topicOf = topicOf;
  }

  /** @throws {RaftlineError} `INVALID_REQUEST` */
  async open(exchange: Exchange<QueueOpenRequest>): Promise<void> {
    const { group, options, from, shards } = exchange.request;
    for (const shard of shards) checkOptions(options, this.#topicOf(shard));
    const parts = await Promise.all(shards.map((shard) => {
      return this.#withLeader(shard, REFUSED, async (partition) => {
        const offset = await placeOf(partition, from);
        const { code } = await submit(partition, { op: "open", group, settings: options, from: offset });
        return { code, leaderHint: 0 };
      });
    }));
    if (exchange.open) exchange.ok("queueOpen", { parts });
  }

  async cursor(exchange: Exchange<CursorRequest>): Promise<void> {
    const { group, parts } = exchange.request;
    const results = await Promise.all(parts.map((part) => {
      return this.#withLeader(part.shard, NO_CURSOR, (partition) => cursorOf(partition, group, part));
    }));
    if (exchange.open) exchange.ok("cursor", { parts: results });
  }

  async describe(exchange: Exchange<GroupsRequest>): Promise<void> {
    const { group, shards } = exchange.request;
    const parts = await Promise.all(shards.map((shard) => {
      return this.#withLeader(shard, { ...REFUSED, highWatermark: 0, groups: [] }, (partition) => {
        return statusOf(partition, group);
      });
    }));
    if (exchange.open) exchange.ok("groups", { parts });
  }

  async reset(exchange: Exchange<GroupResetRequest>): Promise<void> {
    const { group, force, parts } = exchange.request;
    const results = await Promise.all(parts.map(({ shard, to }) => {
      return this.#withLeader(shard, { ...REFUSED, offset: 0 }, async (partition) => {
        const place = await placeOf(partition, to);
        const offset = place < 0 ? partition.highWatermark : place;
        const command = partition.groupTable.queues.has(group)
          ? { op: "resetQueue", group, offset, force } as const
          : { op: "resetCursor", group, offset } as const;
        const { code } = await submit(partition, command);
        return { code, leaderHint: 0, offset };
      });
    }));
    if (exchange.open) exchange.ok("groupReset", { parts: results });
  }

  async remove(exchange: Exchange<GroupRemoveRequest>): Promise<void> {
    const { group, force, shards } = exchange.request;
    const parts = await Promise.all(shards.map((shard) => {
      return this.#withLeader(shard, REFUSED, async (partition) => {
        const { code } = await submit(partition, { op: "remove", group, force });
        return { code, leaderHint: 0 };
      });
    }));
    if (exchange.open) exchange.ok("groupRemove", { parts });
  }

  /** `refused` with who leads instead, where this node does not. */
  async #withLeader<T extends ShardResult>(
    shard: number,
    refused: T,
    work: (partition: Partition) => Promise<T>,
  ): Promise<T> {
    const partition = this.#partitionOf(shard);
    if (partition === undefined) return { ...refused, ...this.#missing(shard) };
    const result = partition.groups === undefined
      ? { ...refused, code: "NOT_LEADER" }
      : await work(partition).catch((error: unknown) => ({ ...refused, code: codeOrThrow(error, partition) }));
    if (result.code !== "NOT_LEADER") return result;
    const { leaderHint } = partition;
    return { ...result, code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER", leaderHint };
  }
}

/** A place in time is looked up in the log. */
function codeOrThrow(error: unknown, partition: Partition): string {
  const code = codeOfReadFailure(error, partition);
  if (code === "INTERNAL") throw error;
  return code;
}

const REFUSED: ShardResult = { code: "", leaderHint: 0 };
const NO_CURSOR: CursorResult = { ...REFUSED, committed: -1, metadata: "", generation: 0 };

function submit(partition: Partition, command: GroupCommand): Promise<GroupResult> {
  const { groups } = partition;
  if (groups === undefined) return Promise.resolve({ code: "NOT_LEADER" });
  return new Promise((resolve) => groups.submit(command, resolve));
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
function checkOptions({ leaseMs, deliveriesMax, deadLetter }: QueueOptions, topic: string | undefined): void {
  if (leaseMs < LEASE_MS_MIN || leaseMs > LEASE_MS_MAX) {
    throw invalid(`a lease lasts ${LEASE_MS_MIN} to ${LEASE_MS_MAX} ms, not ${leaseMs}`);
  }
  if ((deliveriesMax > 0) !== (deadLetter !== "")) {
    throw invalid("deliveriesMax and deadLetter go together: what is given up must go somewhere");
  }
  if (deadLetter !== "" && deadLetter === topic) {
    throw invalid(`the dead letters of "${topic}" cannot go to the same topic`);
  }
}

function invalid(message: string): RaftlineError {
  return new RaftlineError("INVALID_REQUEST", message);
}

/** An offset that exists, or -1 for the end. */
async function placeOf(partition: Partition, place: GroupPlace): Promise<number> {
  if (place === "latest") return -1;
  if (place === "earliest") return partition.startOffset;
  const offset = typeof place === "number" ? place : await partition.offsetAtTime(place.timeMs);
  return Math.max(offset, partition.startOffset);
}

async function cursorOf(partition: Partition, group: string, part: CursorPart): Promise<CursorResult> {
  const { kind, generation, offset, text } = part;
  if (text.length > METADATA_LENGTH_MAX) return { ...NO_CURSOR, code: "TOO_LARGE" };
  if (kind === "fetch") {
    if (!(await partition.replica.readBarrier())) return { ...NO_CURSOR, code: "NOT_LEADER" };
    if (partition.groupTable.queues.has(group)) return { ...NO_CURSOR, code: "WRONG_GROUP_KIND" };
    const cursor = partition.groupTable.cursors.get(group);
    if (cursor === undefined) return NO_CURSOR;
    const { committed, metadata } = cursor;
    return { ...NO_CURSOR, committed, metadata, generation: cursor.generation };
  }
  const command = kind === "claim"
    ? { op: "claim", group, generation, memberId: text } as const
    : { op: "commit", group, generation, offset, metadata: text } as const;
  const { code, cursor } = await submit(partition, command);
  return { ...NO_CURSOR, code, ...cursor };
}

async function statusOf(partition: Partition, group: string): Promise<GroupsResult> {
  const led = await partition.replica.readBarrier();
  const { highWatermark, groupTable } = partition;
  const deadCodeOf = (name: string) => partition.groups?.deadCode(name) ?? "";
  const groups = led ? [...statuses(groupTable, group, highWatermark, deadCodeOf)] : [];
  return { code: led ? "" : "NOT_LEADER", leaderHint: 0, highWatermark, groups };
}

function* statuses(
  { cursors, queues }: GroupTable,
  wanted: string,
  highWatermark: number,
  deadCodeOf: (group: string) => string,
): Iterable<GroupStatus> {
  for (const [group, { committed, generation }] of cursors) {
    if (wanted !== "" && wanted !== group) continue;
    const waiting = highWatermark - Math.max(0, committed);
    const place = { floor: committed, next: committed, waiting, leased: 0, delayed: 0, dead: 0, deadCode: "" };
    yield { group, kind: "cursor", generation, ...place };
  }
  for (const [group, { floor, next, ready, leased, delayed, dead }] of queues) {
    if (wanted !== "" && wanted !== group) continue;
    const waiting = highWatermark - next + ready.size;
    const place = { floor, next, waiting, leased, delayed, dead: dead.size, deadCode: deadCodeOf(group) };
    yield { group, kind: "queue", generation: 0, ...place };
  }
}

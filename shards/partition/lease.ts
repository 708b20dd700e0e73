/** LEASE requests: records of several queues for one consumer, or a wait until there are some. */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { LeasePart, LeaseRequest } from "../../src/wire/group-protocol.ts";
import type { LeaseResult } from "../../src/wire/group-responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { Partition } from "./partition.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";
import type { LeaseAnswer, QueueLeader } from "./queue-leader.ts";

/** Queues that one request is served from at a time: each gives a whole batch at least. */
const QUEUES_AT_ONCE_MAX = 8;

export class LeaseService {
  readonly #runtime: Runtime;
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #open = new Set<OpenLease>();

  constructor(runtime: Runtime, partitionOf: PartitionOf, missing: MissingShard) {
    this.#runtime = runtime;
    this.#partitionOf = partitionOf;
    this.#missing = missing;
  }

  handle(exchange: Exchange<LeaseRequest>): void {
    const open = new OpenLease(
      this.#runtime,
      exchange,
      this.#partitionOf,
      this.#missing,
      () => this.#open.delete(open),
    );
    this.#open.add(open);
    open.start();
  }

  close(): void {
    for (const open of [...this.#open]) open.expire();
  }
}

class OpenLease {
  readonly #runtime: Runtime;
  readonly #exchange: Exchange<LeaseRequest>;
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #onEnd: () => void;
  readonly #unwatch: (() => void)[] = [];
  readonly #results: LeaseResult[];
  #timer: Timer | undefined;
  /** Leases asked for and not answered: what they bring must be told, whatever the time is. */
  #asked = 0;
  #decided = false;
  #expired = false;
  #left = false;
  #ended = false;
  #again = false;
  /** Something came while leases were asked for. */
  #missed = false;

  constructor(
    runtime: Runtime,
    exchange: Exchange<LeaseRequest>,
    partitionOf: PartitionOf,
    missing: MissingShard,
    onEnd: () => void,
  ) {
    this.#runtime = runtime;
    this.#exchange = exchange;
    this.#partitionOf = partitionOf;
    this.#missing = missing;
    this.#onEnd = onEnd;
    this.#results = exchange.request.parts.map(() => EMPTY);
  }

  start(): void {
    this.#look();
    if (this.#ended) return;
    const { parts, group, consumer } = this.#exchange.request;
    const watcher = { group, consumer, wake: () => this.#wake(), left: () => this.#leave() };
    for (const { shard } of parts) {
      const groups = this.#partitionOf(shard)?.groups;
      if (groups) this.#unwatch.push(groups.watch(watcher));
    }
    this.#timer = this.#runtime.timers.after(this.#exchange.request.maxWaitMs, () => this.expire());
  }

  /** Answers with what there is, once what was asked for is known. */
  expire(): void {
    this.#expired = true;
    this.#endIfDue();
  }

  #leave(): void {
    this.#left = true;
    this.expire();
  }

  /** Several queues may change in one turn: they are looked at together at its end. */
  #wake(): void {
    if (this.#again || this.#ended) return;
    this.#again = true;
    this.#missed = false;
    this.#runtime.timers.endTurn(() => {
      this.#again = false;
      this.#look();
    });
  }

  #look(): void {
    if (this.#ended || this.#left) return;
    if (this.#asked > 0) return void (this.#missed = true);
    // What is leased for one who is gone would wait for the lease's end.
    if (!this.#exchange.open) return this.#end();
    const { parts, consumer, bytesMax } = this.#exchange.request;
    const giving = parts.map((part, position) => ({ part, position, queue: this.#queueOf(part, position) }))
      .filter(({ queue }) => queue?.canGive(consumer)).slice(0, QUEUES_AT_ONCE_MAX);
    const share = Math.max(1, Math.floor(bytesMax / giving.length));
    this.#asked = giving.length;
    for (const { part, position, queue } of giving) {
      queue!.lease({ consumer, recordsMax: part.recordsMax, bytesMax: share }, (answer) => {
        this.#asked -= 1;
        const partition = this.#partitionOf(part.shard);
        this.#settle(position, resultOf(answer, partition));
      });
    }
    if (giving.length === 0) this.#endIfDue();
  }

  #queueOf({ shard }: LeasePart, position: number): QueueLeader | undefined {
    const partition = this.#partitionOf(shard);
    const groups = partition?.groups;
    const queue = groups?.queue(this.#exchange.request.group);
    if (queue === undefined) {
      this.#decided = true;
      const missing = partition === undefined
        ? this.#missing(shard)
        : groups === undefined
        ? notLeading(partition)
        : { code: "UNKNOWN_GROUP", leaderHint: 0 };
      this.#results[position] = { ...EMPTY, ...missing };
    }
    return queue;
  }

  #settle(position: number, result: LeaseResult): void {
    this.#results[position] = result;
    this.#decided ||= result.leaseId !== 0 || result.code !== "";
    this.#endIfDue();
    if (this.#missed && this.#asked === 0) this.#wake();
  }

  #endIfDue(): void {
    if (this.#ended || this.#asked > 0 || !(this.#decided || this.#expired)) return;
    this.#end();
    if (this.#exchange.open) this.#exchange.ok("lease", { parts: this.#results });
  }

  #end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    for (const unwatch of this.#unwatch) unwatch();
    this.#onEnd();
  }
}

const EMPTY: LeaseResult = { code: "", leaderHint: 0, leaseId: 0, leaseMs: 0, held: [], chunks: [] };

function notLeading({ leaderHint }: Partition): { readonly code: string; readonly leaderHint: number } {
  return { code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER", leaderHint };
}

function resultOf({ code, lease, leaseMs, batches }: LeaseAnswer, partition: Partition | undefined): LeaseResult {
  if (code === "NOT_LEADER" && partition !== undefined) return { ...EMPTY, ...notLeading(partition) };
  if (lease === undefined) return { ...EMPTY, code };
  const chunks = batches.map(({ bytes }) => bytes);
  return { code: "", leaderHint: 0, leaseId: lease.leaseId, leaseMs, held: lease.parts, chunks };
}

/**
 * Brings acks, nacks and extensions to the leaders. What is said in one turn travels together, and while requests to a
 * node are in flight what comes waits for the next one. Repeated after failures until it is known what became of it.
 */
import type { SettleItem, SettleKind } from "../wire/group-protocol.ts";
import { OffsetSet } from "../records/offset-set.ts";
import { packedBytesMax } from "../records/packed-offsets.ts";
import type { Timer } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import { REQUEST_PARTS_MAX } from "../wire/limits.ts";
import type { Cluster } from "./cluster.ts";
import type { ClientLease } from "./queue-leases.ts";
import { LEADER_CODES } from "./start-offsets.ts";
import type { Route } from "./topic-view.ts";

const REQUESTS_PER_NODE_MAX = 2;
/** Of all offsets in one request, about. */
const REQUEST_OFFSETS_BYTES_MAX = 512 * 1024;
const RETRY_MS_FIRST = 5;
const RETRY_MS_MAX = 250;
const ATTEMPT_MS_MAX = 5_000;
const ATTEMPT_MS_MIN = 50;

/** One item of a request, on its way or waiting; those who said it share its promise. */
class Settlement {
  readonly route: Route;
  readonly leaseId: number;
  readonly kind: SettleKind;
  readonly ms: number;
  readonly untilMs: number;
  /** Where more may join it. */
  readonly lease: ClientLease | undefined;
  readonly promise: Promise<void>;
  readonly offsets = new OffsetSet();
  attempts = 0;
  retryAtMs = 0;
  /** Some attempt ended without an answer: it may have been done. */
  uncertain = false;
  resolve!: () => void;
  reject!: (error: RaftlineError) => void;

  constructor(
    route: Route,
    leaseId: number,
    kind: SettleKind,
    ms: number,
    untilMs: number,
    lease: ClientLease | undefined,
  ) {
    this.route = route;
    this.lease = lease;
    this.leaseId = leaseId;
    this.kind = kind;
    this.ms = ms;
    this.untilMs = untilMs;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever does not wait for it does not want to hear of it.
    this.promise.catch(() => {});
  }
}

export interface QueueSettlerOptions {
  readonly group: string;
  readonly consumer: string;
  readonly settleTimeoutMs: number;
  /** An ack or a nack failed: what became of its records is not known, or they are still leased. */
  readonly onDoubt: () => void;
}

export class QueueSettler {
  readonly #cluster: Cluster;
  readonly #options: QueueSettlerOptions;
  readonly #stopWatching: () => void;
  /** Not sent yet: more of the same may join. */
  readonly #open = new Map<ClientLease, Settlement[]>();
  #waiting: Settlement[] = [];
  readonly #inFlight = new Map<number, number>();
  #unsettled = 0;
  #retry: Timer | undefined;
  #scheduled = false;
  #closed = false;

  constructor(cluster: Cluster, options: QueueSettlerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#stopWatching = cluster.onChange(() => this.#schedule());
  }

  /** Said and not known to be done. */
  get size(): number {
    return this.#unsettled;
  }

  /** @throws {RaftlineError} `LEASE_EXPIRED`, `UNKNOWN_LEASE`, `TIMED_OUT`, `CLOSED` */
  settle(lease: ClientLease, kind: "ack" | "nack" | "release", offsets: OffsetSet, ms: number): Promise<void> {
    const settlement = this.#openFor(lease, kind, ms);
    settlement.offsets.addAll(offsets);
    return settlement.promise;
  }

  /** As {@link settle}. */
  settleOne(lease: ClientLease, kind: "ack" | "nack", offset: number, ms: number): Promise<void> {
    const settlement = this.#openFor(lease, kind, ms);
    settlement.offsets.add(offset, offset + 1);
    return settlement.promise;
  }

  /** The lease lasts so long from now on. @throws {RaftlineError} as {@link settle} */
  extend(lease: ClientLease, ms: number): Promise<void> {
    return this.#openFor(lease, "extend", ms).promise;
  }

  /** All that the lease holds by then goes back; it was seen. */
  giveBack({ route, leaseId }: ClientLease): void {
    this.#add(route, leaseId, "nack", 0);
  }

  /** All this consumer holds in the partition goes back; `counts`: some of it may have been seen. */
  leave(route: Route, counts: boolean): Promise<void> {
    return this.#add(route, 0, "leave", counts ? 1 : 0).promise;
  }

  /** Gives up what is not known to be done by now. */
  close(): void {
    this.#closed = true;
    this.#stopWatching();
    this.#retry?.cancel();
    this.#open.clear();
    for (const settlement of this.#waiting.splice(0)) this.#fail(settlement, "CLOSED", "the queue was closed");
  }

  /** Of one lease: so it names no more records than a lease has. */
  #openFor(lease: ClientLease, kind: SettleKind, ms: number): Settlement {
    let open = this.#open.get(lease);
    if (open === undefined) this.#open.set(lease, open = []);
    let settlement = open.find((one) => one.kind === kind && one.ms === ms);
    if (settlement === undefined) {
      settlement = this.#add(lease.route, lease.leaseId, kind, ms, lease);
      open.push(settlement);
    }
    return settlement;
  }

  #add(route: Route, leaseId: number, kind: SettleKind, ms: number, lease?: ClientLease): Settlement {
    const untilMs = this.#nowMs() + this.#options.settleTimeoutMs;
    const settlement = new Settlement(route, leaseId, kind, ms, untilMs, lease);
    this.#unsettled += 1;
    if (this.#closed) this.#fail(settlement, "CLOSED", "the queue was closed");
    else this.#waiting.push(settlement);
    this.#schedule();
    return settlement;
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#waiting.length === 0) return;
    this.#scheduled = true;
    this.#cluster.runtime.timers.endTurn(() => {
      this.#scheduled = false;
      if (!this.#closed) this.#pump();
    });
  }

  #pump(): void {
    const nowMs = this.#nowMs();
    const byNode = new Map<number, Settlement[]>();
    const kept: Settlement[] = [];
    for (const settlement of this.#waiting) {
      const { route, retryAtMs, untilMs, kind } = settlement;
      if (untilMs <= nowMs) this.#fail(settlement, "TIMED_OUT", `${kind} was not answered: it may have been done`);
      else if (this.#cluster.topic(route.topic)?.routes[route.partition] !== route) {
        this.#fail(settlement, "UNKNOWN_TOPIC", `topic "${route.topic}" was deleted`);
      } else if (route.leader === 0 || retryAtMs > nowMs) {
        if (route.leader === 0) this.#cluster.needLeader(route);
        kept.push(settlement);
      } else if ((this.#inFlight.get(route.leader) ?? 0) >= REQUESTS_PER_NODE_MAX) kept.push(settlement);
      else {
        const settlements = byNode.get(route.leader);
        if (settlements === undefined) byNode.set(route.leader, [settlement]);
        else settlements.push(settlement);
      }
    }
    this.#waiting = kept;
    for (const [nodeId, settlements] of byNode) this.#sendTo(nodeId, settlements);
    if (this.#waiting.length > 0) this.#lookAgain();
  }

  #sendTo(nodeId: number, settlements: readonly Settlement[]): void {
    let sent: Settlement[] = [];
    let bytes = 0;
    for (const settlement of settlements) {
      if (bytes > REQUEST_OFFSETS_BYTES_MAX || sent.length === REQUEST_PARTS_MAX) {
        void this.#send(nodeId, sent);
        sent = [];
        bytes = 0;
      }
      sent.push(settlement);
      bytes += packedBytesMax(settlement.offsets);
    }
    void this.#send(nodeId, sent);
  }

  async #send(nodeId: number, sent: readonly Settlement[]): Promise<void> {
    for (const { lease } of sent) if (lease !== undefined) this.#open.delete(lease);
    this.#inFlight.set(nodeId, (this.#inFlight.get(nodeId) ?? 0) + 1);
    const byShard = new Map<number, Settlement[]>();
    for (const settlement of sent) {
      const ofShard = byShard.get(settlement.route.shard);
      if (ofShard === undefined) byShard.set(settlement.route.shard, [settlement]);
      else ofShard.push(settlement);
    }
    const { group, consumer } = this.#options;
    const parts = [...byShard].map(([shard, settlements]) => ({ shard, items: settlements.map(toItem) }));
    const leftMs = Math.min(...sent.map(({ untilMs }) => untilMs)) - this.#nowMs();
    const timeoutMs = Math.ceil(Math.max(ATTEMPT_MS_MIN, Math.min(ATTEMPT_MS_MAX, leftMs)));
    // A leaving must not overtake the last lease request.
    const lane = sent.some(({ kind }) => kind === "leave") ? "read" : "write";
    try {
      const request = { type: "settle", group, consumer, parts } as const;
      const answer = await this.#cluster.request(nodeId, lane, request, timeoutMs);
      [...byShard.values()].forEach((settlements, part) => {
        const result = answer.parts[part];
        settlements.forEach((settlement, i) => {
          this.#answered(nodeId, settlement, result?.codes[i] ?? "MALFORMED", result?.leaderHint ?? 0);
        });
      });
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
      for (const settlement of sent) this.#answered(nodeId, settlement, error.code, 0);
    }
    this.#inFlight.set(nodeId, this.#inFlight.get(nodeId)! - 1);
    this.#schedule();
  }

  #answered(nodeId: number, settlement: Settlement, code: string, leaderHint: number): void {
    const { route, kind, leaseId } = settlement;
    // Going back is what was wanted, by whatever way it went.
    const wentBack = code === "LEASE_EXPIRED" && settlement.uncertain && kind !== "ack" && kind !== "extend";
    if (code === "" || wentBack || (kind === "leave" && code === "UNKNOWN_GROUP")) {
      this.#unsettled -= 1;
      return settlement.resolve();
    }
    if (code === "LEASE_EXPIRED" && settlement.uncertain && kind === "ack") {
      const message =
        `ack of lease ${leaseId} of ${route.topic}/${route.partition}: the lease is over, it may have been done before`;
      return this.#fail(settlement, "TIMED_OUT", message);
    }
    if (!LEADER_CODES.has(code) && code !== "CLOSED" && code !== "DISK_FULL") {
      return this.#fail(settlement, code, `${kind} of lease ${leaseId} of ${route.topic}/${route.partition}: ${code}`);
    }
    // Also one who leads no more may have brought it into the log.
    if (code !== "THROTTLED" && code !== "NO_LEADER") settlement.uncertain = true;
    if (code !== "THROTTLED" && code !== "DISK_FULL") route.refused(nodeId, leaderHint);
    if (this.#closed || this.#cluster.closed) return this.#fail(settlement, "CLOSED", "the queue was closed");
    const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(settlement.attempts, 10));
    settlement.attempts += 1;
    settlement.retryAtMs = this.#nowMs() + delayMs;
    this.#waiting.push(settlement);
  }

  /** What waits for its time, or for a leader that may never come. */
  #lookAgain(): void {
    const nowMs = this.#nowMs();
    const nextMs = Math.min(...this.#waiting.map(({ retryAtMs }) => retryAtMs));
    this.#retry?.cancel();
    const delayMs = nextMs <= nowMs ? RETRY_MS_MAX : nextMs - nowMs;
    this.#retry = this.#cluster.runtime.timers.after(delayMs, () => this.#schedule());
  }

  #fail(settlement: Settlement, code: string, message: string): void {
    this.#unsettled -= 1;
    const { lease, kind } = settlement;
    if (lease !== undefined) this.#open.delete(lease);
    if (lease !== undefined && (kind === "ack" || kind === "nack")) this.#options.onDoubt();
    settlement.reject(new RaftlineError(code, message));
  }

  #nowMs(): number {
    return this.#cluster.runtime.clock.monotonicMs();
  }
}

function toItem({ kind, leaseId, offsets, ms }: Settlement): SettleItem {
  return { kind, leaseId, offsets, ms };
}

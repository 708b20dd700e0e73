/**
 * A queue's state in one partition: which records are done, leased, waiting again, put off or dead. Deterministic: the
 * commands alone decide, and no clock; the leader says when a lease has expired. Memory follows what is scattered, not
 * the backlog: what was never leased is one number, what is done below the first open record is another.
 */
import { countOffsets, type Ranges } from "../../../src/records/offset-ranges.ts";
import { DeadLetters, type DeadReason, type EncodedDead } from "./dead-letters.ts";
import { type EncodedLease, Lease, type OnPart } from "./leases.ts";
import { ENDED_LEASES_KEPT } from "./limits.ts";
import { CHUNK_OFFSETS, type EncodedOffsets, OffsetSet } from "./offset-set.ts";
import { type EncodedParcel, Parcel, type ParcelKind } from "./parcels.ts";
import { type EncodedReady, ReadyRecords } from "./ready-records.ts";

export interface QueueSettings {
  readonly leaseMs: number;
  /** 0: without bound. */
  readonly deliveriesMax: number;
  /** "": none. */
  readonly deadLetter: string;
  readonly keyOrdered: boolean;
}

/** "": done as asked. */
export type SettleCode = "" | "LEASE_EXPIRED" | "UNKNOWN_LEASE";

type EncodedSettings = [leaseMs: number, deliveriesMax: number, deadLetter: string, keyOrdered: boolean];
export type EncodedQueue = [
  settings: EncodedSettings,
  places: [floor: number, next: number, lastLeaseId: number],
  done: EncodedOffsets,
  ready: EncodedReady,
  leases: EncodedLease[],
  parcels: EncodedParcel[],
  dead: EncodedDead,
  ended: [leaseId: number, consumer: string][],
];

/**
 * Invariant: every offset from `floor` to `next` is in exactly one of: done, ready, a lease, a parcel, dead. Below
 * `floor` all are done; from `next` on none was ever leased.
 */
export class QueueState {
  settings: QueueSettings;
  floor: number;
  next: number;
  readonly ready = new ReadyRecords();
  readonly leases = new Map<number, Lease>();
  readonly parcels = new Map<number, Parcel>();
  readonly dead = new DeadLetters();
  readonly #done = new OffsetSet();
  readonly #leasedBy = new Map<string, number>();
  /** Leases whose records were all settled by their consumer: an ack that comes again is known. Oldest first. */
  readonly #ended = new Map<number, string>();
  #lastLeaseId = 0;
  #leased = 0;

  constructor(settings: QueueSettings, from: number) {
    this.settings = settings;
    this.floor = from;
    this.next = from;
  }

  /** Records leased now. */
  get leased(): number {
    return this.#leased;
  }

  leasedBy(consumer: string): number {
    return this.#leasedBy.get(consumer) ?? 0;
  }

  /** Records put off. */
  get delayed(): number {
    let delayed = 0;
    for (const parcel of this.parcels.values()) delayed += parcel.size;
    return delayed;
  }

  isDone(offset: number): boolean {
    return offset < this.floor || this.#done.has(offset);
  }

  /** The first offset at `from` or after it that is not done. */
  nextOpen(from: number): number {
    return this.#done.nextOut(Math.max(from, this.floor));
  }

  /** Whether this lease is over, and nothing of it is remembered: whoever names it is late. */
  isOver(leaseId: number): boolean {
    return leaseId <= this.#lastLeaseId && !this.leases.has(leaseId) && !this.#ended.has(leaseId);
  }

  /** Gives what is free of `wanted` to a consumer. Undefined if nothing is. */
  lease(leaseId: number, consumer: string, leaseMs: number, wanted: Readonly<Ranges>, end: number): Lease | undefined {
    const held: number[] = [];
    this.#takeFree(wanted, end, (from, to, deliveries) => {
      const last = held.length - 3;
      if (last >= 0 && held[last + 1] === from && held[last + 2] === deliveries + 1) held[last + 1] = to;
      else held.push(from, to, deliveries + 1);
    });
    if (held.length === 0) return undefined;
    const lease = new Lease(leaseId, consumer, leaseMs, held);
    this.#lastLeaseId = leaseId;
    this.leases.set(leaseId, lease);
    this.#countLeased(consumer, lease.size);
    return lease;
  }

  /** The consumer is done with these for good. Those that it had acked before are fine, too. */
  ack(leaseId: number, consumer: string, ranges: Readonly<Ranges>): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) {
      const again = this.#ended.get(leaseId) === consumer && this.#countDone(ranges) === countOffsets(ranges);
      return again ? "" : this.#codeOf(leaseId);
    }
    return this.#settle(lease, ranges, true, (from, to) => this.#finish(from, to));
  }

  /**
   * These are to be delivered again, those of `parcelId` 0 at once; or they were delivered often enough and are dead.
   * Without ranges it is all that the lease holds.
   */
  nack(
    leaseId: number,
    consumer: string,
    ranges: Readonly<Ranges>,
    parcelId: number,
    delayMs: number,
  ): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) return this.#codeOf(leaseId);
    const given = ranges.length > 0 ? ranges : [0, this.next];
    const code = this.#settle(lease, given, false, (from, to, deliveries) => {
      if (this.#isLast(deliveries)) this.#bury(from, to, deliveries, "nacked");
      else if (parcelId === 0) this.ready.add(from, to, deliveries);
      else this.#parcelOf(parcelId, "delay", delayMs).add(from, to, deliveries);
    });
    return ranges.length > 0 ? code : "";
  }

  /** These were never looked at: they go back, and this delivery does not count. */
  release(leaseId: number, consumer: string, ranges: Readonly<Ranges>): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) return this.#codeOf(leaseId);
    return this.#settle(lease, ranges, false, (from, to, deliveries) => this.ready.add(from, to, deliveries - 1));
  }

  /** The lease's time begins anew, with this length. */
  extend(leaseId: number, consumer: string, leaseMs: number): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) return this.#codeOf(leaseId);
    lease.leaseMs = leaseMs;
    return "";
  }

  expire(leaseId: number): void {
    const lease = this.leases.get(leaseId);
    if (lease === undefined) return;
    this.leases.delete(leaseId);
    this.#countLeased(lease.consumer, -lease.size);
    lease.takeAll((from, to, deliveries) => {
      if (this.#isLast(deliveries)) this.#bury(from, to, deliveries, "leaseExpired");
      else this.ready.add(from, to, deliveries);
    });
  }

  /**
   * The consumer is gone, and what it holds is for the others at once. Where it has given back what it has seen, the rest
   * never reached it: that delivery does not count.
   */
  leave(consumer: string, counts: boolean): void {
    for (const lease of [...this.leases.values()]) {
      if (lease.consumer !== consumer) continue;
      if (counts) {
        this.expire(lease.leaseId);
        continue;
      }
      this.leases.delete(lease.leaseId);
      this.#countLeased(consumer, -lease.size);
      lease.takeAll((from, to, deliveries) => this.ready.add(from, to, deliveries - 1));
    }
  }

  /** The parcel's moment has come. */
  due(parcelId: number): void {
    this.parcels.get(parcelId)?.moveTo(this.ready, this.floor);
    this.parcels.delete(parcelId);
  }

  /** What is free of `ranges` waits for a time of the wall clock. */
  park(parcelId: number, atMs: number, ranges: Readonly<Ranges>, end: number): void {
    this.#takeFree(ranges, end, (from, to, deliveries) => {
      this.#parcelOf(parcelId, "wall", atMs).add(from, to, deliveries);
    });
  }

  /** What is free of `ranges` has outlived its time. */
  drop(ranges: Readonly<Ranges>, end: number): void {
    this.#takeFree(ranges, end, (from, to, deliveries) => {
      if (this.settings.deadLetter === "") this.#finish(from, to);
      else this.#bury(from, to, deliveries, "expired");
    });
  }

  /** Dead records below this sequence are in the dead-letter topic. */
  forwarded(sequence: number): void {
    this.dead.forwarded(sequence, (offset) => this.#finish(offset, offset + 1));
  }

  /** Everything from `offset` on is to be delivered as if it never was. */
  reset(offset: number): void {
    this.floor = offset;
    this.next = offset;
    this.#done.clear();
    this.ready.clear();
    this.leases.clear();
    this.parcels.clear();
    this.dead.clear();
    this.#leasedBy.clear();
    this.#leased = 0;
  }

  /** Records below `startOffset` exist no more. */
  trimmed(startOffset: number): void {
    if (startOffset <= this.floor) return;
    this.next = Math.max(this.next, startOffset);
    this.ready.take(0, startOffset, () => {});
    for (const lease of [...this.leases.values()]) this.#settle(lease, [0, startOffset], false, () => {});
    this.#finish(this.floor, startOffset);
  }

  encode(): EncodedQueue {
    const { leaseMs, deliveriesMax, deadLetter, keyOrdered } = this.settings;
    this.#done.remove(0, this.floor);
    return [
      [leaseMs, deliveriesMax, deadLetter, keyOrdered],
      [this.floor, this.next, this.#lastLeaseId],
      this.#done.encode(),
      this.ready.encode(),
      [...this.leases.values()].map((lease) => lease.encode()),
      [...this.parcels.values()].map((parcel) => parcel.encode()),
      this.dead.encode(),
      [...this.#ended],
    ];
  }

  /** Only for what {@link encode} gave. */
  static decode([settings, places, done, ready, leases, parcels, dead, ended]: EncodedQueue): QueueState {
    const [leaseMs, deliveriesMax, deadLetter, keyOrdered] = settings;
    const [floor, next, lastLeaseId] = places;
    const queue = new QueueState({ leaseMs, deliveriesMax, deadLetter, keyOrdered }, floor);
    queue.next = next;
    queue.#lastLeaseId = lastLeaseId;
    queue.#done.load(done);
    queue.ready.load(ready);
    for (const [leaseId, consumer, ms, held] of leases) {
      const lease = new Lease(leaseId, consumer, ms, [...held]);
      queue.leases.set(leaseId, lease);
      queue.#countLeased(consumer, lease.size);
    }
    for (const parcel of parcels) queue.parcels.set(parcel[0], Parcel.decode(parcel));
    queue.dead.load(dead);
    for (const [leaseId, consumer] of ended) queue.#ended.set(leaseId, consumer);
    return queue;
  }

  /** A lease that another consumer holds is not known to this one. */
  #leaseOf(leaseId: number, consumer: string): Lease | undefined {
    const lease = this.leases.get(leaseId);
    return lease?.consumer === consumer ? lease : undefined;
  }

  #codeOf(leaseId: number): SettleCode {
    return leaseId > this.#lastLeaseId || this.leases.has(leaseId) ? "UNKNOWN_LEASE" : "LEASE_EXPIRED";
  }

  #settle(lease: Lease, ranges: Readonly<Ranges>, finishes: boolean, onPart: OnPart): SettleCode {
    const taken = lease.take(ranges, onPart);
    this.#countLeased(lease.consumer, -taken);
    if (lease.size === 0) this.#end(lease);
    const missing = countOffsets(ranges) - taken;
    if (missing === 0) return "";
    // What this consumer acked before may come again. What it acks now is done by now, and not missing.
    return this.#countDone(ranges) - (finishes ? taken : 0) === missing ? "" : "LEASE_EXPIRED";
  }

  #end({ leaseId, consumer }: Lease): void {
    this.leases.delete(leaseId);
    this.#ended.set(leaseId, consumer);
    if (this.#ended.size <= ENDED_LEASES_KEPT) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined) this.#ended.delete(oldest);
  }

  /** Takes what is ready of `ranges`, and what was never leased; what lies between that and `next` becomes ready. */
  #takeFree(ranges: Readonly<Ranges>, end: number, onPart: OnPart): void {
    for (let i = 0; i < ranges.length; i += 2) {
      const start = Math.max(ranges[i]!, this.floor);
      const to = Math.min(ranges[i + 1]!, end);
      if (start >= to) continue;
      this.ready.take(start, Math.min(to, this.next), onPart);
      if (to <= this.next) continue;
      const first = Math.max(start, this.next);
      this.ready.add(this.next, first, 0);
      this.next = to;
      onPart(first, to, 0);
    }
  }

  #finish(start: number, end: number): void {
    this.#done.add(start, end);
    if (start > this.floor) return;
    const chunk = Math.floor(this.floor / CHUNK_OFFSETS);
    this.floor = this.#done.nextOut(this.floor);
    // Bits below the floor say nothing any more; they go a chunk at a time.
    if (Math.floor(this.floor / CHUNK_OFFSETS) > chunk) this.#done.remove(0, this.floor);
  }

  #countDone(ranges: Readonly<Ranges>): number {
    let count = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      const end = ranges[i + 1]!;
      count += Math.max(0, Math.min(end, this.floor) - ranges[i]!);
      for (let at = this.#done.nextIn(Math.max(ranges[i]!, this.floor)); at < end; at = this.#done.nextIn(at)) {
        const to = this.#done.nextOut(at, end);
        count += to - at;
        at = to;
      }
    }
    return count;
  }

  #isLast(deliveries: number): boolean {
    const { deliveriesMax } = this.settings;
    return deliveriesMax > 0 && deliveries >= deliveriesMax;
  }

  #bury(start: number, end: number, deliveries: number, reason: DeadReason): void {
    for (let offset = start; offset < end; offset++) this.dead.push(offset, deliveries, reason);
  }

  #parcelOf(parcelId: number, kind: ParcelKind, ms: number): Parcel {
    let parcel = this.parcels.get(parcelId);
    if (parcel === undefined) this.parcels.set(parcelId, parcel = new Parcel(parcelId, kind, ms));
    return parcel;
  }

  #countLeased(consumer: string, change: number): void {
    this.#leased += change;
    const leased = this.leasedBy(consumer) + change;
    if (leased > 0) this.#leasedBy.set(consumer, leased);
    else this.#leasedBy.delete(consumer);
  }
}

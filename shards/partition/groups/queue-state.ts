/**
 * A queue's state in one partition: which records are done, leased, waiting again, put off or dead. Deterministic: the
 * commands alone decide, and no clock; the leader says when a lease has expired. Memory follows what is scattered, not
 * the backlog: what was never leased is one number, what is done below the first open record is another.
 */
import { CHUNK_OFFSETS } from "../../../src/records/offset-chunk.ts";
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { packOffsets } from "../../../src/records/packed-offsets.ts";
import { unpackCommitted } from "./committed-offsets.ts";
import { DeadLetters, type DeadReason, type EncodedDead } from "./dead-letters.ts";
import { type DeliveredRecords, type EncodedLease, Lease, type OnPart } from "./leases.ts";
import { ENDED_LEASES_KEPT } from "./limits.ts";
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
  done: Uint8Array,
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
  #done = new OffsetSet();
  readonly #leasedBy = new Map<string, number>();
  /** Leases whose records were all settled by their consumer: an ack that comes again is known. Oldest first. */
  readonly #ended = new Map<number, string>();
  #lastLeaseId = 0;
  #leased = 0;
  #resets = 0;

  constructor(settings: QueueSettings, from: number) {
    this.settings = settings;
    this.floor = from;
    this.next = from;
  }

  /** Records leased now. */
  get leased(): number {
    return this.#leased;
  }

  /** How often it was reset where this object has seen it: what was over may be open again. Not part of the state. */
  get resets(): number {
    return this.#resets;
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
  lease(leaseId: number, consumer: string, leaseMs: number, wanted: OffsetSet, end: number): Lease | undefined {
    const byDeliveries = new Map<number, OffsetSet>();
    this.#takeFree(wanted, end, (offsets, deliveries) => {
      const others = byDeliveries.get(deliveries + 1);
      if (others === undefined) byDeliveries.set(deliveries + 1, offsets);
      else others.addAll(offsets);
    });
    if (byDeliveries.size === 0) return undefined;
    const parts = [...byDeliveries].map(([deliveries, offsets]) => ({ deliveries, offsets }));
    const lease = new Lease(leaseId, consumer, leaseMs, parts.sort((a, b) => a.deliveries - b.deliveries));
    this.#lastLeaseId = leaseId;
    this.leases.set(leaseId, lease);
    this.#countLeased(consumer, lease.size);
    return lease;
  }

  /** The consumer is done with these for good. Those that it had acked before are fine, too. */
  ack(leaseId: number, consumer: string, offsets: OffsetSet): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) {
      const again = this.#ended.get(leaseId) === consumer && this.#countDone(offsets) === offsets.size;
      return again ? "" : this.#codeOf(leaseId);
    }
    return this.#settle(lease, offsets, true, (acked) => this.#finish(acked));
  }

  /**
   * These are to be delivered again, those of `parcelId` 0 at once; or they were delivered often enough and are dead.
   * Without offsets it is all that the lease holds.
   */
  nack(leaseId: number, consumer: string, offsets: OffsetSet, parcelId: number, delayMs: number): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) return this.#codeOf(leaseId);
    const dying: DeliveredRecords[] = [];
    const giveBack = (nacked: OffsetSet, deliveries: number) => {
      if (this.#isLast(deliveries)) dying.push({ offsets: nacked, deliveries });
      else if (parcelId === 0) this.ready.of(deliveries).addAll(nacked);
      else this.#parcelOf(parcelId, "delay", delayMs).add(nacked, deliveries);
    };
    const code = offsets.size > 0 ? this.#settle(lease, offsets, false, giveBack) : this.#settleAll(lease, giveBack);
    this.#bury(dying, "nacked");
    return code;
  }

  /** These were never looked at: they go back, and this delivery does not count. */
  release(leaseId: number, consumer: string, offsets: OffsetSet): SettleCode {
    const lease = this.#leaseOf(leaseId, consumer);
    if (lease === undefined) return this.#codeOf(leaseId);
    return this.#settle(lease, offsets, false, (back, deliveries) => this.ready.of(deliveries - 1).addAll(back));
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
    const dying: DeliveredRecords[] = [];
    lease.takeAll((offsets, deliveries) => {
      if (this.#isLast(deliveries)) dying.push({ offsets, deliveries });
      else this.ready.of(deliveries).addAll(offsets);
    });
    this.#bury(dying, "leaseExpired");
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
      lease.takeAll((offsets, deliveries) => this.ready.of(deliveries - 1).addAll(offsets));
    }
  }

  /** The parcel's moment has come. */
  due(parcelId: number): void {
    this.parcels.get(parcelId)?.moveTo(this.ready, this.floor);
    this.parcels.delete(parcelId);
  }

  /** What is free of `wanted` waits for a time of the wall clock. */
  park(parcelId: number, atMs: number, wanted: OffsetSet, end: number): void {
    this.#takeFree(wanted, end, (offsets, deliveries) => {
      this.#parcelOf(parcelId, "wall", atMs).add(offsets, deliveries);
    });
  }

  /** What is free of `wanted` has outlived its time. */
  drop(wanted: OffsetSet, end: number): void {
    const dying: DeliveredRecords[] = [];
    this.#takeFree(wanted, end, (offsets, deliveries) => {
      if (this.settings.deadLetter === "") this.#finish(offsets);
      else dying.push({ offsets, deliveries });
    });
    this.#bury(dying, "expired");
  }

  /** Dead records below this sequence are in the dead-letter topic. */
  forwarded(sequence: number): void {
    this.dead.forwarded(sequence, (offset) => this.#finishRange(offset, offset + 1));
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
    this.#resets += 1;
  }

  /** Records below `startOffset` exist no more. */
  trimmed(startOffset: number): void {
    if (startOffset <= this.floor) return;
    this.next = Math.max(this.next, startOffset);
    this.ready.dropBelow(startOffset);
    for (const lease of [...this.leases.values()]) {
      this.#countLeased(lease.consumer, -lease.dropBelow(startOffset));
      if (lease.size === 0) this.#end(lease);
    }
    this.#finishRange(this.floor, startOffset);
  }

  encode(): EncodedQueue {
    const { leaseMs, deliveriesMax, deadLetter, keyOrdered } = this.settings;
    this.#done.remove(0, this.floor);
    return [
      [leaseMs, deliveriesMax, deadLetter, keyOrdered],
      [this.floor, this.next, this.#lastLeaseId],
      packOffsets(this.#done),
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
    queue.#done = unpackCommitted(done);
    queue.ready.load(ready);
    for (const encoded of leases) {
      const lease = Lease.decode(encoded);
      queue.leases.set(lease.leaseId, lease);
      queue.#countLeased(lease.consumer, lease.size);
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

  #settle(lease: Lease, offsets: OffsetSet, finishes: boolean, onPart: OnPart): SettleCode {
    const taken = lease.take(offsets, onPart);
    this.#countLeased(lease.consumer, -taken);
    if (lease.size === 0) this.#end(lease);
    const missing = offsets.size - taken;
    if (missing === 0) return "";
    // What this consumer acked before may come again. What it acks now is done by now, and not missing.
    return this.#countDone(offsets) - (finishes ? taken : 0) === missing ? "" : "LEASE_EXPIRED";
  }

  #settleAll(lease: Lease, onPart: OnPart): SettleCode {
    this.#countLeased(lease.consumer, -lease.size);
    lease.takeAll(onPart);
    this.#end(lease);
    return "";
  }

  #end({ leaseId, consumer }: Lease): void {
    this.leases.delete(leaseId);
    this.#ended.set(leaseId, consumer);
    if (this.#ended.size <= ENDED_LEASES_KEPT) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined) this.#ended.delete(oldest);
  }

  /** Takes what is ready of `wanted`, and what was never leased; what lies between that and `next` becomes ready. */
  #takeFree(wanted: OffsetSet, end: number, onPart: OnPart): void {
    this.ready.take(wanted, onPart);
    const fresh = wanted.slice(this.next, end);
    if (fresh.size === 0) return;
    const to = fresh.end;
    if (to - this.next > fresh.size) {
      const passedOver = OffsetSet.of(this.next, to);
      passedOver.take(fresh);
      this.ready.of(0).addAll(passedOver);
    }
    this.next = to;
    onPart(fresh, 0);
  }

  #finish(offsets: OffsetSet): void {
    this.#done.addAll(offsets);
    this.#raiseFloor();
  }

  #finishRange(start: number, end: number): void {
    this.#done.add(start, end);
    this.#raiseFloor();
  }

  #raiseFloor(): void {
    const chunk = Math.floor(this.floor / CHUNK_OFFSETS);
    this.floor = this.#done.nextOut(this.floor);
    // Bits below the floor say nothing any more; they go a chunk at a time.
    if (Math.floor(this.floor / CHUNK_OFFSETS) > chunk) this.#done.remove(0, this.floor);
  }

  #countDone(offsets: OffsetSet): number {
    let count = 0;
    for (const [start, end] of offsets.ranges()) {
      count += Math.max(0, Math.min(end, this.floor) - start);
      for (let at = this.#done.nextIn(Math.max(start, this.floor)); at < end; at = this.#done.nextIn(at)) {
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

  /** Those that die together do so in the order of their offsets. */
  #bury(dying: readonly DeliveredRecords[], reason: DeadReason): void {
    const dead: [offset: number, deliveries: number][] = [];
    for (const { offsets, deliveries } of dying) {
      for (const [start, end] of offsets.ranges()) {
        for (let offset = start; offset < end; offset++) dead.push([offset, deliveries]);
      }
    }
    if (dying.length > 1) dead.sort(([a], [b]) => a - b);
    for (const [offset, deliveries] of dead) this.dead.push(offset, deliveries, reason);
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

/** A queue as one would write it without thinking of memory: an object per record. What the real one is held against. */
import * as assert from "uvu/assert";
import type { QueueState } from "../../../../shards/partition/groups/queue-state.ts";

interface NaiveRecord {
  state: "new" | "ready" | "leased" | "parked" | "dead" | "done";
  /** Lease or parcel, by the state. */
  of: number;
  deliveries: number;
}

export class NaiveQueue {
  readonly #records: NaiveRecord[];
  readonly #leases = new Map<number, string>();
  /** Leases that ended because every record of theirs was settled, with their consumer. */
  readonly #ended = new Map<number, string>();
  readonly #dead: number[] = [];
  readonly #deliveriesMax: number;
  #forwarded = 0;
  #start = 0;

  constructor(deliveriesMax: number, span: number) {
    this.#deliveriesMax = deliveriesMax;
    this.#records = Array.from({ length: span }, () => ({ state: "new", of: 0, deliveries: 0 }));
  }

  lease(leaseId: number, consumer: string, offsets: readonly number[]): number[] {
    const parts: number[] = [];
    for (const offset of this.#free(offsets)) {
      const record = this.#records[offset]!;
      record.deliveries += 1;
      this.#set(record, "leased", leaseId);
      const last = parts.length - 3;
      // New ones come as one part; of those that come again a part is what lies together with one count.
      if (last >= 0 && parts[last + 1] === offset && parts[last + 2] === record.deliveries) {
        parts[last + 1] = offset + 1;
      } else parts.push(offset, offset + 1, record.deliveries);
    }
    if (parts.length > 0) this.#leases.set(leaseId, consumer);
    return parts;
  }

  ack(leaseId: number, consumer: string, offsets: readonly number[]): boolean {
    if (this.#leases.get(leaseId) !== consumer) {
      return this.#ended.get(leaseId) === consumer && offsets.every((offset) => this.#isDone(offset));
    }
    return this.#settle(leaseId, consumer, offsets, (record) => this.#set(record, "done", 0));
  }

  giveBack(leaseId: number, consumer: string, offsets: readonly number[], uncounted: boolean, parcel: number): boolean {
    if (this.#leases.get(leaseId) !== consumer) return false;
    return this.#settle(leaseId, consumer, offsets, (record, offset) => {
      if (uncounted) {
        record.deliveries -= 1;
        this.#set(record, "ready", 0);
      } else this.#again(record, offset, parcel);
    });
  }

  expire(leaseId: number): void {
    if (!this.#leases.delete(leaseId)) return;
    this.#records.forEach((record, offset) => {
      if (record.state === "leased" && record.of === leaseId) this.#again(record, offset, 0);
    });
  }

  leave(consumer: string, counts: boolean): void {
    for (const [leaseId, who] of [...this.#leases]) {
      if (who !== consumer) continue;
      if (counts) this.expire(leaseId);
      else this.#leases.delete(leaseId);
    }
    for (const record of this.#records) {
      if (record.state !== "leased" || this.#leases.has(record.of)) continue;
      record.deliveries -= 1;
      this.#set(record, "ready", 0);
    }
  }

  due(parcel: number): void {
    for (const record of this.#records) {
      if (record.state === "parked" && record.of === parcel) this.#set(record, "ready", 0);
    }
  }

  park(parcel: number, offsets: readonly number[]): void {
    for (const offset of this.#free(offsets)) this.#set(this.#records[offset]!, "parked", parcel);
  }

  drop(offsets: readonly number[]): void {
    for (const offset of this.#free(offsets)) {
      if (this.#deliveriesMax === 0) this.#set(this.#records[offset]!, "done", 0);
      else this.#bury(this.#records[offset]!, offset);
    }
  }

  forwarded(sequence: number): void {
    while (this.#forwarded < sequence && this.#dead.length > 0) {
      this.#set(this.#records[this.#dead.shift()!]!, "done", 0);
      this.#forwarded += 1;
    }
  }

  trimmed(startOffset: number): void {
    this.#start = Math.max(this.#start, startOffset);
    const held = new Set(this.#records.filter(({ state }) => state === "leased").map(({ of }) => of));
    this.#records.slice(0, startOffset).forEach((record) => this.#set(record, "done", 0));
    for (const leaseId of held) this.#endIfEmpty(leaseId);
  }

  /** Fails unless the real one says the same of every record. */
  mustBe(queue: QueueState): void {
    const firstOpen = this.#records.findIndex(({ state }) => state !== "done");
    const floor = firstOpen < 0 ? this.#records.length : firstOpen;
    assert.is(queue.floor, floor, "floor");
    const lastSeen = this.#records.findLastIndex(({ state }) => state !== "new");
    assert.is(queue.next, lastSeen + 1, "next");
    assert.is(queue.leased, this.#records.filter(({ state }) => state === "leased").length, "leased");
    this.#records.forEach((record, offset) => {
      assert.is(queue.isDone(offset), record.state === "done", `offset ${offset} is ${record.state}`);
      assert.is(queue.ready.has(offset), record.state === "ready", `offset ${offset} is ${record.state}`);
    });
    assert.is(queue.dead.size, this.#dead.length);
    assert.equal([...queue.leases.keys()].sort(), [...this.#leases.keys()].sort());
  }

  /** In order; what lies between the new ones taken was passed over. */
  #free(offsets: readonly number[]): number[] {
    const free = [...offsets].sort((a, b) => a - b).filter((offset) => {
      const state = this.#records[offset]?.state;
      return state === "new" || state === "ready";
    });
    const lastNew = free.findLast((offset) => this.#records[offset]!.state === "new");
    for (let offset = 0; offset < (lastNew ?? 0); offset++) {
      if (this.#records[offset]!.state === "new" && !free.includes(offset)) {
        this.#set(this.#records[offset]!, "ready", 0);
      }
    }
    return free;
  }

  #settle(
    leaseId: number,
    consumer: string,
    offsets: readonly number[],
    onRecord: (record: NaiveRecord, offset: number) => void,
  ): boolean {
    let ok = true;
    // A command names ranges, which ascend: what dies by one command dies in that order, however it was asked for.
    for (const offset of [...offsets].sort((a, b) => a - b)) {
      const record = this.#records[offset];
      if (record?.state === "leased" && record.of === leaseId) onRecord(record, offset);
      else if (!this.#isDone(offset)) ok = false;
    }
    if (this.#leases.get(leaseId) === consumer) this.#endIfEmpty(leaseId);
    return ok;
  }

  #endIfEmpty(leaseId: number): void {
    if (this.#records.some((record) => record.state === "leased" && record.of === leaseId)) return;
    this.#ended.set(leaseId, this.#leases.get(leaseId)!);
    this.#leases.delete(leaseId);
  }

  #again(record: NaiveRecord, offset: number, parcel: number): void {
    if (this.#deliveriesMax > 0 && record.deliveries >= this.#deliveriesMax) this.#bury(record, offset);
    else if (parcel === 0) this.#set(record, "ready", 0);
    else this.#set(record, "parked", parcel);
  }

  #bury(record: NaiveRecord, offset: number): void {
    this.#set(record, "dead", 0);
    this.#dead.push(offset);
  }

  #isDone(offset: number): boolean {
    return this.#records[offset]?.state === "done";
  }

  #set(record: NaiveRecord, state: NaiveRecord["state"], of: number): void {
    record.state = state;
    record.of = of;
  }
}

/**
 * What a queue's consumers were given and said, and whether it can be so. Leases of a partition are numbered in the order
 * of its log, so that what came before what needs no clock.
 */
import type { Violation } from "./history.ts";

interface Delivery {
  readonly leaseId: number;
  readonly deliveries: number;
}

interface QueueRecord {
  readonly value: string;
  /** What consumers were given, in the order in which it reached them. */
  readonly delivered: Delivery[];
  /** Lease under which it was acknowledged, and that was confirmed; 0: none. */
  acked: number;
  /** Leases under which somebody said so, and has not heard what became of it. */
  readonly unheard: Set<number>;
  /** How often it is in the dead-letter topic. */
  dead: number;
}

export class QueueHistory {
  /** By partition, then offset. */
  readonly #records: Map<number, QueueRecord>[] = [];
  readonly #deliveriesMax: number;
  readonly #fail: (violation: Violation) => void;
  deliveries = 0;

  constructor(partitions: number, deliveriesMax: number, fail: (violation: Violation) => void) {
    for (let i = 0; i < partitions; i++) this.#records.push(new Map());
    this.#deliveriesMax = deliveriesMax;
    this.#fail = fail;
  }

  delivered(partition: number, offset: number, value: string, leaseId: number, deliveries: number): void {
    this.deliveries += 1;
    const record = this.#recordOf(partition, offset, value);
    const place = `${partition}/${offset} (${value})`;
    if (record.value !== value) this.#broken("a queue gave another value", `${place}, before it was ${record.value}`);
    if (record.acked > 0 && leaseId > record.acked) {
      this.#broken("delivered after its ack", `${place}: acked under lease ${record.acked}, then leased as ${leaseId}`);
    }
    if (deliveries > this.#deliveriesMax) {
      this.#broken("delivered too often", `${place}: ${deliveries} times`);
    }
    for (const other of record.delivered) {
      if (other.leaseId === leaseId) this.#broken("one lease, two deliveries", `${place}: lease ${leaseId}`);
      if ((other.leaseId < leaseId) !== (other.deliveries < deliveries)) {
        const detail =
          `${place}: number ${other.deliveries} under lease ${other.leaseId}, ${deliveries} under ${leaseId}`;
        this.#broken("delivery count does not rise", detail);
      }
    }
    record.delivered.push({ leaseId, deliveries });
  }

  acking(partition: number, offset: number, leaseId: number): void {
    this.#records[partition]!.get(offset)!.unheard.add(leaseId);
  }

  acked(partition: number, offset: number, leaseId: number): void {
    const record = this.#records[partition]!.get(offset)!;
    // Done already under a later lease: the record is done, and that is what an ack is told. It changed nothing.
    if (leaseId < record.acked) return;
    if (record.acked > 0 && record.acked !== leaseId) {
      this.#broken("acknowledged twice", `${partition}/${offset}: under leases ${record.acked} and ${leaseId}`);
    }
    record.acked = leaseId;
    const later = record.delivered.find((other) => other.leaseId > leaseId);
    if (later) {
      const detail = `${partition}/${offset}: lease ${leaseId}, although it was leased again as ${later.leaseId}`;
      this.#broken("a stale lease was accepted", detail);
    }
  }

  /** It is known not to have been done. */
  refused(partition: number, offset: number, leaseId: number): void {
    this.#records[partition]!.get(offset)!.unheard.delete(leaseId);
  }

  /** @param overdue its time to live was over: however often it was delivered */
  deadLettered(partition: number, offset: number, value: string, deliveries: number, overdue: boolean): void {
    const record = this.#recordOf(partition, offset, value);
    record.dead += 1;
    const place = `${partition}/${offset} (${value})`;
    if (record.value !== value) this.#broken("a dead letter of another value", `${place}: ${record.value}`);
    if (record.dead > 1) this.#broken("dead-lettered twice", place);
    if (record.acked > 0) this.#broken("acked and dead-lettered", place);
    if (!overdue && deliveries < this.#deliveriesMax) {
      this.#broken("dead too early", `${place}: after ${deliveries} deliveries`);
    }
  }

  /** After the drain: everything from `start` to `end` is done in one way. */
  checkDrained(partition: number, start: number, end: number): void {
    for (let offset = start; offset < end; offset++) {
      const record = this.#records[partition]!.get(offset);
      if (record === undefined) {
        this.#broken("a record was never delivered", `${partition}/${offset}`);
        return;
      }
      if (record.acked === 0 && record.unheard.size === 0 && record.dead === 0) {
        this.#broken("neither acked nor dead nor there", `${partition}/${offset} (${record.value})`);
        return;
      }
    }
  }

  #recordOf(partition: number, offset: number, value: string): QueueRecord {
    const records = this.#records[partition]!;
    let record = records.get(offset);
    if (record === undefined) {
      record = { value, delivered: [], acked: 0, unheard: new Set(), dead: 0 };
      records.set(offset, record);
    }
    return record;
  }

  #broken(invariant: string, detail: string): void {
    this.#fail({ invariant, detail });
  }
}

/** What a queue yields: a record that is this consumer's for a while. */
import type { BatchReader } from "../records/batch-reader.ts";
import { OffsetSet } from "../records/offset-set.ts";
import type { RaftlineError } from "../wire/errors.ts";
import { checkMs, invalid } from "./checks.ts";
import { ConsumerRecord } from "./consumer-records.ts";
import type { ClientLease } from "./queue-leases.ts";

export interface NackOptions {
  /** Not before this; a part of a millisecond counts as a whole one. Default: 0. A delay may turn out an eighth longer. */
  readonly delayMs?: number;
}

/** What becomes of messages; the queue's. */
export interface Settling {
  settleOne(lease: ClientLease, kind: "ack" | "nack", offset: number, delayMs: number): Promise<void>;
  extend(lease: ClientLease, ms: number): Promise<void>;
}

/** Settle each once: `ack` it or `nack` it. Key and value are views of its batch: copy them to keep them alone. */
export class QueueMessage extends ConsumerRecord {
  /** How often it was given to somebody, this time included. */
  readonly deliveryCount: number;
  readonly #settling: Settling;
  readonly #lease: ClientLease;
  #settled = false;

  constructor(lease: ClientLease, deliveryCount: number, reader: BatchReader, settling: Settling) {
    super(lease.route.topic, lease.route.partition, reader);
    this.deliveryCount = deliveryCount;
    this.#lease = lease;
    this.#settling = settling;
  }

  /** Whether it was acked or nacked. */
  get settled(): boolean {
    return this.#settled;
  }

  /** What names its lease: messages of one lease share it. */
  get lease(): ClientLease {
    return this.#lease;
  }

  /**
   * It is done: nobody of the group gets it again. Resolves when that is on a majority's disks.
   * @throws {RaftlineError} `LEASE_EXPIRED`: it will be delivered again; `TIMED_OUT`: not known; `CLOSED`;
   * `INVALID_REQUEST`: it was settled before
   */
  ack(): Promise<void> {
    return this.#settle("ack", 0);
  }

  /**
   * It is to be delivered again, to whoever asks.
   * @throws {RaftlineError} `LEASE_EXPIRED`: it is anyway; `TIMED_OUT`, `CLOSED`; `INVALID_REQUEST`: settled before, or a
   * delay that is none
   */
  nack(options: NackOptions = {}): Promise<void> {
    return this.#settle("nack", options.delayMs ?? 0);
  }

  /**
   * It is this consumer's for so long from now on, and so are the other messages of its lease.
   * @throws {RaftlineError} `LEASE_EXPIRED`; `INVALID_REQUEST`: a time that is none
   */
  async extend(leaseMs: number = this.#lease.leaseMs): Promise<void> {
    await this.#settling.extend(this.#lease, checkMs("leaseMs", leaseMs, 1));
  }

  /** @throws {RaftlineError} `INVALID_REQUEST`: it was settled before */
  markSettled(): void {
    if (this.#settled) throw settledBefore();
    this.#settled = true;
  }

  /** The promise of the settling itself, whose failure nobody has to hear of: not one more for each message. */
  #settle(kind: "ack" | "nack", delayMs: number): Promise<void> {
    try {
      const wholeMs = checkMs("delayMs", delayMs, 0);
      this.markSettled();
      return this.#settling.settleOne(this.#lease, kind, this.offset, wholeMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

function settledBefore(): RaftlineError {
  return invalid("a message is acked or nacked once");
}

/**
 * Marks them settled, all or none, and says which records of which leases they are.
 * @throws {RaftlineError} as `markSettled`
 */
export function takeByLease(messages: readonly QueueMessage[]): Map<ClientLease, OffsetSet> {
  if (messages.some(({ settled }) => settled) || new Set(messages).size < messages.length) throw settledBefore();
  const byLease = new Map<ClientLease, OffsetSet>();
  let lease: ClientLease | undefined;
  let offsets = new OffsetSet();
  for (const message of messages) {
    message.markSettled();
    if (message.lease !== lease) {
      lease = message.lease;
      offsets = byLease.get(lease) ?? new OffsetSet();
      byLease.set(lease, offsets);
    }
    offsets.add(message.offset, message.offset + 1);
  }
  return byLease;
}

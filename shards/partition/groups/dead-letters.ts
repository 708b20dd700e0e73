/**
 * Records that are given up and not in the dead-letter topic yet, in the order in which they go there. Each has a
 * number; the forwarder writes it as that sequence of one idempotent producer, so that a retry is stored once.
 */
import { OffsetSet } from "../../../src/records/offset-set.ts";

export type DeadReason = "nacked" | "leaseExpired" | "expired";
export const DEAD_REASONS: readonly DeadReason[] = ["nacked", "leaseExpired", "expired"];

export interface DeadLetter {
  readonly sequence: number;
  readonly offset: number;
  readonly deliveries: number;
  readonly reason: DeadReason;
}

/** `records` is flat: offset, deliveries, reason of each. */
export type EncodedDead = [producerId: number, firstSequence: number, records: number[]];

const FIELDS = 3;

export class DeadLetters {
  /** Who writes them; 0: not known yet. */
  producerId = 0;
  /** Of the first that waits. */
  firstSequence = 0;
  #records: number[] = [];
  readonly #offsets = new OffsetSet();
  /** Where the first that waits is: the array is cut once the dead half is the larger one. */
  #head = 0;

  get size(): number {
    return (this.#records.length - this.#head) / FIELDS;
  }

  has(offset: number): boolean {
    return this.#offsets.has(offset);
  }

  push(offset: number, deliveries: number, reason: DeadReason): void {
    this.#offsets.add(offset, offset + 1);
    this.#records.push(offset, deliveries, DEAD_REASONS.indexOf(reason));
  }

  /** The one with this sequence, if it waits. */
  at(sequence: number): DeadLetter | undefined {
    const position = sequence - this.firstSequence;
    if (position < 0 || position >= this.size) return undefined;
    const at = this.#head + position * FIELDS;
    const [offset, deliveries, reason] = this.#records.slice(at, at + FIELDS) as [number, number, number];
    return { sequence, offset, deliveries, reason: DEAD_REASONS[reason]! };
  }

  /** All below `sequence` are in the dead-letter topic. */
  forwarded(sequence: number, onOffset: (offset: number) => void): void {
    while (this.firstSequence < sequence && this.size > 0) {
      const offset = this.#records[this.#head]!;
      this.#offsets.remove(offset, offset + 1);
      onOffset(offset);
      this.#head += FIELDS;
      this.firstSequence += 1;
    }
    if (this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Another producer writes from here on: its sequences begin at 0. */
  writeAs(producerId: number): void {
    this.producerId = producerId;
    this.firstSequence = 0;
  }

  /** Forgets those that wait; whether the first of them were written is not known, so their producer goes, too. */
  clear(): void {
    this.#records = [];
    this.#head = 0;
    this.#offsets.clear();
    this.writeAs(0);
  }

  encode(): EncodedDead {
    return [this.producerId, this.firstSequence, this.#records.slice(this.#head)];
  }

  /** Only for what {@link encode} gave. */
  load([producerId, firstSequence, records]: EncodedDead): void {
    this.producerId = producerId;
    this.firstSequence = firstSequence;
    this.#records = [...records];
    this.#head = 0;
    this.#offsets.clear();
    for (let i = 0; i < records.length; i += FIELDS) this.#offsets.add(records[i]!, records[i]! + 1);
  }
}

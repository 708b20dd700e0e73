/**
 * Holds what key-ordered queues give out against the keys in the log: one record of a key at a time, and the first one that
 * is not done with. What was put off, or waits for its time, is not done with.
 */
import type { QueueState } from "../../shards/partition/groups/queue-state.ts";
import { BatchReader } from "../../src/records/batch-reader.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";

export class KeyOrder {
  /** By offset; undefined where there is none: no order. */
  readonly #keys: (string | undefined)[] = [];
  /** Offsets of each key, ascending. */
  readonly #offsets = new Map<string, number[]>();
  readonly #fail: (violation: Violation) => void;
  /** Records given out that were looked at. */
  checked = 0;

  constructor(fail: (violation: Violation) => void) {
    this.#fail = fail;
  }

  /** The next batch of the log. */
  add(batch: Entry): void {
    const reader = new BatchReader(batch);
    while (reader.next()) this.put(reader.offset, reader.record().keyText() ?? undefined);
  }

  put(offset: number, key: string | undefined): void {
    this.#keys[offset] = key;
    if (key === undefined) return;
    const offsets = this.#offsets.get(key);
    if (offsets === undefined) this.#offsets.set(key, [offset]);
    else offsets.push(offset);
  }

  /** @param offsets of a lease that was just given; the queue is as it is then */
  leased(place: string, queue: QueueState, offsets: Iterable<number>): void {
    for (const offset of offsets) this.#check(place, queue, offset);
  }

  #check(place: string, queue: QueueState, offset: number): void {
    const key = this.#keys[offset];
    if (key === undefined) return;
    this.checked += 1;
    const first = this.#offsets.get(key)!.find((other) => !queue.isDone(other) && !queue.dead.has(other));
    if (first === offset) return;
    const detail = `${place}/${offset} of key ${key} was given out while ${first} was not done with`;
    this.#fail({ invariant: "order within a key of a queue", detail });
  }
}

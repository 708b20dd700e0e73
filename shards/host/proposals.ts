/** What was proposed here and waits for its commit, in the order of the log. */
import type { Entry } from "../../src/records/entry.ts";
import type { ProposalCode, ProposalWaiter } from "./state-machine.ts";

interface Waiting {
  readonly entry: Entry;
  readonly term: number;
  readonly waiter: ProposalWaiter;
}

export class Proposals {
  /** Undefined below the head: what was settled pins whole batches, and what its waiter holds. */
  readonly #queue: (Waiting | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  /** Bytes of the entries that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry, waiter: ProposalWaiter): void {
    this.#queue.push({ entry, term: entry.term, waiter });
    this.#bytes += entry.byteLength;
  }

  /** The entry at this index was applied: whoever proposed it is told; a proposal that lost its place is refused. */
  applied(entry: Entry, result: unknown): void {
    while (this.#head < this.#queue.length) {
      const waiting = this.#queue[this.#head]!;
      if (waiting.entry.index > entry.index) return;
      this.#take();
      const ours = waiting.entry.index === entry.index && waiting.term === entry.term;
      waiting.waiter.settled(ours ? "" : "NOT_LEADER", waiting.entry, ours ? result : undefined);
    }
  }

  failAll(code: ProposalCode): void {
    while (this.#head < this.#queue.length) {
      const waiting = this.#take();
      waiting.waiter.settled(code, waiting.entry, undefined);
    }
  }

  #take(): Waiting {
    const waiting = this.#queue[this.#head]!;
    this.#queue[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= waiting.entry.byteLength;
    // Amortised: the array is cut once the dead half is the larger one. In place: one that is left behind would keep what
    // is in it until the whole heap is marked.
    if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue.copyWithin(0, this.#head);
      this.#queue.length -= this.#head;
      this.#head = 0;
    }
    return waiting;
  }
}

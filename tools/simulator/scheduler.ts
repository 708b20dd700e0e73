/**
 * Simulated time: a queue of events. Events of one instant come in an order that the seed draws; promise jobs drain
 * between two events, so that every I/O completion is a step of its own.
 */
import type { Timer } from "../../src/runtime/runtime.ts";
import type { SeededRandom } from "./random.ts";

interface Event {
  atMs: number;
  /** Drawn: breaks ties. */
  order: number;
  sequence: number;
  callback: (() => void) | undefined;
}

export class Scheduler {
  nowMs = 0;
  /** Events run so far. */
  count = 0;
  readonly #random: SeededRandom;
  readonly #heap: Event[] = [];
  #sequence = 0;
  #stopped = false;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get pending(): number {
    return this.#heap.length;
  }

  after(delayMs: number, callback: () => void): Timer {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: Event = { atMs, order: this.#random.u32(), sequence: this.#sequence++, callback };
    this.#push(event);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Runs events until simulated time has come to `untilMs`, `stop` is called, or nothing is left. */
  async run(untilMs: number, afterEvent: () => void = () => {}): Promise<void> {
    this.#stopped = false;
    while (!this.#stopped) {
      const next = this.#heap[0];
      if (!next || next.atMs > untilMs) break;
      this.#pop();
      if (!next.callback) continue;
      this.nowMs = next.atMs;
      this.count += 1;
      next.callback();
      await drained();
      afterEvent();
    }
    if (!this.#stopped) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.order !== b.order ? a.order < b.order : a.sequence < b.sequence;
}

/** Resolves when every promise job that is waiting, and all that follow from them, have run. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

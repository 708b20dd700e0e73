/**
 * Simulated time: a queue of events. Events of one instant come in an order that the seed draws; promise jobs drain
 * between two events, so that every I/O completion is a step of its own.
 */
import process from "node:process";
import type { Timer } from "../../src/runtime/runtime.ts";
import type { SeededRandom } from "./random.ts";
import { enterSimulation, leaveSimulation } from "./real-world.ts";

/** An event is its own timer. */
class Event implements Timer {
  readonly atMs: number;
  /** Drawn: breaks ties. A signed number of 32 bits, which V8 keeps in place. */
  readonly order: number;
  readonly sequence: number;
  callback: (() => void) | undefined;

  constructor(atMs: number, order: number, sequence: number, callback: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.sequence = sequence;
    this.callback = callback;
  }

  cancel(): void {
    this.callback = undefined;
  }
}

/**
 * After so many events the host's own loop gets a turn, in which it looks for rejections that nobody handled. At a
 * fixed count, so that a run is the same every time.
 */
const EVENTS_PER_TURN = 64;

/** Takes unsigned numbers of 32 bits to signed ones of the same order, and back. */
const MIDDLE = 0x8000_0000 | 0;

/** More, and they make each other without end. */
const EVENTS_AT_INSTANT_MAX = 100_000;

export class Scheduler {
  nowMs = 0;
  /** Events run so far. */
  count = 0;
  /** Over the times and drawn orders of all events so far: two runs that agree in it did the same. */
  hash = 0;
  readonly #random: SeededRandom;
  readonly #heap: Event[] = [];
  #sequence = 0;
  #stopped = false;
  #atInstant = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get pending(): number {
    return this.#heap.length;
  }

  after(delayMs: number, callback: () => void): Timer {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event = new Event(atMs, this.#random.u32() ^ MIDDLE, this.#sequence++, callback);
    this.#push(event);
    return event;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Runs events until simulated time has come to `untilMs`, `stop` is called, or nothing is left. */
  run(untilMs: number, afterEvent: () => void = () => {}): Promise<void> {
    this.#stopped = false;
    return new Promise((resolve, reject) => {
      const step = () => {
        enterSimulation();
        let goesOn: boolean;
        try {
          afterEvent();
          goesOn = this.#runNext(untilMs);
        } catch (error) {
          leaveSimulation();
          return reject(error);
        }
        if (!goesOn) {
          leaveSimulation();
          return resolve();
        }
        if (this.count % EVENTS_PER_TURN === 0) setImmediate(turn);
        else stepWhenDrained();
      };
      const stepWhenDrained = whenDrained(step);
      const turn = () => {
        leaveSimulation();
        // Rejections are looked for behind the turn in which the jobs drained.
        setImmediate(step);
      };
      step();
    });
  }

  /** Runs the next event that was not cancelled; false if there is none, or none that is due. */
  #runNext(untilMs: number): boolean {
    while (!this.#stopped) {
      const next = this.#heap[0];
      if (!next || next.atMs > untilMs) break;
      this.#pop();
      const { callback } = next;
      if (!callback) continue;
      this.#advance(next);
      next.callback = undefined;
      callback();
      return true;
    }
    if (!this.#stopped) this.nowMs = Math.max(this.nowMs, untilMs);
    return false;
  }

  #advance({ atMs, order }: Event): void {
    this.#atInstant = atMs === this.nowMs ? this.#atInstant + 1 : 0;
    if (this.#atInstant > EVENTS_AT_INSTANT_MAX) {
      throw new Error(`time stands still at ${atMs} ms: ${EVENTS_AT_INSTANT_MAX} events in one instant`);
    }
    this.nowMs = atMs;
    this.count += 1;
    this.hash = (Math.imul(this.hash, 31) + Math.floor(atMs * 1_000) + (order ^ MIDDLE)) | 0;
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

const SETTLED = Promise.resolve();

/**
 * What calls back when every promise job that is waiting, and all that follow from them, have run: a tick that is asked
 * for by a promise job comes when the queue of these is empty (not so one that is asked for by a tick). Made once for
 * each callback, for it is called between any two events; `queueMicrotask` would make an async resource each time.
 */
function whenDrained(callback: () => void): () => void {
  const atNextTick = () => process.nextTick(callback);
  return () => void SETTLED.then(atNextTick);
}

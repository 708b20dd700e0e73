/** What a client's connection has asked and not been answered yet, by correlation id; each with a time to give up. */
import { Alarm } from "../runtime/alarm.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RaftlineError } from "./errors.ts";
import type { RequestName } from "./protocol.ts";

export interface Pending {
  readonly id: number;
  readonly type: RequestName;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly resolve: (response: never) => void;
  readonly reject: (error: RaftlineError) => void;
}

/**
 * An id is a slot, in its lower half, and a count of requests, in its upper: a late answer finds another id there. No `Map`,
 * for what bag.ts says of those.
 */
const SLOT_BITS = 16;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** Requests that may be open on a connection. */
export const OPEN_REQUESTS_MAX = 2 ** SLOT_BITS;

export class PendingRequests {
  readonly #runtime: Runtime;
  /** For messages. */
  readonly #node: string;
  readonly #slots: (Pending | undefined)[] = [];
  /** Slots that are free. */
  readonly #free: number[] = [];
  /** 1 to SLOT_MASK: no id is 0. */
  #turn = 0;
  readonly #alarm: Alarm;

  constructor(runtime: Runtime, node: string) {
    this.#runtime = runtime;
    this.#node = node;
    this.#alarm = new Alarm(runtime, (nowMs) => this.#expire(nowMs));
  }

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Of the request that is {@link add}ed next; {@link OPEN_REQUESTS_MAX} are not open yet. */
  get nextId(): number {
    const turn = (this.#turn % SLOT_MASK) + 1;
    return ((turn << SLOT_BITS) | (this.#free.at(-1) ?? this.#slots.length)) >>> 0;
  }

  add(request: Omit<Pending, "id" | "deadlineMs">): void {
    const { type, timeoutMs, resolve, reject } = request;
    const id = this.nextId;
    const deadlineMs = this.#runtime.clock.monotonicMs() + timeoutMs;
    this.#turn = id >>> SLOT_BITS;
    this.#free.pop();
    this.#slots[id & SLOT_MASK] = { id, type, timeoutMs, deadlineMs, resolve, reject };
    this.#alarm.by(deadlineMs);
  }

  /** The request is answered. Undefined: it was given up. */
  take(id: number): Pending | undefined {
    const slot = id & SLOT_MASK;
    const pending = this.#slots[slot];
    if (pending?.id !== id) return undefined;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    return pending;
  }

  rejectAll(error: RaftlineError): void {
    this.#alarm.cancel();
    for (const { id, reject } of this.#all()) {
      this.take(id);
      reject(error);
    }
  }

  #all(): Pending[] {
    return this.#slots.filter((pending) => pending !== undefined);
  }

  #expire(nowMs: number): number {
    let nextMs = Infinity;
    for (const { id, type, timeoutMs, deadlineMs, reject } of this.#all()) {
      if (deadlineMs > nowMs) {
        nextMs = Math.min(nextMs, deadlineMs);
        continue;
      }
      this.take(id);
      reject(new RaftlineError("TIMED_OUT", `${this.#node} did not answer ${type} within ${timeoutMs} ms`));
    }
    return nextMs;
  }
}

/** What a client's connection has asked and not been answered yet, by correlation id; each with a time to give up. */
import { Alarm } from "../runtime/alarm.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RaftlineError } from "./errors.ts";
import type { RequestName } from "./protocol.ts";

export interface Pending {
  readonly type: RequestName;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly resolve: (response: never) => void;
  readonly reject: (error: RaftlineError) => void;
}

export class PendingRequests {
  readonly #runtime: Runtime;
  /** For messages. */
  readonly #node: string;
  readonly #byId = new Map<number, Pending>();
  readonly #alarm: Alarm;

  constructor(runtime: Runtime, node: string) {
    this.#runtime = runtime;
    this.#node = node;
    this.#alarm = new Alarm(runtime, (nowMs) => this.#expire(nowMs));
  }

  get size(): number {
    return this.#byId.size;
  }

  has(id: number): boolean {
    return this.#byId.has(id);
  }

  add(id: number, request: Omit<Pending, "deadlineMs">): void {
    const { type, timeoutMs, resolve, reject } = request;
    const deadlineMs = this.#runtime.clock.monotonicMs() + timeoutMs;
    this.#byId.set(id, { type, timeoutMs, deadlineMs, resolve, reject });
    this.#alarm.by(deadlineMs);
  }

  /** The request is answered. Undefined: it was given up. */
  take(id: number): Pending | undefined {
    const pending = this.#byId.get(id);
    if (pending !== undefined) this.#byId.delete(id);
    return pending;
  }

  rejectAll(error: RaftlineError): void {
    this.#alarm.cancel();
    const all = [...this.#byId.values()];
    this.#byId.clear();
    for (const { reject } of all) reject(error);
  }

  #expire(nowMs: number): number {
    let nextMs = Infinity;
    for (const [id, { type, timeoutMs, deadlineMs, reject }] of this.#byId) {
      if (deadlineMs > nowMs) {
        nextMs = Math.min(nextMs, deadlineMs);
        continue;
      }
      this.#byId.delete(id);
      reject(new RaftlineError("TIMED_OUT", `${this.#node} did not answer ${type} within ${timeoutMs} ms`));
    }
    return nextMs;
  }
}

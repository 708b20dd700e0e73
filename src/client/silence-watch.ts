/** Requests that wait for a node's answer: while it is silent, the others are asked whether it still leads. */
import { Alarm } from "../runtime/alarm.ts";
import { Bag, type Bagged } from "../runtime/bag.ts";
import type { Cluster } from "./cluster.ts";
import type { Route } from "./topic-view.ts";

/** A node that has not answered for this long is asked about. */
const SILENT_MS = 500;

/** One request under way. */
export interface Unanswered extends Bagged {
  readonly nodeId: number;
  readonly routes: () => Route[];
  /** When the others are asked next; Infinity while they are. */
  lookAtMs: number;
}

export class SilenceWatch {
  readonly #cluster: Cluster;
  readonly #unanswered = new Bag<Unanswered>();
  readonly #alarm: Alarm;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#alarm = new Alarm(cluster.runtime, (nowMs) => this.#look(nowMs));
  }

  /** `routes`: what the request is about. To be taken out with {@link answered}, whatever became of it. */
  sent(nodeId: number, nowMs: number, routes: () => Route[]): Unanswered {
    const unanswered = { nodeId, routes, lookAtMs: nowMs + SILENT_MS, place: -1 };
    this.#unanswered.add(unanswered);
    this.#alarm.by(unanswered.lookAtMs);
    return unanswered;
  }

  answered(unanswered: Unanswered): void {
    this.#unanswered.delete(unanswered);
  }

  close(): void {
    this.#alarm.cancel();
    this.#unanswered.clear();
  }

  #look(nowMs: number): number {
    let nextMs = Infinity;
    for (const unanswered of this.#unanswered.all()) {
      if (unanswered.lookAtMs <= nowMs) void this.#ask(unanswered);
      else nextMs = Math.min(nextMs, unanswered.lookAtMs);
    }
    return nextMs;
  }

  async #ask(unanswered: Unanswered): Promise<void> {
    unanswered.lookAtMs = Infinity;
    await this.#cluster.checkSilent(unanswered.nodeId, unanswered.routes());
    if (!this.#unanswered.has(unanswered)) return;
    unanswered.lookAtMs = this.#cluster.runtime.clock.monotonicMs() + SILENT_MS;
    this.#alarm.by(unanswered.lookAtMs);
  }
}

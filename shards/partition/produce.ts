/** PRODUCE requests: each part goes to its partition; the answer when all parts are settled, or at the timeout. */
import { Bag } from "../../src/runtime/bag.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { ProduceRequest } from "../../src/wire/protocol.ts";
import type { ProduceResult } from "../../src/wire/responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { Partition } from "./partition.ts";

const SWEEP_MS = 250;

export type PartitionOf = (shard: number) => Partition | undefined;

/** Code and hint for a shard that this node does not hold. */
export type MissingShard = (shard: number) => { readonly code: string; readonly leaderHint: number };

export class ProduceService {
  readonly #runtime: Runtime;
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #open = new Bag<OpenProduce>();
  #sweep: Timer | undefined;

  constructor(runtime: Runtime, partitionOf: PartitionOf, missing: MissingShard) {
    this.#runtime = runtime;
    this.#partitionOf = partitionOf;
    this.#missing = missing;
  }

  handle(exchange: Exchange<ProduceRequest>): void {
    const { parts, timeoutMs } = exchange.request;
    const open = new OpenProduce(
      exchange,
      this.#runtime.clock.monotonicMs() + timeoutMs,
      () => this.#open.delete(open),
    );
    this.#open.add(open);
    parts.forEach((part, position) => {
      const partition = this.#partitionOf(part.shard);
      if (!partition) {
        const { code, leaderHint } = this.#missing(part.shard);
        return open.settle(position, code, 0, leaderHint);
      }
      partition.produce(part.bytes, (code, baseOffset) => {
        open.settle(position, code, baseOffset, code === "NOT_LEADER" ? partition.leaderHint : 0);
      });
    });
    if (this.#open.size > 0 && !this.#sweep) this.#armSweep();
  }

  close(): void {
    this.#sweep?.cancel();
    for (const open of this.#open.all()) open.giveUp("NOT_LEADER");
  }

  /** One timer for all requests: a timeout may come a quarter of a second late. */
  #armSweep(): void {
    this.#sweep = this.#runtime.timers.after(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#runtime.clock.monotonicMs();
      for (const open of this.#open.all()) {
        if (open.deadlineMs <= nowMs) open.giveUp("TIMED_OUT");
      }
      if (this.#open.size > 0) this.#armSweep();
    });
  }
}

class OpenProduce {
  place = -1;
  readonly deadlineMs: number;
  readonly #exchange: Exchange<ProduceRequest>;
  readonly #onEnd: () => void;
  readonly #results: (ProduceResult | undefined)[];
  #waitingFor: number;

  constructor(exchange: Exchange<ProduceRequest>, deadlineMs: number, onEnd: () => void) {
    this.#exchange = exchange;
    this.deadlineMs = deadlineMs;
    this.#onEnd = onEnd;
    this.#waitingFor = exchange.request.parts.length;
    this.#results = new Array<ProduceResult | undefined>(this.#waitingFor).fill(undefined);
  }

  /** A part that was given up may still settle: that comes too late and changes nothing. */
  settle(position: number, code: string, baseOffset: number, leaderHint: number): void {
    if (this.#results[position] !== undefined) return;
    this.#results[position] = { code, baseOffset, leaderHint };
    this.#waitingFor -= 1;
    if (this.#waitingFor > 0) return;
    this.#onEnd();
    if (this.#exchange.open) this.#exchange.ok("produce", { parts: this.#results as ProduceResult[] });
  }

  giveUp(code: string): void {
    this.#results.forEach((result, position) => {
      if (result === undefined) this.settle(position, code, 0, 0);
    });
  }
}

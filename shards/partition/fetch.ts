/** FETCH requests: committed entries of several partitions in one answer, or a wait until there are some. */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { FetchPart, FetchRequest } from "../../src/wire/protocol.ts";
import type { FetchResult } from "../../src/wire/responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";
import { codeOfReadFailure } from "./read-failures.ts";

export class FetchService {
  readonly #runtime: Runtime;
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #open = new Set<OpenFetch>();

  constructor(runtime: Runtime, partitionOf: PartitionOf, missing: MissingShard) {
    this.#runtime = runtime;
    this.#partitionOf = partitionOf;
    this.#missing = missing;
  }

  handle(exchange: Exchange<FetchRequest>): void {
    const open = new OpenFetch(
      this.#runtime,
      exchange,
      this.#partitionOf,
      this.#missing,
      () => this.#open.delete(open),
    );
    this.#open.add(open);
    open.start();
  }

  close(): void {
    for (const open of [...this.#open]) open.expire();
  }
}

class OpenFetch {
  readonly #runtime: Runtime;
  readonly #exchange: Exchange<FetchRequest>;
  readonly #partitionOf: PartitionOf;
  readonly #missing: MissingShard;
  readonly #onEnd: () => void;
  readonly #unwatch: (() => void)[] = [];
  #timer: Timer | undefined;
  #expired = false;
  #ended = false;
  #gathering = false;
  /** Somebody asked for a look while one was under way. */
  #missed = false;
  #again = false;

  constructor(
    runtime: Runtime,
    exchange: Exchange<FetchRequest>,
    partitionOf: PartitionOf,
    missing: MissingShard,
    onEnd: () => void,
  ) {
    this.#runtime = runtime;
    this.#exchange = exchange;
    this.#partitionOf = partitionOf;
    this.#missing = missing;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#gather();
    if (this.#ended) return;
    for (const { shard } of this.#exchange.request.parts) {
      const partition = this.#partitionOf(shard);
      if (partition) this.#unwatch.push(partition.watchTail(() => this.#wake()));
    }
    this.#timer = this.#runtime.timers.after(this.#exchange.request.maxWaitMs, () => this.expire());
  }

  /** Answers with what there is. */
  expire(): void {
    this.#expired = true;
    this.#gather();
  }

  /** Several partitions may advance in one turn: they are looked at together at its end. */
  #wake(): void {
    if (this.#again || this.#ended) return;
    this.#again = true;
    this.#runtime.timers.defer(() => {
      this.#again = false;
      this.#gather();
    });
  }

  async #gather(): Promise<void> {
    this.#missed = this.#gathering;
    if (this.#gathering || this.#ended) return;
    if (!this.#exchange.open) return this.#end();
    this.#gathering = true;
    const { parts, bytesMax, bytesMin } = this.#exchange.request;
    const results: FetchResult[] = [];
    let gatheredBytes = 0;
    let decided = this.#expired;
    for (const part of parts) {
      const found = this.#look(part, bytesMax - gatheredBytes, gatheredBytes === 0);
      const result = found instanceof Promise ? await found : found;
      if (result.code !== "") decided = true;
      for (const chunk of result.chunks) gatheredBytes += chunk.length;
      results.push(result);
    }
    this.#gathering = false;
    if (this.#ended) return;
    if (!decided && gatheredBytes < bytesMin && !this.#expired) {
      // What came while the disk was read was not looked at.
      if (this.#missed) this.#wake();
      return;
    }
    this.#end();
    if (this.#exchange.open) this.#exchange.ok("fetch", { parts: results });
  }

  #look(part: FetchPart, bytesLeft: number, isFirst: boolean): FetchResult | Promise<FetchResult> {
    const partition = this.#partitionOf(part.shard);
    if (!partition) return { ...EMPTY, ...this.#missing(part.shard) };
    const { highWatermark, startOffset, leaderHint } = partition;
    const place = { ...EMPTY, highWatermark, startOffset, leaderHint };
    if (!partition.leads) return { ...place, code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER" };
    if (part.offset < startOffset || part.offset > highWatermark) return { ...place, code: "OFFSET_OUT_OF_RANGE" };
    if (part.offset === highWatermark || (bytesLeft <= 0 && !isFirst)) return place;
    const bytesMax = Math.max(1, Math.min(part.bytesMax, bytesLeft));
    const found = partition.read(part.offset, bytesMax);
    if (!(found instanceof Promise)) return { ...place, chunks: chunksOf(found) };
    return found.then(
      (entries) => ({ ...place, chunks: chunksOf(entries) }),
      (error: unknown) => ({ ...place, code: codeOfReadFailure(error, partition) }),
    );
  }

  #end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    for (const unwatch of this.#unwatch) unwatch();
    this.#onEnd();
  }
}

const EMPTY: FetchResult = { code: "", highWatermark: 0, startOffset: 0, leaderHint: 0, chunks: [] };

function chunksOf(entries: readonly Entry[]): Uint8Array[] {
  return entries.map((entry) => entry.bytes);
}

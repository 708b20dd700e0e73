/**
 * What one reader asks of this node, kept between its requests: so a reader of very many partitions names each of them
 * once, and then only what has changed (KIP-227). A partition that was asked for stays so until there is something to
 * say of it, and whoever wants more of it asks again. Each request is one answer to be given: the oldest first, when
 * something is there.
 */
import type { Entry } from "../../src/records/entry.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { FetchPart, FetchRequest } from "../../src/wire/protocol.ts";
import type { FetchResult } from "../../src/wire/responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import { Lease } from "./read-memory.ts";
import { codeOfReadFailure } from "./read-failures.ts";

/** What a fetch needs of a partition. */
export interface FetchSource {
  readonly leads: boolean;
  readonly highWatermark: number;
  readonly startOffset: number;
  /** Node id of the leader; 0 if not known. */
  readonly leaderHint: number;
  /** See `Partition`. */
  read(offset: number, bytesMax: number, lease: Lease): readonly Entry[] | Promise<readonly Entry[]>;
  watchTail(wake: () => void): () => void;
}

export interface FetchSessionOptions {
  readonly runtime: Runtime;
  readonly sourceOf: (shard: number) => FetchSource | undefined;
  readonly missing: (shard: number) => { readonly code: string; readonly leaderHint: number };
}

interface Asked {
  readonly part: FetchPart;
  /** Set once it was looked at and there was nothing, or too little. */
  unwatch: (() => void) | undefined;
}

/** A request that waits for its answer. */
interface Poll {
  readonly exchange: Exchange<FetchRequest>;
  timer: Timer | undefined;
  expired: boolean;
}

interface Found {
  readonly asked: Asked;
  readonly result: FetchResult;
}

interface Looked {
  readonly found: Found[];
  /** Of what was found, until it is sent. */
  readonly lease: Lease;
  bytes: number;
}

/** At once where everything is in memory. */
type Soon<T> = T | Promise<T>;

export class FetchSession {
  readonly #options: FetchSessionOptions;
  readonly #asked = new Map<number, Asked>();
  /** Asked for, and not here: to be said so, whatever comes to be here meanwhile; nobody has looked whether it may be read. */
  readonly #elsewhere = new Set<Asked>();
  /** Where something may have come since it was looked at; whoever was answered last is at the end. */
  readonly #due = new Set<Asked>();
  readonly #polls: Poll[] = [];
  #gathering = false;
  /** Somebody asked for a look while one was under way. */
  #missed = false;
  #scheduled = false;

  constructor(options: FetchSessionOptions) {
    this.#options = options;
  }

  /** Partitions that are asked for. */
  get size(): number {
    return this.#asked.size;
  }

  ask(exchange: Exchange<FetchRequest>): void {
    const { parts, dropped, maxWaitMs } = exchange.request;
    for (const shard of dropped) this.#drop(shard);
    for (const part of parts) this.#add(part);
    const poll: Poll = { exchange, timer: undefined, expired: false };
    this.#polls.push(poll);
    void this.#gather();
    if (!this.#polls.includes(poll)) return;
    poll.timer = this.#options.runtime.timers.after(maxWaitMs, () => {
      poll.expired = true;
      void this.#gather();
    });
  }

  /** Nothing is asked for any more; what waits is answered with what there is. */
  end(): void {
    for (const shard of [...this.#asked.keys()]) this.#drop(shard);
    for (const poll of this.#polls) poll.expired = true;
    void this.#gather();
  }

  #add(part: FetchPart): void {
    this.#drop(part.shard);
    const asked = { part, unwatch: undefined };
    this.#asked.set(part.shard, asked);
    if (this.#options.sourceOf(part.shard)) this.#due.add(asked);
    else this.#elsewhere.add(asked);
  }

  #drop(shard: number): void {
    const asked = this.#asked.get(shard);
    if (!asked) return;
    asked.unwatch?.();
    this.#asked.delete(shard);
    this.#due.delete(asked);
    this.#elsewhere.delete(asked);
  }

  /** Several partitions may advance in one turn: they are looked at together at its end. */
  #wake(asked: Asked): void {
    this.#due.add(asked);
    if (this.#scheduled || this.#polls.length === 0) return;
    this.#scheduled = true;
    this.#options.runtime.timers.endTurn(() => {
      this.#scheduled = false;
      void this.#gather();
    });
  }

  /** Answers what can be answered. */
  async #gather(): Promise<void> {
    this.#missed = true;
    if (this.#gathering) return;
    this.#gathering = true;
    while (this.#missed) {
      this.#missed = false;
      for (let poll = this.#next(); poll !== undefined; poll = this.#next()) {
        const looking = this.#look({ found: [], lease: new Lease(), bytes: 0 }, poll.exchange.request.bytesMax);
        const { found, lease, bytes } = looking instanceof Promise ? await looking : looking;
        if (!this.#isEnough(poll, found, bytes)) {
          lease.end();
          for (const one of found) this.#waitForMore(one);
          break;
        }
        this.#answer(poll, found, lease);
      }
    }
    this.#gathering = false;
  }

  /** There is too little of it for an answer. */
  #waitForMore({ asked, result }: Found): void {
    const { shard } = asked.part;
    const source = this.#options.sourceOf(shard);
    if (this.#asked.get(shard) !== asked) return;
    this.#due.add(asked);
    if (source === undefined) return;
    this.#watch(asked, source);
    // What came while the disk was read was told to nobody.
    if (source.highWatermark > result.highWatermark) this.#missed = true;
  }

  #watch(asked: Asked, source: FetchSource): void {
    asked.unwatch?.();
    asked.unwatch = source.watchTail(() => this.#wake(asked));
  }

  #next(): Poll | undefined {
    while (this.#polls.length > 0 && !this.#polls[0]!.exchange.open) this.#remove(this.#polls[0]!);
    return this.#polls.find(({ expired }) => expired) ?? this.#polls[0];
  }

  #look(looked: Looked, bytesMax: number): Soon<Looked> {
    for (const asked of this.#elsewhere) {
      this.#elsewhere.delete(asked);
      this.#take(looked, asked, this.#notHere(asked));
    }
    for (const asked of this.#due) {
      if (looked.bytes > 0 && looked.bytes >= bytesMax) break;
      this.#due.delete(asked);
      const result = this.#lookAt(asked, bytesMax - looked.bytes, looked.lease);
      if (result instanceof Promise) {
        return result.then((later) => this.#look(this.#take(looked, asked, later), bytesMax));
      }
      this.#take(looked, asked, result);
    }
    return looked;
  }

  /** Unless it was asked for anew, or dropped, while the disk was read. */
  #take(looked: Looked, asked: Asked, result: FetchResult | undefined): Looked {
    if (result && this.#asked.get(asked.part.shard) === asked) {
      looked.found.push({ asked, result });
      for (const chunk of result.chunks) looked.bytes += chunk.length;
    }
    return looked;
  }

  /** Undefined: nothing, and somebody watches. */
  #lookAt(asked: Asked, bytesLeft: number, lease: Lease): Soon<FetchResult | undefined> {
    const { shard, offset, bytesMax } = asked.part;
    const source = this.#options.sourceOf(shard);
    if (!source) return this.#notHere(asked);
    const { highWatermark, startOffset, leaderHint } = source;
    const place = { shard, offset, code: "", highWatermark, startOffset, leaderHint, chunks: [] };
    if (!source.leads) return { ...place, code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER" };
    if (offset < startOffset || offset > highWatermark) return { ...place, code: "OFFSET_OUT_OF_RANGE" };
    if (offset === highWatermark) {
      this.#watch(asked, source);
      return undefined;
    }
    const read = source.read(offset, Math.max(1, Math.min(bytesMax, bytesLeft)), lease);
    if (!(read instanceof Promise)) return { ...place, chunks: chunksOf(read) };
    return read.then(
      (entries) => ({ ...place, chunks: chunksOf(entries) }),
      (error: unknown) => ({ ...place, code: codeOfReadFailure(error, source) }),
    );
  }

  #notHere({ part: { shard, offset } }: Asked): FetchResult {
    return { shard, offset, ...NOWHERE, ...this.#options.missing(shard) };
  }

  #isEnough({ exchange, expired }: Poll, found: readonly Found[], bytes: number): boolean {
    if (expired) return true;
    return bytes >= Math.max(1, exchange.request.bytesMin) || found.some(({ result }) => result.code !== "");
  }

  #answer(poll: Poll, found: readonly Found[], lease: Lease): void {
    this.#remove(poll);
    const current = found.filter(({ asked }) => this.#asked.get(asked.part.shard) === asked);
    for (const { asked } of current) this.#drop(asked.part.shard);
    if (!poll.exchange.open) return lease.end();
    poll.exchange.ok("fetch", { parts: current.map(({ result }) => result) }, () => lease.end());
  }

  #remove(poll: Poll): void {
    poll.timer?.cancel();
    this.#polls.splice(this.#polls.indexOf(poll), 1);
  }
}

const NOWHERE = { highWatermark: 0, startOffset: 0, chunks: [] };

function chunksOf(entries: readonly Entry[]): Uint8Array[] {
  return entries.map((entry) => entry.bytes);
}

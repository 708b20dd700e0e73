/**
 * A set of offsets that are close together, in chunks of 4,096, and nothing where there are none. A scattered record costs
 * a bit, records in a row cost nothing each, and what is done with whole sets is done a word at a time.
 */
import { CHUNK_OFFSETS, OffsetChunk } from "./offset-chunk.ts";

/** Invariant: a chunk in the map has at least one member, and `#order` has its number, ascending. */
export class OffsetSet {
  readonly #chunks = new Map<number, OffsetChunk>();
  readonly #order: number[] = [];
  #size = 0;

  /** `start` to `end`, the latter excluded. */
  static of(start: number, end: number): OffsetSet {
    const set = new OffsetSet();
    set.add(start, end);
    return set;
  }

  get size(): number {
    return this.#size;
  }

  /** How many chunks of 4,096 it has members in. */
  get chunkCount(): number {
    return this.#order.length;
  }

  /** After its last member; 0 if it is empty. */
  get end(): number {
    const last = this.#order.at(-1);
    if (last === undefined) return 0;
    const chunk = this.#chunks.get(last)!;
    let end = 0;
    for (let at = chunk.nextIn(0); at < CHUNK_OFFSETS; at = chunk.nextIn(end)) end = chunk.nextOut(at);
    return last * CHUNK_OFFSETS + end;
  }

  has(offset: number): boolean {
    return this.#chunks.get(Math.floor(offset / CHUNK_OFFSETS))?.has(offset % CHUNK_OFFSETS) ?? false;
  }

  /** Adds `start` to `end`, the latter excluded; returns how many were not in it. */
  add(start: number, end: number): number {
    let added = 0;
    for (let at = start; at < end;) {
      const number = Math.floor(at / CHUNK_OFFSETS);
      const base = number * CHUNK_OFFSETS;
      const to = Math.min(end, base + CHUNK_OFFSETS);
      const chunk = this.#chunks.get(number);
      if (chunk === undefined) {
        this.#insert(number, new OffsetChunk(at - base, to - base));
        added += to - at;
      } else added += chunk.add(at - base, to - base);
      at = to;
    }
    this.#size += added;
    return added;
  }

  /** Removes `start` to `end`, the latter excluded; returns how many were in it. */
  remove(start: number, end: number): number {
    let removed = 0;
    for (let position = this.#positionOf(Math.floor(start / CHUNK_OFFSETS)); position < this.#order.length;) {
      const number = this.#order[position]!;
      const base = number * CHUNK_OFFSETS;
      if (base >= end) break;
      const chunk = this.#chunks.get(number)!;
      removed += chunk.remove(Math.max(0, start - base), Math.min(CHUNK_OFFSETS, end - base));
      if (chunk.count > 0) position += 1;
      else this.#deleteAt(position);
    }
    this.#size -= removed;
    return removed;
  }

  /** Returns how many were not in it. */
  addAll(other: OffsetSet): number {
    let added = 0;
    for (const number of other.#order) {
      const from = other.#chunks.get(number)!;
      const chunk = this.#chunks.get(number);
      if (chunk !== undefined) added += chunk.addAll(from);
      else {
        this.#insert(number, from.clone());
        added += from.count;
      }
    }
    this.#size += added;
    return added;
  }

  /** Adds whole chunks; it has none of them. `number`: of the chunk. */
  addChunk(number: number, chunk: OffsetChunk): void {
    if (chunk.count === 0) return;
    this.#insert(number, chunk);
    this.#size += chunk.count;
  }

  /** Takes out what is also in `wanted`, and returns it. */
  take(wanted: OffsetSet): OffsetSet {
    const taken = new OffsetSet();
    for (const number of wanted.#order) {
      const chunk = this.#chunks.get(number);
      const common = chunk?.take(wanted.#chunks.get(number)!);
      if (common === undefined) continue;
      taken.addChunk(number, common);
      if (chunk!.count === 0) this.#deleteAt(this.#positionOf(number));
    }
    this.#size -= taken.#size;
    return taken;
  }

  /** A copy of what it has of `start` to `end`, the latter excluded. */
  slice(start: number, end = Infinity): OffsetSet {
    const copy = new OffsetSet();
    for (
      let position = this.#positionOf(Math.floor(start / CHUNK_OFFSETS));
      position < this.#order.length;
      position++
    ) {
      const number = this.#order[position]!;
      const base = number * CHUNK_OFFSETS;
      if (base >= end) break;
      const chunk = this.#chunks.get(number)!.clone();
      if (start > base) chunk.remove(0, start - base);
      if (end < base + CHUNK_OFFSETS) chunk.remove(end - base, CHUNK_OFFSETS);
      copy.addChunk(number, chunk);
    }
    return copy;
  }

  /** Removes all but the first `count`. */
  keepFirst(count: number): void {
    let left = count;
    for (const number of this.#order) {
      const chunk = this.#chunks.get(number)!;
      if (chunk.count <= left) {
        left -= chunk.count;
        continue;
      }
      let at = 0;
      for (; left > 0; left--) at = chunk.nextIn(at) + 1;
      this.remove(number * CHUNK_OFFSETS + at, Infinity);
      return;
    }
  }

  clear(): void {
    this.#chunks.clear();
    this.#order.length = 0;
    this.#size = 0;
  }

  /** The first member at `from` or after it that is not in `except`; Infinity if there is none. */
  nextIn(from: number, except?: OffsetSet): number {
    const first = Math.floor(from / CHUNK_OFFSETS);
    for (let position = this.#positionOf(first); position < this.#order.length; position++) {
      const number = this.#order[position]!;
      const base = number * CHUNK_OFFSETS;
      const chunk = this.#chunks.get(number)!;
      const others = except === undefined ? undefined : except.#chunks.get(number);
      const start = Math.max(0, from - base);
      const at = others === undefined ? chunk.nextIn(start) : chunk.nextInBut(start, others);
      if (at < CHUNK_OFFSETS) return base + at;
    }
    return Infinity;
  }

  /** The first offset at `from` or after it that is no member; `limit` if there is none before it. */
  nextOut(from: number, limit = Infinity): number {
    for (let at = from;;) {
      if (at >= limit) return limit;
      const number = Math.floor(at / CHUNK_OFFSETS);
      const chunk = this.#chunks.get(number);
      if (chunk === undefined) return at;
      const base = number * CHUNK_OFFSETS;
      const out = chunk.nextOut(at - base);
      if (out < CHUNK_OFFSETS) return Math.min(base + out, limit);
      at = base + CHUNK_OFFSETS;
    }
  }

  /** Its members in a row, ascending: from `start` to `end`, the latter excluded. */
  *ranges(): Generator<readonly [start: number, end: number]> {
    for (let at = this.nextIn(0); at < Infinity;) {
      const end = this.nextOut(at);
      yield [at, end];
      at = this.nextIn(end);
    }
  }

  /** Its chunks, ascending. */
  *chunks(): Generator<readonly [number: number, chunk: OffsetChunk]> {
    for (const number of this.#order) yield [number, this.#chunks.get(number)!];
  }

  #insert(number: number, chunk: OffsetChunk): void {
    this.#chunks.set(number, chunk);
    const position = this.#positionOf(number);
    if (position === this.#order.length) this.#order.push(number);
    else this.#order.splice(position, 0, number);
  }

  #deleteAt(position: number): void {
    this.#chunks.delete(this.#order[position]!);
    this.#order.splice(position, 1);
  }

  /** Where in the order a chunk is, or would be. Most are the last. */
  #positionOf(number: number): number {
    const order = this.#order;
    let low = 0;
    let high = order.length;
    if (high > 0 && order[high - 1]! < number) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The index of one group's entries in one file: runs, ascending and without gaps, eight numbers each in one array.
 *
 * An exact run is a byte range that holds nothing but its entries. Small writes of a group share a run: a stretch of
 * the file in which its entries are found by walking the tables of the blocks. So memory follows the bytes of the log
 * (72 bytes for 16 KiB to 128 KiB of a group, or for 1 MiB of the file), not the number of entries.
 */
import type { LogLimits } from "./limits.ts";
import type { PlacedRun } from "./record.ts";

export interface Run {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly firstOffset: number;
  readonly maxTimestampMs: number;
  /** Of its entries; also of those behind `lastIndex` that were cut off. */
  readonly bytes: number;
  /** The block that holds the first entry. */
  readonly blockPosition: number;
  /** The first entry. */
  readonly position: number;
  /** Behind the last entry that was put into it. */
  readonly end: number;
  readonly walk: boolean;
}

const FIELDS = 9;
const FIRST_INDEX = 0;
const LAST_INDEX = 1;
const FIRST_OFFSET = 2;
const MAX_TIMESTAMP = 3;
const BYTES = 4;
const BLOCK_POSITION = 5;
const POSITION = 6;
const END = 7;
const FLAGS = 8;
const WALK = 1;
/** Its end was cut off: nothing may be added to it. */
const CLOSED = 2;

export const RUN_BYTES = FIELDS * 8;

type Sizes = Pick<LogLimits, "sparseBelowBytes" | "sparseSpanBytes" | "runBytesMax">;

export class RunTable {
  #rows: Float64Array;
  #count: number;

  /** `rows` as given by {@link toBytes}. */
  constructor(rows: Float64Array = new Float64Array(0)) {
    this.#rows = rows;
    this.#count = rows.length / FIELDS;
  }

  get count(): number {
    return this.#count;
  }

  get firstIndex(): number {
    return this.#count === 0 ? 0 : this.#rows[FIRST_INDEX]!;
  }

  get lastIndex(): number {
    return this.#count === 0 ? 0 : this.#rows[(this.#count - 1) * FIELDS + LAST_INDEX]!;
  }

  get firstOffset(): number {
    return this.#count === 0 ? 0 : this.#rows[FIRST_OFFSET]!;
  }

  at(row: number): Run {
    const rows = this.#rows;
    const base = row * FIELDS;
    return {
      firstIndex: rows[base + FIRST_INDEX]!,
      lastIndex: rows[base + LAST_INDEX]!,
      firstOffset: rows[base + FIRST_OFFSET]!,
      maxTimestampMs: rows[base + MAX_TIMESTAMP]!,
      bytes: rows[base + BYTES]!,
      blockPosition: rows[base + BLOCK_POSITION]!,
      position: rows[base + POSITION]!,
      end: rows[base + END]!,
      walk: (rows[base + FLAGS]! & WALK) !== 0,
    };
  }

  /** The row that holds `index`: the last one that begins at or before it; -1 if all begin later. */
  rowOfIndex(index: number): number {
    return this.#lastRowUpTo(FIRST_INDEX, index);
  }

  /** The last row whose first offset is at or before `offset`; -1 if none. */
  rowOfOffset(offset: number): number {
    return this.#lastRowUpTo(FIRST_OFFSET, offset);
  }

  /** The first row with an entry that young; `count` if none. */
  rowOfTime(timestampMs: number): number {
    let row = 0;
    while (row < this.#count && this.#rows[row * FIELDS + MAX_TIMESTAMP]! < timestampMs) row++;
    return row;
  }

  get bytes(): number {
    return this.#sum(BYTES);
  }

  get maxTimestampMs(): number {
    let max = 0;
    for (let row = 0; row < this.#count; row++) max = Math.max(max, this.#rows[row * FIELDS + MAX_TIMESTAMP]!);
    return max;
  }

  add(run: PlacedRun, blockPosition: number, sizes: Sizes): void {
    if (this.#extend(run, sizes)) return;
    const base = this.#count * FIELDS;
    if (base === this.#rows.length) {
      const larger = new Float64Array(Math.max(2 * FIELDS, 2 * base));
      larger.set(this.#rows);
      this.#rows = larger;
    }
    const rows = this.#rows;
    rows[base + FIRST_INDEX] = run.firstIndex;
    rows[base + LAST_INDEX] = run.lastIndex;
    rows[base + FIRST_OFFSET] = run.firstOffset;
    rows[base + MAX_TIMESTAMP] = run.maxTimestampMs;
    rows[base + BYTES] = run.bytes;
    rows[base + BLOCK_POSITION] = blockPosition;
    rows[base + POSITION] = run.position;
    rows[base + END] = run.position + run.bytes;
    rows[base + FLAGS] = 0;
    this.#count++;
  }

  /** Entries from `index` on are gone. */
  truncateFrom(index: number): void {
    if (this.#count === 0 || index > this.lastIndex) return;
    const row = this.rowOfIndex(index);
    const whole = row < 0 || this.#rows[row * FIELDS + FIRST_INDEX] === index;
    this.#count = whole ? Math.max(0, row) : row + 1;
    if (this.#count === 0) return;
    // Whoever walks the blocks of this run must not meet what was cut off behind it: it may not grow over that.
    const last = (this.#count - 1) * FIELDS;
    this.#rows[last + LAST_INDEX] = Math.min(this.#rows[last + LAST_INDEX]!, index - 1);
    this.#rows[last + FLAGS]! |= CLOSED;
  }

  clear(): void {
    this.#count = 0;
  }

  /** A view of the rows' bytes, in the byte order of all platforms that are supported (little-endian). */
  toBytes(): Uint8Array {
    return new Uint8Array(this.#rows.buffer, this.#rows.byteOffset, this.#count * RUN_BYTES);
  }

  /** Puts a small write into the last run, if the two lie near each other. */
  #extend(run: PlacedRun, sizes: Sizes): boolean {
    if (this.#count === 0 || run.bytes >= sizes.sparseBelowBytes) return false;
    const rows = this.#rows;
    const base = (this.#count - 1) * FIELDS;
    const end = run.position + run.bytes;
    const fits = (rows[base + FLAGS]! & CLOSED) === 0 && rows[base + LAST_INDEX]! + 1 === run.firstIndex &&
      rows[base + BYTES]! + run.bytes <= sizes.runBytesMax / 2 &&
      end - rows[base + BLOCK_POSITION]! <= sizes.sparseSpanBytes;
    if (!fits) return false;
    if (rows[base + END] !== run.position) rows[base + FLAGS]! |= WALK;
    rows[base + LAST_INDEX] = run.lastIndex;
    rows[base + MAX_TIMESTAMP] = Math.max(rows[base + MAX_TIMESTAMP]!, run.maxTimestampMs);
    rows[base + BYTES]! += run.bytes;
    rows[base + END] = end;
    return true;
  }

  #lastRowUpTo(field: number, value: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#rows[middle * FIELDS + field]! <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #sum(field: number): number {
    let sum = 0;
    for (let row = 0; row < this.#count; row++) sum += this.#rows[row * FIELDS + field]!;
    return sum;
  }
}

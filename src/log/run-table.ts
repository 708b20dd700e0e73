/**
 * The index of one group's entries in one file.
 *
 * A piece is a byte range that holds entries of the group, back to back, and nothing else. A run is one piece of up to
 * `runBytesMax`, or up to `PIECES_MAX` small ones that lie scattered among other groups' entries; it knows the first
 * offset and the latest time in it. So memory follows the writes of a group (12 bytes for a small one, 60 for one of
 * `sparseBelowBytes` or more, whatever the number of its entries), and only that of the current file: a sealed file has
 * its index on disk.
 */
import type { LogLimits } from "./limits.ts";
import type { PlacedRun } from "./record.ts";

export interface Run {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly firstOffset: number;
  readonly maxTimestampMs: number;
  readonly pieces: readonly Piece[];
}

export interface Piece {
  readonly firstIndex: number;
  /** Entries behind it may follow in the same bytes: they were cut off. */
  readonly lastIndex: number;
  readonly position: number;
  readonly bytes: number;
}

/** A run: six numbers. */
const FIELDS = 6;
const FIRST_INDEX = 0;
const LAST_INDEX = 1;
const FIRST_OFFSET = 2;
const MAX_TIMESTAMP = 3;
const BYTES = 4;
const FIRST_PIECE = 5;
export const RUN_BYTES = FIELDS * 8;

/** A piece: three u32, so a file ends below 4 GiB. Its first index is counted from its run's. */
const PIECE_FIELDS = 3;
const PIECE_POSITION = 0;
const PIECE_LENGTH = 1;
const PIECE_INDEX = 2;
export const PIECE_BYTES = PIECE_FIELDS * 4;
const POSITION_MAX = 2 ** 32 - 1;

/** A seek reads one run: so many small reads at most. */
const PIECES_MAX = 64;

type Sizes = Pick<LogLimits, "sparseBelowBytes" | "runBytesMax">;

export class RunTable {
  #runs: Float64Array;
  #count: number;
  #pieces: Uint32Array;
  #pieceCount: number;

  /** As given by `runBytes` and `pieceBytes`. */
  constructor(runs: Float64Array = new Float64Array(0), pieces: Uint32Array = new Uint32Array(0)) {
    this.#runs = runs;
    this.#count = runs.length / FIELDS;
    this.#pieces = pieces;
    this.#pieceCount = pieces.length / PIECE_FIELDS;
  }

  get count(): number {
    return this.#count;
  }

  get pieceCount(): number {
    return this.#pieceCount;
  }

  get firstIndex(): number {
    return this.#count === 0 ? 0 : this.#runs[FIRST_INDEX]!;
  }

  get lastIndex(): number {
    return this.#count === 0 ? 0 : this.#runs[(this.#count - 1) * FIELDS + LAST_INDEX]!;
  }

  get firstOffset(): number {
    return this.#count === 0 ? 0 : this.#runs[FIRST_OFFSET]!;
  }

  /** Of all entries that were put into it and not cut off by whole runs. */
  get bytes(): number {
    let bytes = 0;
    for (let row = 0; row < this.#count; row++) bytes += this.#runs[row * FIELDS + BYTES]!;
    return bytes;
  }

  get maxTimestampMs(): number {
    let max = 0;
    for (let row = 0; row < this.#count; row++) max = Math.max(max, this.maxTimestampOf(row));
    return max;
  }

  bytesOf(row: number): number {
    return this.#runs[row * FIELDS + BYTES]!;
  }

  firstIndexOf(row: number): number {
    return this.#runs[row * FIELDS + FIRST_INDEX]!;
  }

  firstOffsetOf(row: number): number {
    return this.#runs[row * FIELDS + FIRST_OFFSET]!;
  }

  maxTimestampOf(row: number): number {
    return this.#runs[row * FIELDS + MAX_TIMESTAMP]!;
  }

  /** A copy, with its pieces. */
  at(row: number): Run {
    const runs = this.#runs;
    const base = row * FIELDS;
    const firstIndex = runs[base + FIRST_INDEX]!;
    const lastIndex = runs[base + LAST_INDEX]!;
    const pieces: Piece[] = [];
    let next = lastIndex;
    for (let piece = this.#endOfPieces(row) - 1; piece >= runs[base + FIRST_PIECE]!; piece--) {
      const at = piece * PIECE_FIELDS;
      const first = firstIndex + this.#pieces[at + PIECE_INDEX]!;
      pieces.push({
        firstIndex: first,
        lastIndex: next,
        position: this.#pieces[at + PIECE_POSITION]!,
        bytes: this.#pieces[at + PIECE_LENGTH]!,
      });
      next = first - 1;
    }
    pieces.reverse();
    return {
      firstIndex,
      lastIndex,
      firstOffset: runs[base + FIRST_OFFSET]!,
      maxTimestampMs: runs[base + MAX_TIMESTAMP]!,
      pieces,
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

  add(run: PlacedRun, sizes: Sizes): void {
    if (run.position + run.bytes > POSITION_MAX) throw new Error(`byte ${run.position} is beyond what a file may hold`);
    if (this.#extend(run, sizes)) return;
    const base = this.#count * FIELDS;
    if (base === this.#runs.length) {
      const larger = new Float64Array(Math.max(2 * FIELDS, 2 * base));
      larger.set(this.#runs);
      this.#runs = larger;
    }
    const runs = this.#runs;
    runs[base + FIRST_INDEX] = run.firstIndex;
    runs[base + LAST_INDEX] = run.lastIndex;
    runs[base + FIRST_OFFSET] = run.firstOffset;
    runs[base + MAX_TIMESTAMP] = run.maxTimestampMs;
    runs[base + BYTES] = run.bytes;
    runs[base + FIRST_PIECE] = this.#pieceCount;
    this.#count++;
    this.#addPiece(run, 0);
  }

  /** Entries from `index` on are gone. */
  truncateFrom(index: number): void {
    if (this.#count === 0 || index > this.lastIndex) return;
    while (this.#count > 0 && this.firstIndexOf(this.#count - 1) >= index) {
      this.#count--;
      this.#pieceCount = this.#runs[this.#count * FIELDS + FIRST_PIECE]!;
    }
    if (this.#count === 0) return;
    const base = (this.#count - 1) * FIELDS;
    if (this.#runs[base + LAST_INDEX]! < index) return;
    this.#runs[base + LAST_INDEX] = index - 1;
    const cut = index - this.#runs[base + FIRST_INDEX]!;
    while (this.#pieces[(this.#pieceCount - 1) * PIECE_FIELDS + PIECE_INDEX]! >= cut) this.#pieceCount--;
  }

  clear(): void {
    this.#count = 0;
    this.#pieceCount = 0;
  }

  /** A view, in the byte order of all platforms that are supported (little-endian). */
  runBytes(): Uint8Array {
    return new Uint8Array(this.#runs.buffer, this.#runs.byteOffset, this.#count * RUN_BYTES);
  }

  /** A view, as {@link runBytes}. */
  pieceBytes(): Uint8Array {
    return new Uint8Array(this.#pieces.buffer, this.#pieces.byteOffset, this.#pieceCount * PIECE_BYTES);
  }

  /** Puts a small write into the last run. */
  #extend(run: PlacedRun, sizes: Sizes): boolean {
    if (this.#count === 0 || run.bytes >= sizes.sparseBelowBytes) return false;
    const runs = this.#runs;
    const base = (this.#count - 1) * FIELDS;
    const fits = runs[base + LAST_INDEX]! + 1 === run.firstIndex &&
      runs[base + BYTES]! + run.bytes <= sizes.runBytesMax / 2 &&
      this.#pieceCount - runs[base + FIRST_PIECE]! < PIECES_MAX;
    if (!fits) return false;
    runs[base + LAST_INDEX] = run.lastIndex;
    if (run.maxTimestampMs > runs[base + MAX_TIMESTAMP]!) runs[base + MAX_TIMESTAMP] = run.maxTimestampMs;
    runs[base + BYTES]! += run.bytes;
    this.#addPiece(run, run.firstIndex - runs[base + FIRST_INDEX]!);
    return true;
  }

  #addPiece(run: PlacedRun, index: number): void {
    const at = this.#pieceCount * PIECE_FIELDS;
    if (at === this.#pieces.length) {
      const larger = new Uint32Array(Math.max(2 * PIECE_FIELDS, 2 * at));
      larger.set(this.#pieces);
      this.#pieces = larger;
    }
    this.#pieces[at + PIECE_POSITION] = run.position;
    this.#pieces[at + PIECE_LENGTH] = run.bytes;
    this.#pieces[at + PIECE_INDEX] = index;
    this.#pieceCount++;
  }

  #endOfPieces(row: number): number {
    return row + 1 < this.#count ? this.#runs[(row + 1) * FIELDS + FIRST_PIECE]! : this.#pieceCount;
  }

  #lastRowUpTo(field: number, value: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle * FIELDS + field]! <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

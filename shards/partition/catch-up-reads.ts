/**
 * Reads of what is no longer in memory, for consumers that are behind. In pieces of a size that suits the disk, the next
 * one fetched while the one before is on its way to the reader; several readers of the same place share them. Bounded
 * for the whole node, and apart from the tail cache: whoever reads old data takes nothing from those who read new data.
 */
import type { GroupId, Log } from "../../src/log/types.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { type Lease, ReadMemory, type Slab } from "./read-memory.ts";
import { sleep } from "../../src/runtime/sleep.ts";

/** Fetched at a time. */
const PIECE_BYTES = 512 * 1024;
/** How fast old data is read while producers wait for this node: what they need comes first. */
const BUSY_BYTES_PER_SECOND = 8 * 1024 * 1024;
/** Kept of all groups together, at most; a piece ends with a whole entry, and may be longer by one. */
const KEPT_PIECES_MAX = 32;
/** Of a group, beyond the one that is being served: some are on their way from the disk while another waits. */
const AHEAD_PIECES_MAX = 3;

interface Piece {
  readonly group: GroupId;
  readonly fromIndex: number;
  readonly entries: Promise<readonly Entry[]>;
  readonly slab: Slab;
  /** When they are here. */
  loaded: readonly Entry[] | undefined;
}

export interface CatchUpOptions {
  readonly runtime: Runtime;
  readonly log: Log;
  /** Whether producers wait for this node. */
  readonly isBusy: () => boolean;
}

export class CatchUpReads {
  readonly #options: CatchUpOptions;
  readonly #log: Log;
  /** While it is busy: when the next piece may be read, monotonic ms. */
  #nextMs = 0;
  /** Used longest ago first. Each holds its slab. */
  readonly #pieces = new Set<Piece>();
  readonly #memory = new ReadMemory();

  constructor(options: CatchUpOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /**
   * Whole entries from the one that holds `offset` on, up to `toIndex`, at least one if there is any, until `bytesMax`.
   * With a `lease` they are good until it ends, and their memory is used again then.
   * @throws {LogError}
   */
  async read(group: GroupId, offset: number, toIndex: number, bytesMax: number, lease?: Lease): Promise<Entry[]> {
    let piece = this.#pieceWith(group, offset);
    if (!piece) {
      const index = await this.#log.seekOffset(group, offset);
      if (index > toIndex) return [];
      piece = this.#pieceFrom(group, index, toIndex);
    }
    for (;;) {
      this.#touch(piece);
      if (lease) lease.hold(piece.slab);
      else piece.slab.keep();
      const entries = await piece.entries;
      const first = entries.findIndex((entry) => entry.nextOffset > offset);
      const next = entries.at(-1)!.index + 1;
      if (first >= 0) {
        this.#ahead(group, next, toIndex, this.#roomAhead);
        return taken(entries, first, toIndex, bytesMax);
      }
      // Nothing but entries without records.
      if (next > toIndex) return [];
      piece = this.#pieceFrom(group, next, toIndex);
    }
  }

  /** Pieces ahead of each reader. With more than this some would be gone before they are wanted. */
  get #roomAhead(): number {
    const groups = new Set<GroupId>();
    for (const { group } of this.#pieces) groups.add(group);
    return Math.min(AHEAD_PIECES_MAX, Math.floor(KEPT_PIECES_MAX / groups.size) - 1);
  }

  /** One that is here and has the offset, or that comes next after one that is here. */
  #pieceWith(group: GroupId, offset: number): Piece | undefined {
    let before: Entry | undefined;
    for (const { group: other, loaded } of this.#pieces) {
      const last = loaded?.at(-1);
      if (other === group && last?.nextOffset === offset) before = last;
    }
    for (const piece of this.#pieces) {
      if (piece.group !== group) continue;
      if (before && piece.fromIndex === before.index + 1) return piece;
      const { loaded } = piece;
      if (loaded && loaded[0]!.baseOffset <= offset && loaded.at(-1)!.nextOffset > offset) return piece;
    }
    return undefined;
  }

  #pieceFrom(group: GroupId, fromIndex: number, toIndex: number): Piece {
    for (const piece of this.#pieces) if (piece.group === group && piece.fromIndex === fromIndex) return piece;
    const slab = this.#memory.slab();
    const entries = this.#readPiece(group, fromIndex, toIndex, slab);
    const piece: Piece = { group, fromIndex, entries, slab, loaded: undefined };
    entries.then((loaded) => piece.loaded = loaded, () => this.#drop(piece));
    this.#pieces.add(piece);
    return piece;
  }

  async #readPiece(group: GroupId, fromIndex: number, toIndex: number, slab: Slab): Promise<readonly Entry[]> {
    // Bytes may come from the disk when nobody wants the piece any more.
    slab.hold();
    try {
      await this.#turn();
      return await this.#log.read(group, fromIndex, toIndex, PIECE_BYTES, (byteLength) => slab.take(byteLength));
    } finally {
      slab.letGo();
    }
  }

  /** While producers wait, this resolves only so often. */
  async #turn(): Promise<void> {
    const { runtime, isBusy } = this.#options;
    if (!isBusy()) return;
    const nowMs = runtime.clock.monotonicMs();
    this.#nextMs = Math.max(this.#nextMs, nowMs) + PIECE_BYTES * 1000 / BUSY_BYTES_PER_SECOND;
    if (this.#nextMs - nowMs >= 1) await sleep(runtime, this.#nextMs - nowMs);
  }

  /** Nobody waits for it yet: what goes wrong with it, its reader will hear when it reads. */
  #ahead(group: GroupId, fromIndex: number, toIndex: number, pieces: number): void {
    if (pieces <= 0 || fromIndex > toIndex) return;
    const piece = this.#pieceFrom(group, fromIndex, toIndex);
    // It is wanted later than the one that is being served, and so goes later.
    this.#touch(piece);
    piece.entries.then((loaded) => this.#ahead(group, loaded.at(-1)!.index + 1, toIndex, pieces - 1), () => {});
  }

  #touch(piece: Piece): void {
    this.#pieces.delete(piece);
    this.#pieces.add(piece);
    this.#evict();
  }

  #evict(): void {
    for (const oldest of this.#pieces) {
      if (this.#pieces.size <= KEPT_PIECES_MAX) return;
      this.#drop(oldest);
    }
  }

  #drop(piece: Piece): void {
    if (this.#pieces.delete(piece)) piece.slab.letGo();
  }
}

function taken(entries: readonly Entry[], first: number, toIndex: number, bytesMax: number): Entry[] {
  const found: Entry[] = [];
  let bytes = 0;
  for (let at = first; at < entries.length && entries[at]!.index <= toIndex; at++) {
    bytes += entries[at]!.byteLength;
    if (found.length > 0 && bytes > bytesMax) break;
    found.push(entries[at]!);
  }
  return found;
}

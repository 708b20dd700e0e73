/** One simulated file: what a reader sees, what is on the platter, and the changes in between. */
import type { Random } from "../../src/runtime/runtime.ts";
import { PAGE_BYTES, PagedBytes } from "./disk-pages.ts";

/**
 * What of the changes that were not synced survives a loss of power: `none`, `all`, a `prefix` in the order they were
 * made (the last one cut), a random `subset` of them, or of the pieces that they consist of (`torn`).
 */
export type Survival = "none" | "all" | "prefix" | "subset" | "torn";

export const SURVIVALS: readonly Survival[] = ["none", "all", "prefix", "subset", "torn"];

export type Change =
  | { readonly kind: "write"; readonly chunks: readonly Uint8Array[]; readonly position: number }
  | { readonly kind: "truncate"; readonly size: number };

export class SimulatedFile {
  #current = new PagedBytes();
  /** The same object while nothing is unsynced. */
  #durable = this.#current;
  #unsynced: Change[] = [];
  /** Changes that were asked for and are not done. */
  readonly #underWay = new Set<Change>();
  /** A sync failed: what readers see is not what is on the platter, and never will be. */
  #forsaken = false;
  /** Pages that cannot be read. */
  readonly #unreadable = new Set<number>();

  get size(): number {
    return this.#current.size;
  }

  get allocatedBytes(): number {
    return this.#current.allocatedBytes;
  }

  newBytes(position: number, length: number): number {
    return length === 0 ? 0 : this.#current.newBytes(position, length);
  }

  read(into: Uint8Array, position: number): number {
    return this.#current.read(into, position);
  }

  begin(change: Change): void {
    this.#underWay.add(change);
  }

  /** The change is done; `durable`: and on the platter. */
  finish(change: Change, durable: boolean): void {
    this.#underWay.delete(change);
    if (durable) {
      // What was changed before in the same file goes with it: a file system keeps the order of sizes and overlaps.
      this.synced(this.#unsynced.length);
      if (this.#durable !== this.#current) apply(this.#durable, change);
      apply(this.#current, change);
      return;
    }
    if (this.#durable === this.#current) this.#durable = this.#current.copy();
    apply(this.#current, change);
    this.#unsynced.push(owned(change));
  }

  /** The change failed; `done`: a part of it was made. */
  fail(change: Change, done: Change | undefined): void {
    this.#underWay.delete(change);
    if (done) this.finish(done, false);
  }

  /** How many changes a sync that begins now will make durable. */
  get unsyncedCount(): number {
    return this.#unsynced.length;
  }

  synced(count: number): void {
    const changes = this.#unsynced.splice(0, count);
    if (this.#unsynced.length === 0 && !this.#forsaken) this.#durable = this.#current;
    else for (const change of changes) apply(this.#durable, change);
  }

  /** A sync failed: the system takes the pages for clean, and no later sync will write them. */
  forsake(count: number): void {
    if (count > 0) this.#forsaken = true;
    this.#unsynced.splice(0, count);
  }

  /** The process is gone, the machine lives: what it was writing is there, or the beginning of it, or nothing. */
  kill(random: Random): void {
    for (const change of this.#underWay) {
      const done = cut(change, random.next(), PAGE_BYTES);
      if (done) this.finish(done, false);
    }
    this.#underWay.clear();
  }

  /** Power is lost. `pieceBytes`: what the disk writes whole. */
  crash(survival: Survival, pieceBytes: number, random: Random): void {
    const changes = [...this.#unsynced, ...this.#underWay];
    this.#unsynced = [];
    this.#underWay.clear();
    this.#forsaken = false;
    for (const change of surviving(changes, survival, pieceBytes, random)) apply(this.#durable, change);
    this.#current = this.#durable;
  }

  /** A latent sector error: reads that touch the page at `position` fail. */
  makeUnreadable(position: number): void {
    this.#unreadable.add(Math.floor(position / PAGE_BYTES));
  }

  canRead(position: number, lengthBytes: number): boolean {
    for (const page of this.#unreadable) {
      if (page * PAGE_BYTES < position + lengthBytes && (page + 1) * PAGE_BYTES > position) return false;
    }
    return true;
  }

  /** Changes bytes on the platter, unseen. */
  damage(position: number, change: (byte: number) => number): void {
    for (const bytes of new Set([this.#durable, this.#current])) {
      const byte = new Uint8Array(1);
      if (bytes.read(byte, position) === 0) continue;
      byte[0] = change(byte[0]!);
      bytes.write(byte, position);
    }
  }
}

function apply(bytes: PagedBytes, change: Change): void {
  if (change.kind === "truncate") return bytes.truncate(change.size);
  let { position } = change;
  for (const chunk of change.chunks) {
    bytes.write(chunk, position);
    position += chunk.length;
  }
}

/** The caller may use its buffers again once it has been told that the write is done. */
function owned(change: Change): Change {
  if (change.kind === "truncate") return change;
  return { ...change, chunks: change.chunks.map((chunk) => chunk.slice()) };
}

function surviving(changes: readonly Change[], survival: Survival, pieceBytes: number, random: Random): Change[] {
  switch (survival) {
    case "none":
      return [];
    case "all":
      return [...changes];
    case "prefix": {
      const count = random.integer(changes.length + 1);
      const last = changes[count] && cut(changes[count], random.next(), pieceBytes);
      return [...changes.slice(0, count), ...(last ? [last] : [])];
    }
    case "subset":
      return changes.filter(() => random.next() < 0.5);
    case "torn": {
      const chance = random.next();
      return changes.flatMap((change) => piecesOf(change, pieceBytes)).filter(() => random.next() < chance);
    }
  }
}

/** The first part of a change, up to a multiple of `pieceBytes` in the file; of a truncation all or nothing. */
export function cut(change: Change, share: number, pieceBytes: number): Change | undefined {
  if (change.kind === "truncate") return share < 0.5 ? undefined : change;
  const end = change.position + lengthOf(change.chunks) * share;
  let left = Math.floor(end / pieceBytes) * pieceBytes - change.position;
  if (left <= 0) return undefined;
  const chunks: Uint8Array[] = [];
  for (const chunk of change.chunks) {
    chunks.push(chunk.subarray(0, left));
    left -= Math.min(left, chunk.length);
  }
  return { ...change, chunks };
}

/** Cut at the multiples of `pieceBytes` of the file. */
function piecesOf(change: Change, pieceBytes: number): Change[] {
  if (change.kind === "truncate") return [change];
  const pieces: Change[] = [];
  let { position } = change;
  for (const chunk of change.chunks) {
    for (let done = 0; done < chunk.length;) {
      const count = Math.min(pieceBytes - position % pieceBytes, chunk.length - done);
      const piece = chunk.subarray(done, done + count);
      const last = pieces.at(-1);
      // The rest of a piece that an earlier chunk began: they go together.
      if (last?.kind === "write" && position % pieceBytes !== 0) {
        pieces[pieces.length - 1] = { ...last, chunks: [...last.chunks, piece] };
      } else pieces.push({ kind: "write", chunks: [piece], position });
      position += count;
      done += count;
    }
  }
  return pieces;
}

export function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

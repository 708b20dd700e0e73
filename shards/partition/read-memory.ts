/**
 * Memory for reads of old data that is used again and again. Fresh memory for each would have the collector look at the
 * whole heap many times a second, for nothing but what it may give back outside of it.
 *
 * A slab goes back when all who hold it have let go: who reads from it, and who waits for it to be sent. Of one that
 * somebody keeps for good, the collector takes care.
 */
import { allocate } from "../../src/log/bytes.ts";

/** Enough for a piece and the entry that goes beyond it; what does not fit gets memory of its own. */
const SLAB_BYTES = 768 * 1024;
/** Lent at once; beyond it reads get memory of their own. */
const SLABS_MAX = 48;
const NOTHING = new Uint8Array(0);

export class Slab {
  readonly #memory: ReadMemory;
  readonly #bytes: Uint8Array;
  #filled = 0;
  #holders = 1;
  #isKept = false;

  constructor(memory: ReadMemory, bytes: Uint8Array) {
    this.#memory = memory;
    this.#bytes = bytes;
  }

  /** The next so many bytes of it. */
  take(byteLength: number): Uint8Array {
    const from = this.#filled;
    if (from + byteLength > this.#bytes.length) return allocate(byteLength);
    this.#filled += byteLength;
    return this.#bytes.subarray(from, this.#filled);
  }

  /** Once more; whoever holds it lets go of it as often. */
  hold(): void {
    this.#holders += 1;
  }

  letGo(): void {
    this.#holders -= 1;
    if (this.#holders === 0 && !this.#isKept) this.#memory.giveBack(this.#bytes);
  }

  /** Somebody never lets go of it. */
  keep(): void {
    if (!this.#isKept) this.#memory.giveUp(this.#bytes);
    this.#isKept = true;
  }
}

/** What one answer holds until it was sent. */
export class Lease {
  #slabs: Slab[] = [];

  hold(slab: Slab): void {
    slab.hold();
    this.#slabs.push(slab);
  }

  end(): void {
    const slabs = this.#slabs;
    this.#slabs = [];
    for (const slab of slabs) slab.letGo();
  }
}

export class ReadMemory {
  readonly #free: Uint8Array[] = [];
  #lent = 0;

  /** Held once, by the caller. */
  slab(): Slab {
    if (this.#lent >= SLABS_MAX) return new Slab(this, NOTHING);
    this.#lent += 1;
    return new Slab(this, this.#free.pop() ?? allocate(SLAB_BYTES));
  }

  /** From a slab that nobody holds any more. */
  giveBack(bytes: Uint8Array): void {
    if (bytes !== NOTHING) this.#free.push(bytes);
    this.giveUp(bytes);
  }

  /** From a slab that is left to the collector. */
  giveUp(bytes: Uint8Array): void {
    if (bytes !== NOTHING) this.#lent -= 1;
  }
}

/**
 * Memory that begins at a page, as unbuffered writes want it (open(2), O_DIRECT): ArrayBuffers begin anywhere, a
 * WebAssembly memory always at a page, on every runtime. Given back ones are used again.
 */
const PAGE_BYTES = 64 * 1024;
/** Kept for the next file; what is beyond goes to the collector. */
const FREE_MAX = 4;

/** As WebAssembly's JavaScript interface has it; the types of this project's platform leave it out. */
interface PagedMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface WithWebAssembly {
  readonly WebAssembly: { readonly Memory: new (descriptor: { readonly initial: number }) => PagedMemory };
}

const { Memory } = (globalThis as unknown as WithWebAssembly).WebAssembly;

export class AlignedMemory {
  readonly #memory: PagedMemory;
  bytes: Uint8Array<ArrayBuffer>;

  constructor(byteLength: number) {
    this.#memory = new Memory({ initial: Math.ceil(byteLength / PAGE_BYTES) });
    this.bytes = new Uint8Array(this.#memory.buffer);
  }

  /** Makes it at least this long. What it holds stays; views from before do not. */
  grow(byteLength: number): void {
    const missing = byteLength - this.bytes.length;
    if (missing <= 0) return;
    this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.bytes = new Uint8Array(this.#memory.buffer);
  }
}

export class AlignedMemoryPool {
  readonly #free: AlignedMemory[] = [];

  take(byteLength: number): AlignedMemory {
    return this.#free.pop() ?? new AlignedMemory(byteLength);
  }

  give(memory: AlignedMemory): void {
    if (this.#free.length < FREE_MAX) this.#free.push(memory);
  }
}

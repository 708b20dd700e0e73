/**
 * Writes of a file that go to the disk around the page cache (open(2), O_DIRECT). A log's bytes are read again long
 * after, if at all: the cache would only take pages from others. And a log that grows takes fresh pages for ever, which
 * cost a broker under load a third of all its processor time (perf: 30 % in copy_folio_from_iter_atomic; a file of 1 GiB
 * in writes of 4 MiB: 0.5 GB/s and 1.5 ms of processor time a MB with the cache, 1.3 to 1.9 GB/s and 0.2 ms without).
 *
 * Such a write wants whole sectors in aligned memory: chunks are copied together, and the sectors at both ends, where
 * they hold other bytes, are written again as they are. Invariant: bytes outside the write keep their values; a sector
 * is written whole or not at all by the device, so those before a write survive its being torn.
 */
import type { AlignedMemory, AlignedMemoryPool } from "./aligned-memory.ts";

/** What most disks take; those with larger sectors answer EINVAL, and are asked again with the larger size. */
const SECTOR_BYTES = 512;
const SECTOR_BYTES_MAX = 4_096;
/** Copied and written at a time. */
const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
const WINDOW_BYTES_FIRST = 1024 * 1024;

/** The system's calls on the two descriptors of one file. */
export interface DirectCalls {
  /** Unbuffered and durable. Returns the bytes written. Rejects with the platform's error. */
  writeDirect(bytes: Uint8Array, position: number): Promise<number>;
  /** Fills `into` as far as the file goes. */
  read(into: Uint8Array, position: number): Promise<number>;
}

export class DirectWrites {
  readonly #calls: DirectCalls;
  readonly #pool: AlignedMemoryPool;
  #memory: AlignedMemory | undefined;
  #sectorBytes = SECTOR_BYTES;
  #supported = true;
  /** Of the file; nothing is written this way beyond it, for a file ends where it ends, not at a sector. */
  #sizeBytes: number;
  /** Behind this the file holds zeros only. */
  #dataEnd: number;
  /** What the memory holds: the file's bytes from here, so many. */
  #windowAt = 0;
  #windowBytes = 0;

  /** `sizeBytes`: of the file, which may hold anything up to there. */
  constructor(calls: DirectCalls, pool: AlignedMemoryPool, sizeBytes: number) {
    this.#calls = calls;
    this.#pool = pool;
    this.#sizeBytes = sizeBytes;
    this.#dataEnd = sizeBytes;
  }

  /** False: nothing was written, and it has to go another way. One call at a time. */
  async write(chunks: readonly Uint8Array[], position: number, byteLength: number): Promise<boolean> {
    const end = position + byteLength;
    if (!this.#supported || byteLength === 0 || alignUp(end, this.#sectorBytes) > this.#sizeBytes) return false;
    const source = new ChunkReader(chunks);
    for (let at = position; at < end;) {
      const stop = Math.min(end, alignDown(at, this.#sectorBytes) + WINDOW_BYTES_MAX);
      const restartAt = source.mark();
      const filling = this.#fill(source, at, stop);
      const from = filling instanceof Promise ? await filling : filling;
      try {
        await this.#writeWindow(from);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EINVAL" || at > position) throw error;
        this.#refused();
        if (!this.#supported) return false;
        source.reset(restartAt);
        continue;
      }
      this.#dataEnd = Math.max(this.#dataEnd, this.#windowAt + this.#lengthWithoutZeros());
      at = stop;
    }
    return true;
  }

  /** Somebody wrote another way. */
  wroteOtherwise(end: number): void {
    this.#windowBytes = 0;
    this.#dataEnd = Math.max(this.#dataEnd, end);
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
  }

  truncated(sizeBytes: number): void {
    this.#windowBytes = 0;
    this.#sizeBytes = sizeBytes;
    this.#dataEnd = Math.min(this.#dataEnd, sizeBytes);
  }

  close(): void {
    if (this.#memory) this.#pool.give(this.#memory);
    this.#memory = undefined;
    this.#supported = false;
  }

  /** The disk does not take it so: with larger sectors, or not at all. */
  #refused(): void {
    this.#windowBytes = 0;
    if (this.#sectorBytes < SECTOR_BYTES_MAX) this.#sectorBytes = SECTOR_BYTES_MAX;
    else this.#supported = false;
  }

  /**
   * Puts the sectors that hold `from` to `to` into memory. Returns where the first of them begins; at once where a log
   * grows, whose last sector is in memory already: a small record waits for each promise on its way.
   */
  #fill(source: ChunkReader, from: number, to: number): number | Promise<number> {
    const first = alignDown(from, this.#sectorBytes);
    const end = alignUp(to, this.#sectorBytes);
    if (to >= this.#dataEnd && this.#inMemory(first, from)) return this.#append(source, first, from, to, end);
    return Promise.all([this.#present(first, from), this.#present(to, end)])
      .then(([head, tail]) => this.#put(source, from, to, head, tail));
  }

  /** Whether the memory holds the file's bytes from `from` to `to`, as far as they are not zeros. */
  #inMemory(from: number, to: number): boolean {
    const known = Math.min(to, this.#dataEnd);
    return known <= from || (from >= this.#windowAt && known <= this.#windowAt + this.#windowBytes);
  }

  /** Behind all that the file holds: what its last sector has moves to the memory's start, nothing else is kept. */
  #append(source: ChunkReader, first: number, from: number, to: number, end: number): number {
    const { bytes } = this.#memoryOf(end - first);
    const known = Math.max(first, Math.min(from, this.#dataEnd));
    if (known > first) bytes.copyWithin(0, first - this.#windowAt, known - this.#windowAt);
    bytes.fill(0, known - first, from - first);
    source.copy(bytes, from - first, to - first);
    bytes.fill(0, to - first, end - first);
    this.#windowAt = first;
    this.#windowBytes = end - first;
    return first;
  }

  #put(source: ChunkReader, from: number, to: number, head: Uint8Array, tail: Uint8Array): number {
    const first = from - head.length;
    const byteLength = to + tail.length - first;
    const { bytes } = this.#memoryOf(byteLength);
    bytes.set(head, 0);
    source.copy(bytes, from - first, to - first);
    bytes.set(tail, to - first);
    this.#windowAt = first;
    this.#windowBytes = byteLength;
    return first;
  }

  #memoryOf(byteLength: number): AlignedMemory {
    const memory = this.#memory ??= this.#pool.take(WINDOW_BYTES_FIRST);
    memory.grow(byteLength);
    return memory;
  }

  /** The file's own bytes from `from` to `to`, less than a sector of them. */
  async #present(from: number, to: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(to - from);
    const known = Math.min(to, this.#dataEnd);
    if (known <= from) return bytes;
    if (this.#inMemory(from, to)) {
      bytes.set(this.#memory!.bytes.subarray(from - this.#windowAt, known - this.#windowAt));
    } else {
      await this.#calls.read(bytes.subarray(0, known - from), from);
    }
    return bytes;
  }

  /** Zeros written ahead, to be overwritten soon, are not read back to be written again. */
  #lengthWithoutZeros(): number {
    const { bytes } = this.#memory!;
    let length = this.#windowBytes;
    while (length > 0 && bytes[length - 1] === 0) length -= 1;
    return length;
  }

  async #writeWindow(from: number): Promise<void> {
    const bytes = this.#memory!.bytes;
    for (let done = 0; done < this.#windowBytes;) {
      const written = await this.#calls.writeDirect(bytes.subarray(done, this.#windowBytes), from + done);
      // A short write ends between sectors; what is not whole is written again.
      done += alignDown(written, this.#sectorBytes);
      if (written === 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" });
    }
  }
}

function alignDown(value: number, unit: number): number {
  return value - (value % unit);
}

function alignUp(value: number, unit: number): number {
  return alignDown(value + unit - 1, unit);
}

/** Hands out the bytes of many chunks in order. */
class ChunkReader {
  readonly #chunks: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
  }

  mark(): readonly [number, number] {
    return [this.#index, this.#offset];
  }

  reset([index, offset]: readonly [number, number]): void {
    this.#index = index;
    this.#offset = offset;
  }

  /** Fills `target` from `from` to `to`. */
  copy(target: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const chunk = this.#chunks[this.#index]!;
      const count = Math.min(to - at, chunk.length - this.#offset);
      target.set(chunk.subarray(this.#offset, this.#offset + count), at);
      at += count;
      this.#offset += count;
      if (this.#offset < chunk.length) continue;
      this.#index += 1;
      this.#offset = 0;
    }
  }
}

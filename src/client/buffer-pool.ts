/**
 * Buffers of batches, used again. Making a new one for each megabyte costs page faults and makes the collector run for
 * memory that it does not see: a third of what publishing costs.
 */
import { Buffer } from "node:buffer";

/** Smaller ones are not worth keeping. */
const KEPT_BYTES_MIN = 32 * 1024;
/** Memory of its own costs a small batch more than all that is put in it: they share pieces of memory. */
const SHARED_BYTES_MAX = 2 * 1024;
const SHARED_MEMORY_BYTES = 16 * 1024;

export class BufferPool {
  readonly #keptBytesMax: number;
  /** By length: a producer's full batches all have the same. */
  readonly #kept = new Map<number, Uint8Array[]>();
  #keptBytes = 0;
  /** For the next small ones, and how much of it is taken. */
  #shared = new Uint8Array(0);
  #sharedTo = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Exactly so long; its content is whatever it was. */
  readonly take = (byteLength: number): Uint8Array => {
    if (byteLength <= SHARED_BYTES_MAX) return this.#share(byteLength);
    const buffer = this.#kept.get(byteLength)?.pop();
    if (buffer === undefined) return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
    this.#keptBytes -= byteLength;
    return buffer;
  };

  #share(byteLength: number): Uint8Array {
    if (this.#sharedTo + byteLength > this.#shared.length) {
      this.#shared = new Uint8Array(SHARED_MEMORY_BYTES);
      this.#sharedTo = 0;
    }
    const start = this.#sharedTo;
    this.#sharedTo += byteLength;
    return this.#shared.subarray(start, this.#sharedTo);
  }

  /** The memory of what was taken. Nobody else may hold a view of it, the network included. What is shared is not kept. */
  give(memory: ArrayBufferLike): void {
    const { byteLength } = memory;
    if (byteLength < KEPT_BYTES_MIN || this.#keptBytes + byteLength > this.#keptBytesMax) return;
    const kept = this.#kept.get(byteLength);
    if (kept === undefined) this.#kept.set(byteLength, [new Uint8Array(memory)]);
    else kept.push(new Uint8Array(memory));
    this.#keptBytes += byteLength;
  }
}

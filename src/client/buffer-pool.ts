/**
 * Buffers of batches, used again. Making a new one for each megabyte costs page faults and makes the collector run for
 * memory that it does not see: a third of what publishing costs.
 */
import { Buffer } from "node:buffer";

/** Smaller ones are not worth keeping. */
const KEPT_BYTES_MIN = 32 * 1024;

export class BufferPool {
  readonly #keptBytesMax: number;
  /** By length: a producer's full batches all have the same. */
  readonly #kept = new Map<number, Uint8Array[]>();
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Exactly so long; its content is whatever it was. */
  readonly take = (byteLength: number): Uint8Array => {
    const buffer = this.#kept.get(byteLength)?.pop();
    if (buffer === undefined) return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
    this.#keptBytes -= byteLength;
    return buffer;
  };

  /** Nobody else may hold a view of it, the network included. */
  give(buffer: Uint8Array): void {
    const { length } = buffer;
    if (length < KEPT_BYTES_MIN || this.#keptBytes + length > this.#keptBytesMax) return;
    const kept = this.#kept.get(length);
    if (kept === undefined) this.#kept.set(length, [buffer]);
    else kept.push(buffer);
    this.#keptBytes += length;
  }
}

/**
 * Memory of long answers, used again where a consumer allows it. Fresh megabytes for each cost page faults, and have the
 * collector look at the whole heap a dozen times a second for what lies outside of it: a third of a quick consumer's time.
 */
import { Buffer } from "node:buffer";

/** Shorter frames get memory of their own. */
const FRAME_BYTES_MIN = 64 * 1024;
/** Pieces are multiples of it, so that frames that differ a little fit the same ones. */
const STEP_BYTES = 512 * 1024;
/** Free, all pieces together. */
const FREE_BYTES_MAX = 64 * 1024 * 1024;

export class FrameMemory {
  /** Consumers that let go of what they have read. */
  #readers = 0;
  /** By length. */
  readonly #free = new Map<number, Uint8Array[]>();
  #freeBytes = 0;
  /** How many batches in it are not done with, of each piece that came from here and somebody still has. */
  readonly #holds = new WeakMap<ArrayBufferLike, number>();

  /** A consumer begins that holds what it takes, and lets go of it. */
  enter(): void {
    this.#readers += 1;
  }

  leave(): void {
    this.#readers -= 1;
    if (this.#readers > 0) return;
    this.#free.clear();
    this.#freeBytes = 0;
  }

  /** Exactly so long; its content is whatever it was. */
  readonly take = (byteLength: number): Uint8Array => {
    if (this.#readers === 0 || byteLength < FRAME_BYTES_MIN) return Buffer.allocUnsafeSlow(byteLength);
    const length = Math.ceil(byteLength / STEP_BYTES) * STEP_BYTES;
    let piece = this.#free.get(length)?.pop();
    if (piece === undefined) piece = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    else this.#freeBytes -= length;
    this.#holds.set(piece.buffer, 0);
    return piece.subarray(0, byteLength);
  };

  /** A batch in it will be given out. */
  hold(memory: ArrayBufferLike): void {
    const holds = this.#holds.get(memory);
    if (holds !== undefined) this.#holds.set(memory, holds + 1);
  }

  /** That batch is done with. Of a piece with a batch that is dropped instead, the collector takes care. */
  letGo(memory: ArrayBufferLike): void {
    const holds = this.#holds.get(memory);
    if (holds === undefined) return;
    if (holds > 1) return void this.#holds.set(memory, holds - 1);
    this.#holds.delete(memory);
    if (this.#readers === 0 || this.#freeBytes + memory.byteLength > FREE_BYTES_MAX) return;
    const free = this.#free.get(memory.byteLength);
    if (free === undefined) this.#free.set(memory.byteLength, [new Uint8Array(memory)]);
    else free.push(new Uint8Array(memory));
    this.#freeBytes += memory.byteLength;
  }
}

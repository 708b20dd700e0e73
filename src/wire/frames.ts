/**
 * A frame on any connection: u32 little-endian length of what follows, then one CBOR array whose last item may be a byte
 * string, the body. Heads are encoded by cbor-x; the body's header is written by hand and its bytes follow by
 * reference, so that a batch is never copied on its way out.
 */
import { Buffer } from "node:buffer";
import { CborGuard } from "./cbor-guard.ts";
import { WireError } from "./errors.ts";
import { decodeHead, encodeHead } from "./heads.ts";
import type { FrameLimits } from "./limits.ts";

export const FRAME_LENGTH_BYTES = 4;
const HEAD_ITEMS_MAX = 22;
/** Fewer bytes than this are copied one by one: less work than a view of them. */
const LOOP_BYTES_MAX = 64;
const NO_BODY = new Uint8Array(0);

/**
 * One frame as chunks for one `connection.write`: everything before the body in one buffer, then the body's chunks as
 * they are. A head of 1 to 22 items.
 */
export function encodeFrame(head: readonly unknown[], body?: readonly Uint8Array[]): Uint8Array[] {
  const items = head.length;
  if (items === 0 || items > HEAD_ITEMS_MAX) {
    throw new RangeError(`a head has 1 to ${HEAD_ITEMS_MAX} items, not ${items}`);
  }
  const encoded = encodeHead(head);
  const headBytes = encoded.end - encoded.start;
  let bodyBytes = 0;
  if (body !== undefined) { for (const chunk of body) bodyBytes += chunk.length; }
  // A head that ends with bytes gets an empty body, or its last item would be taken for one.
  const hasBody = body !== undefined || head[items - 1] instanceof Uint8Array;
  const bodyHeader = hasBody ? byteStringHeaderBytes(bodyBytes) : 0;
  const start = Buffer.allocUnsafe(FRAME_LENGTH_BYTES + headBytes + bodyHeader);
  start.writeUInt32LE(headBytes + bodyHeader + bodyBytes, 0);
  if (headBytes > LOOP_BYTES_MAX) start.set(encoded.subarray(encoded.start, encoded.end), FRAME_LENGTH_BYTES);
  else for (let i = 0; i < headBytes; i++) start[FRAME_LENGTH_BYTES + i] = encoded[encoded.start + i]!;
  if (!hasBody) return [start];
  start[FRAME_LENGTH_BYTES] = 0x80 | (items + 1);
  writeByteStringHeader(start, FRAME_LENGTH_BYTES + headBytes, bodyBytes);
  return body === undefined || bodyBytes === 0 ? [start] : [start, ...body];
}

function byteStringHeaderBytes(length: number): number {
  return length < 24 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5;
}

function writeByteStringHeader(target: Buffer, at: number, length: number): void {
  if (length < 24) target[at] = 0x40 | length;
  else if (length < 0x100) target.writeUInt16BE(0x5800 | length, at);
  else if (length < 0x10000) {
    target[at] = 0x59;
    target.writeUInt16BE(length, at + 1);
  } else {
    target[at] = 0x5a;
    target.writeUInt32BE(length, at + 1);
  }
}

/** The parts of one whole frame, its length not included. @throws {WireError} */
export function decodeFrame(bytes: Uint8Array, guard: CborGuard): { head: unknown[]; body: Uint8Array } {
  guard.scanFrame(bytes, 0, bytes.length);
  const { itemCount, bodyStart } = guard;
  const head = itemCount === 0 ? [] : decodeHead(bytes, guard.itemsStart, guard.itemsEnd, itemCount);
  if (head.length !== itemCount) throw new WireError("MALFORMED", `${head.length} of ${itemCount} head items`);
  return { head, body: bodyStart === bytes.length ? NO_BODY : bytes.subarray(bodyStart) };
}

/** `frameBytes`: of the whole frame on the wire. Head and body may be views into the connection's chunks. */
export type OnFrame = (head: unknown[], body: Uint8Array, frameBytes: number) => void;

/** Much less work than `Buffer.from`, which first finds out what it is given. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

function freshMemory(byteLength: number): Uint8Array {
  return Buffer.allocUnsafeSlow(byteLength);
}

/** Of the memory that frames begin in, where the reader says where bytes go: larger when it was filled. */
const LANDING_BYTES_FIRST = 4 * 1024;
const LANDING_BYTES_MAX = 64 * 1024;
/** What is left of a frame goes straight to its place if it is more than this; else other frames may come with it. */
const STRAIGHT_BYTES_MIN = 16 * 1024;

/**
 * Cuts a byte stream into frames. A frame that lies whole in a chunk is a view of it; a longer one is copied once
 * into a buffer of its exact size. For strangers that buffer grows with what really arrives: at most twice that.
 *
 * A connection that puts bytes where it is told (`Connection.onRoom`) asks `room`: what is left of a long frame then comes
 * straight into the buffer it is collected in, and only a frame's beginning is copied.
 */
export class FrameReader {
  #limits: FrameLimits;
  readonly #onFrame: OnFrame;
  readonly #memory: (byteLength: number) => Uint8Array;
  #guard: CborGuard;
  /** Bytes of a length that was itself cut. */
  readonly #length = new Uint8Array(FRAME_LENGTH_BYTES);
  #lengthFilled = 0;
  /** The frame being collected: `#filled` of `#wanted` bytes are in `#partial`. */
  #partial: Uint8Array = NO_BODY;
  #wanted = -1;
  #filled = 0;
  #eagerBytes: number;
  #paused = false;
  #closed = false;
  #pushing = false;
  /** Chunks that came while paused, oldest first. */
  #waiting: Uint8Array[] = [];
  /** Memory that `room` gives out again and again: what is in it is copied. */
  #landing: Uint8Array | undefined;

  /** `memory`: for frames that do not lie whole in a chunk, exactly so long. */
  constructor(limits: FrameLimits, onFrame: OnFrame, memory = freshMemory) {
    this.#limits = limits;
    this.#onFrame = onFrame;
    this.#memory = memory;
    this.#guard = new CborGuard(limits);
    this.#eagerBytes = limits.eagerBytesMax;
  }

  /** Whether a frame has begun and is not whole yet. */
  get midFrame(): boolean {
    return this.#wanted >= 0 || this.#lengthFilled > 0;
  }

  /** After a hello: what follows may be larger. */
  setLimits(limits: FrameLimits): void {
    this.#limits = limits;
    this.#guard = new CborGuard(limits);
    this.#eagerBytes = Math.max(this.#eagerBytes, limits.eagerBytesMax);
  }

  /** No more `onFrame` until {@link resume}; what is pushed meanwhile is kept. */
  pause(): void {
    this.#paused = true;
  }

  /** @throws {WireError} as {@link push} */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#pushing) this.#drain();
  }

  /** Nothing is delivered any more; what is pushed is dropped. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#partial = NO_BODY;
  }

  /** Where the next bytes of the stream may be put, before they are pushed. */
  room(): Uint8Array {
    if (!this.#paused && this.#waiting.length === 0 && this.#filled > 0) {
      if (this.#wanted - this.#filled >= STRAIGHT_BYTES_MIN) {
        this.#reserve(this.#filled + 1);
        return this.#partial.subarray(this.#filled);
      }
    }
    return this.#landing ??= new Uint8Array(LANDING_BYTES_FIRST);
  }

  /**
   * Takes the next bytes of the stream. The chunk is the reader's from now on, unless it is a view of what `room` gave.
   * @throws {WireError} The stream cannot be continued after one.
   */
  push(chunk: Uint8Array): void {
    if (this.#closed || chunk.length === 0) return;
    const isLent = chunk.buffer === this.#landing?.buffer || chunk.buffer === this.#partial.buffer;
    if (!isLent) this.#waiting.push(chunk);
    else if (this.#paused || this.#pushing || this.#waiting.length > 0) this.#waiting.push(new Uint8Array(chunk));
    else return this.#takeLent(chunk);
    if (!this.#pushing) this.#drain();
  }

  #takeLent(chunk: Uint8Array): void {
    this.#pushing = true;
    try {
      const used = chunk.buffer === this.#partial.buffer ? this.#advance(chunk.length) : this.#consume(chunk, true);
      if (used < chunk.length && !this.#closed) this.#waiting.push(new Uint8Array(chunk.subarray(used)));
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#pushing = false;
    }
    const landing = this.#landing;
    if (landing && chunk.length === landing.length && landing.length < LANDING_BYTES_MAX) {
      this.#landing = new Uint8Array(landing.length * 4);
    }
    // A handler may have paused and resumed, or have pushed more.
    if (this.#waiting.length > 0) this.#drain();
  }

  /** So many bytes are in their place already. */
  #advance(bytes: number): number {
    this.#filled += bytes;
    this.#deliverIfWhole();
    return bytes;
  }

  #drain(): void {
    this.#pushing = true;
    try {
      while (!this.#paused && this.#waiting.length > 0) {
        const chunk = this.#waiting[0]!;
        const used = this.#consume(chunk);
        if (this.#closed) return;
        if (used === chunk.length) this.#waiting.shift();
        else this.#waiting[0] = chunk.subarray(used);
      }
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#pushing = false;
    }
  }

  /** Delivers what is whole in `chunk` until it ends, or a handler pauses or closes; returns the bytes used. */
  #consume(chunk: Uint8Array, isLent = false): number {
    let at = 0;
    while (at < chunk.length && !this.#paused && !this.#closed) {
      if (this.#wanted < 0) {
        at = this.#takeLength(chunk, at);
        if (this.#wanted < 0) break;
      }
      if (this.#filled === 0 && this.#wanted <= chunk.length - at) {
        const end = at + this.#wanted;
        const frame = chunk.subarray(at, end);
        this.#deliver(isLent ? copyOf(frame) : frame);
        at = end;
        continue;
      }
      at = this.#collect(chunk, at);
    }
    return at;
  }

  #takeLength(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && this.#lengthFilled < FRAME_LENGTH_BYTES) {
      this.#length[this.#lengthFilled++] = chunk[at++]!;
    }
    if (this.#lengthFilled < FRAME_LENGTH_BYTES) return at;
    const [a, b, c, d] = this.#length as unknown as [number, number, number, number];
    this.#lengthFilled = 0;
    this.#wanted = (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
    if (this.#wanted > this.#limits.frameBytesMax) {
      throw new WireError("FRAME_TOO_LARGE", `a frame of ${this.#wanted} bytes; at most ${this.#limits.frameBytesMax}`);
    }
    if (this.#wanted === 0) throw new WireError("MALFORMED", "an empty frame");
    return at;
  }

  #collect(chunk: Uint8Array, from: number): number {
    const take = Math.min(chunk.length - from, this.#wanted - this.#filled);
    this.#reserve(this.#filled + take);
    this.#partial.set(chunk.subarray(from, from + take), this.#filled);
    this.#filled += take;
    this.#deliverIfWhole();
    return from + take;
  }

  #deliverIfWhole(): void {
    if (this.#filled < this.#wanted) return;
    const whole = this.#partial;
    this.#partial = NO_BODY;
    this.#filled = 0;
    this.#deliver(whole);
  }

  /** Invariant: room reserved ≤ max(what may be reserved eagerly, twice what has arrived). */
  #reserve(bytes: number): void {
    if (this.#partial.length >= bytes) return;
    const room = Math.min(this.#wanted, Math.max(bytes * 2, this.#eagerBytes));
    const larger = this.#memory(room);
    larger.set(this.#partial.subarray(0, this.#filled));
    this.#partial = larger;
  }

  #deliver(frame: Uint8Array): void {
    this.#wanted = -1;
    if (frame.length > this.#eagerBytes) this.#eagerBytes = frame.length;
    const { head, body } = decodeFrame(frame, this.#guard);
    this.#onFrame(head, body, FRAME_LENGTH_BYTES + frame.length);
  }
}

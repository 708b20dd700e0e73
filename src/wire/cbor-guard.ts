/**
 * Looks at CBOR before anything decodes it. A general decoder trusts declared counts, follows tags that build bignums
 * or cycles, and recurses as deep as the input says; each of these ends a process with a few kilobytes. This scan has a
 * fixed stack and allocates nothing. It accepts what our protocol uses, and no more of RFC 8949: definite lengths,
 * text keys in maps, no tags at all, and of the simple values false, true, null, undefined and floats.
 */
import { WireError } from "./errors.ts";
import type { HeadLimits } from "./limits.ts";

const DEPTH_ROOM = 64;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const MAJOR_TAG = 6;
const NOTHING = new Uint8Array(0);

/** Scans one frame's array; afterwards the fields tell where its parts are. One guard per connection, reused. */
export class CborGuard {
  /** Where the first head item starts, after the array's own header. */
  itemsStart = 0;
  /** Where the head items end. */
  itemsEnd = 0;
  /** Head items, the body not counted. */
  itemCount = 0;
  /** The body's bytes: from here to the end of the frame. Equal to the end if there is none. */
  bodyStart = 0;

  readonly #limits: HeadLimits;
  /** Items still open on each level, and whether the level is a map (then every second item is a key). */
  readonly #remaining = new Float64Array(DEPTH_ROOM);
  readonly #isMap = new Uint8Array(DEPTH_ROOM);
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #end = 0;
  #itemsLeft = 0;

  constructor(limits: HeadLimits) {
    if (limits.depthMax > DEPTH_ROOM) throw new RangeError(`depthMax ${limits.depthMax} exceeds ${DEPTH_ROOM}`);
    this.#limits = limits;
  }

  /**
   * Bytes `start` to `end` must be exactly one array, whose last item is the body if it is a byte string.
   * @throws {WireError} `MALFORMED`, `HEAD_TOO_LARGE`, `TOO_DEEP`, `TOO_MANY_ITEMS`, `REFUSED_TAG`
   */
  scanFrame(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#itemsLeft = this.#limits.itemsMax;
    if (start >= end || bytes[start]! >> 5 !== MAJOR_ARRAY) throw malformed("a frame holds one array");
    const count = this.#readArgument();
    if (count === 0 || count > end - this.#at) throw malformed(`an array of ${count} items in ${end - start} bytes`);
    this.itemsStart = this.#at;
    for (let item = 1; item < count; item++) this.#skipItem();
    this.itemCount = count - 1;
    this.itemsEnd = this.#at;
    this.bodyStart = end;
    if (this.#at < end && bytes[this.#at]! >> 5 === MAJOR_BYTES) {
      const length = this.#readArgument();
      if (length !== end - this.#at) throw malformed(`a body of ${length} bytes where ${end - this.#at} are left`);
      this.bodyStart = this.#at;
    } else {
      this.#skipItem();
      this.itemCount = count;
      this.itemsEnd = this.#at;
      if (this.#at !== end) throw malformed(`${end - this.#at} bytes after the array`);
    }
    this.#bytes = NOTHING;
    if (this.itemsEnd - start > this.#limits.headBytesMax) {
      throw new WireError("HEAD_TOO_LARGE", `a head of ${this.itemsEnd - start} bytes`);
    }
  }

  #skipItem(): void {
    let depth = -1;
    for (;;) {
      const opened = this.#skipHeadOfItem(depth);
      if (opened > 0) {
        depth++;
        if (depth >= this.#limits.depthMax) throw new WireError("TOO_DEEP", `more than ${depth} levels of nesting`);
        this.#remaining[depth] = opened;
        this.#isMap[depth] = this.#openedMap ? 1 : 0;
        continue;
      }
      while (depth >= 0 && --this.#remaining[depth]! === 0) depth--;
      if (depth < 0) return;
    }
  }

  #openedMap = false;

  /** Steps over one item without its children; returns how many children follow. */
  #skipHeadOfItem(depth: number): number {
    if (this.#at >= this.#end) throw malformed("an item is missing");
    if (--this.#itemsLeft < 0) throw new WireError("TOO_MANY_ITEMS", `more than ${this.#limits.itemsMax} items`);
    const major = this.#bytes[this.#at]! >> 5;
    if (depth >= 0 && this.#isMap[depth] === 1 && this.#remaining[depth]! % 2 === 0 && major !== MAJOR_TEXT) {
      throw malformed("a map's key is not text");
    }
    if (major < MAJOR_BYTES) {
      this.#readArgument();
      return 0;
    }
    if (major > MAJOR_TAG) {
      this.#skipSimple();
      return 0;
    }
    if (major === MAJOR_TAG) throw new WireError("REFUSED_TAG", "tags are not part of this protocol");
    const length = this.#readArgument();
    const left = this.#end - this.#at;
    if (major < MAJOR_ARRAY) {
      if (length > left) throw malformed(`a string of ${length} bytes where ${left} are left`);
      this.#at += length;
      return 0;
    }
    const children = major === MAJOR_MAP ? length * 2 : length;
    if (children > left) throw malformed(`${children} items declared where ${left} bytes are left`);
    this.#openedMap = major === MAJOR_MAP;
    return children;
  }

  #skipSimple(): void {
    const info = this.#bytes[this.#at]! & 31;
    const width = info >= 20 && info <= 23 ? 0 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : -1;
    if (width < 0) throw malformed(`simple value ${info} is not part of this protocol`);
    this.#at += 1 + width;
    if (this.#at > this.#end) throw malformed("a number is cut off");
  }

  /** The number in an item's first bytes. Integers above 2^53 are refused. */
  #readArgument(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    const info = bytes[at]! & 31;
    if (info < 24) {
      this.#at = at + 1;
      return info;
    }
    if (info > 27) throw malformed("indefinite lengths are not part of this protocol");
    const width = 1 << (info - 24);
    if (at + 1 + width > this.#end) throw malformed("a number is cut off");
    this.#at = at + 1 + width;
    let value = 0;
    for (let i = 1; i <= width; i++) value = value * 256 + bytes[at + i]!;
    if (value > Number.MAX_SAFE_INTEGER) throw malformed("an integer exceeds 2^53 - 1");
    return value;
  }
}

function malformed(what: string): WireError {
  return new WireError("MALFORMED", what);
}

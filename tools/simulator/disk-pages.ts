/** The bytes of one simulated file: pages, those that were never written are zero and take no memory. */

export const PAGE_BYTES = 4096;

interface Page {
  readonly bytes: Uint8Array;
  /** Another copy of the file has it too: whoever writes makes its own first. */
  shared: boolean;
}

/** All pages of written zeros are this one: preallocation costs the simulator nothing. */
const ZERO_PAGE: Page = { bytes: new Uint8Array(PAGE_BYTES), shared: true };

export class PagedBytes {
  #pages = new Map<number, Page>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#pages.size * PAGE_BYTES;
  }

  /** Pages that a write there would allocate, in bytes. */
  newBytes(position: number, length: number): number {
    let bytes = 0;
    for (let page = pageOf(position); page <= pageOf(position + length - 1); page++) {
      if (!this.#pages.has(page)) bytes += PAGE_BYTES;
    }
    return bytes;
  }

  /** As it is now; costs one map of the pages, no bytes. */
  copy(): PagedBytes {
    const copy = new PagedBytes();
    for (const page of this.#pages.values()) page.shared = true;
    copy.#pages = new Map(this.#pages);
    copy.#size = this.#size;
    return copy;
  }

  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.#size - position));
    for (let done = 0; done < length;) {
      const at = position + done;
      const offset = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - offset, length - done);
      const page = this.#pages.get(pageOf(at));
      if (page) into.set(page.bytes.subarray(offset, offset + count), done);
      else into.fill(0, done, done + count);
      done += count;
    }
    return length;
  }

  write(source: Uint8Array, position: number): void {
    for (let done = 0; done < source.length;) {
      const at = position + done;
      const offset = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - offset, source.length - done);
      const piece = source.subarray(done, done + count);
      if (count === PAGE_BYTES && isZero(piece)) this.#pages.set(pageOf(at), ZERO_PAGE);
      else this.#own(pageOf(at)).set(piece, offset);
      done += count;
    }
    this.#size = Math.max(this.#size, position + source.length);
  }

  truncate(size: number): void {
    if (size < this.#size) {
      const last = pageOf(size);
      for (const page of this.#pages.keys()) if (page > last || size === 0) this.#pages.delete(page);
      if (size % PAGE_BYTES === 0) this.#pages.delete(last);
      else if (this.#pages.has(last)) this.#own(last).fill(0, size % PAGE_BYTES);
    }
    this.#size = size;
  }

  #own(number: number): Uint8Array {
    const page = this.#pages.get(number);
    if (page && !page.shared) return page.bytes;
    const own: Page = { bytes: page ? page.bytes.slice() : new Uint8Array(PAGE_BYTES), shared: false };
    this.#pages.set(number, own);
    return own.bytes;
  }
}

function pageOf(position: number): number {
  return Math.floor(position / PAGE_BYTES);
}

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

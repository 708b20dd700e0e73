/** Reads a file from front to back in large pieces, and gives views of any place. */
import type { DiskFile } from "../runtime/disk.ts";
import { allocate } from "./bytes.ts";

export class ScanWindow {
  readonly #file: DiskFile;
  readonly #pieceBytes: number;
  #buffer: Uint8Array;
  #from = 0;
  #length = 0;

  constructor(file: DiskFile, pieceBytes: number) {
    this.#file = file;
    this.#pieceBytes = pieceBytes;
    this.#buffer = allocate(pieceBytes);
  }

  /** A view, valid until the next call; shorter than asked only at the end of the file. */
  async bytes(position: number, length: number): Promise<Uint8Array> {
    if (position < this.#from || position + length > this.#from + this.#length) await this.#fill(position, length);
    const start = position - this.#from;
    return this.#buffer.subarray(start, Math.min(start + length, this.#length));
  }

  async #fill(position: number, length: number): Promise<void> {
    if (length > this.#buffer.length) this.#buffer = allocate(length + this.#pieceBytes);
    this.#from = position;
    this.#length = await this.#file.read(this.#buffer, position);
  }
}

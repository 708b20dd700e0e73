/** Reads a file from front to back in large pieces, and gives views of any place. */
import { Buffer } from "node:buffer";
import type { DiskFile } from "../runtime/disk.ts";

export class ScanWindow {
  readonly #file: DiskFile;
  readonly #pieceBytes: number;
  #buffer: Uint8Array;
  #from = 0;
  #length = 0;
  /** Read from the disk in all. */
  bytesRead = 0;

  constructor(file: DiskFile, pieceBytes: number) {
    this.#file = file;
    this.#pieceBytes = pieceBytes;
    this.#buffer = Buffer.allocUnsafeSlow(pieceBytes);
  }

  /** A view, valid until the next call; shorter than asked only at the end of the file. */
  async bytes(position: number, length: number): Promise<Uint8Array> {
    if (position < this.#from || position + length > this.#from + this.#length) await this.#fill(position, length);
    const start = position - this.#from;
    return this.#buffer.subarray(start, Math.min(start + length, this.#length));
  }

  async #fill(position: number, length: number): Promise<void> {
    if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(length + this.#pieceBytes);
    this.#from = position;
    this.#length = await this.#file.read(this.#buffer, position);
    this.bytesRead += this.#length;
  }
}

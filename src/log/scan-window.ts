/** Reads a file from front to back in large pieces, and gives views of any place. */
import { DiskError, type DiskFile } from "../runtime/disk.ts";
import { allocate } from "./bytes.ts";

/** The disk reads in pieces of this size, or not at all. */
const SECTOR_BYTES = 4096;
/** Stands for what cannot be read: it matches no checksum, and does not look like a sector that was never written. */
const UNREADABLE = 0xee;

/** What of a file is needed to read it. */
export type Readable = Pick<DiskFile, "read" | "sizeBytes">;

export class ScanWindow {
  readonly #file: Readable;
  readonly #pieceBytes: number;
  #buffer: Uint8Array;
  #from = 0;
  #length = 0;

  constructor(file: Readable, pieceBytes: number) {
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
    this.#length = await readWhatCanBe(this.#file, this.#buffer, position);
  }
}

/** Reads on where the disk reports an error: what it covers is damaged, the rest need not be. */
export async function readWhatCanBe(file: Readable, into: Uint8Array, position: number): Promise<number> {
  const count = await readOrUndefined(file, into, position);
  if (count !== undefined) return count;
  const length = Math.min(into.length, await file.sizeBytes() - position);
  for (let at = 0; at < length; at += SECTOR_BYTES) {
    const piece = into.subarray(at, Math.min(at + SECTOR_BYTES, length));
    if (await readOrUndefined(file, piece, position + at) === undefined) piece.fill(UNREADABLE);
  }
  return Math.max(0, length);
}

/** Undefined if the disk cannot read it. @throws {DiskError} any other */
export async function readOrUndefined(file: Readable, into: Uint8Array, position: number): Promise<number | undefined> {
  try {
    return await file.read(into, position);
  } catch (error) {
    if (error instanceof DiskError && error.code === "IO_ERROR") return undefined;
    throw error;
  }
}

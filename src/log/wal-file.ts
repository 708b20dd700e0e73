/** One WAL file, as the engine knows it. */
import type { DiskFile } from "../runtime/disk.ts";
import type { Identity } from "./block.ts";
import type { FileIndex } from "./file-index.ts";
import { FILE_HEADER_BYTES, fileName } from "./file-header.ts";
import type { Damage } from "./types.ts";

export class WalFile {
  readonly number: number;
  readonly name: string;
  readonly path: string;
  readonly identity: Identity;
  /** How many groups have readable entries in it. */
  extents = 0;
  /** In memory until the file is sealed. */
  index: FileIndex | undefined = undefined;
  /** Open for writing: the current file, the next one, and one that is not sealed yet. */
  writable: DiskFile | undefined = undefined;
  /** Behind the last block. */
  end = FILE_HEADER_BYTES;
  /** Of its first block; 0 while it has none. */
  firstSequence = 0;
  /** The sequence that follows its last block's. */
  nextSequence = 0;
  /** As its last block says. */
  oldestFile = 0;
  sizeBytes = 0;
  damage: Damage[] = [];
  /** What is behind its last block is damaged: nothing may be added. */
  closed = false;
  /** Only its summary is left: all its entries were gone. */
  stub = false;

  constructor(folder: string, number: number, identity: Identity) {
    this.number = number;
    this.name = fileName(number);
    this.path = `${folder}/${this.name}`;
    this.identity = identity;
  }

  get sealed(): boolean {
    return this.index === undefined;
  }
}

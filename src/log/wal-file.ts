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
  /** How many groups have readable entries in it, and about how many bytes those are. */
  extents = 0;
  liveBytes = 0;
  /** 0, or how many blocks: it was written anew, with what was still needed of the files from `firstNumber` on. */
  compactedBlocks = 0;
  firstNumber: number;
  /** Of a compacted file: what it says of groups, and its tables; written anew they would be there again. */
  keptBytes = 0;
  /** Another file takes its place: nothing in it may be looked for until that is done. */
  moved: Promise<void> | undefined = undefined;
  /** It could not be read whole: it stays as it is. */
  unfit = false;
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

  constructor(folder: string, number: number, identity: Identity) {
    this.number = number;
    this.firstNumber = number;
    this.name = fileName(number);
    this.path = `${folder}/${this.name}`;
    this.identity = identity;
  }

  /** What is left of it when it is compacted, about. */
  get neededBytes(): number {
    return this.liveBytes + this.keptBytes;
  }

  /** Bytes that nobody needs any more, and the tables of blocks that were not compacted yet. */
  get deadBytes(): number {
    return Math.max(0, this.end - FILE_HEADER_BYTES - this.neededBytes);
  }

  get sealed(): boolean {
    return this.index === undefined;
  }
}

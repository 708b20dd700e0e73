/**
 * Makes a WAL file's header again when both copies are destroyed: each block, and the trailer, names the file's identity
 * under a checksum. Nothing is lost then; without either nobody can tell what the rest of the file is.
 */
import type { DiskFile } from "../runtime/disk.ts";
import { BLOCK_HEADER_BYTES, blockBytes, decodeBlockHeader } from "./block.ts";
import { FILE_HEADER_BYTES, type FileHeader } from "./file-header.ts";
import type { Trailer } from "./footer.ts";
import { DEFAULT_LOG_LIMITS } from "./limits.ts";
import { findBlock } from "./scan.ts";
import { readOrUndefined, ScanWindow } from "./scan-window.ts";
import { identityIn, readTrailer } from "./trailer.ts";
import { WalFile } from "./wal-file.ts";

const SCAN_BYTES = 64 * 1024;

/** All but whose log it is: the other files tell. */
export type HeaderAgain = Omit<FileHeader, "logIdentity">;

/**
 * `before`: the number of the file before it, 0 if it is the first one. Undefined: the file's first block and its trailer
 * are destroyed, too, or it never had any. @throws {DiskError}
 */
export async function headerAgain(file: DiskFile, number: number, before: number): Promise<HeaderAgain | undefined> {
  const trailer = await readTrailer(file, await file.sizeBytes());
  if (trailer) return await sealedHeader(file, number, before, trailer);
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  if (await readOrUndefined(file, bytes, FILE_HEADER_BYTES) !== bytes.length) return undefined;
  const first = decodeBlockHeader(bytes, 0, identityIn(bytes));
  return first && { number, identity: first.identity, compactedBlocks: 0, firstNumber: number };
}

/**
 * A compacted file's blocks are numbered from 1, whatever its trailer says of the files that it stands for: all those behind
 * the one before it. Were there others, the numbers of the blocks tell that they are missed.
 */
async function sealedHeader(
  file: DiskFile,
  number: number,
  before: number,
  { identity, firstSequence, nextSequence, blocksEnd, oldestFile }: Trailer,
): Promise<HeaderAgain> {
  const { first, last, isWhole } = await walk(file, new WalFile("", number, identity), blocksEnd);
  const stands = before > 0 && before < number - 1;
  // Its own first block is there, then; that the last one is not means that it was lost when the file was sealed.
  const isPlain = first > 1 && first === firstSequence;
  const isOther = (first > 0 && first < firstSequence) || (isWhole && last !== nextSequence - 1);
  const isCompacted = stands || (isOther && !isPlain);
  if (!isCompacted) return { number, identity, compactedBlocks: 0, firstNumber: number };
  const firstNumber = before > 0 ? before + 1 : Math.max(1, Math.min(number, oldestFile));
  // One more than can be counted: so that whoever reads the blocks misses it.
  return { number, identity, compactedBlocks: isWhole ? last : last + 1, firstNumber };
}

interface Walked {
  /** Sequences of the first and the last block with an intact header; 0: there is none. */
  readonly first: number;
  readonly last: number;
  /** The last one ends where the blocks end. */
  readonly isWhole: boolean;
}

async function walk(file: DiskFile, walFile: WalFile, blocksEnd: number): Promise<Walked> {
  const { searchBytes } = DEFAULT_LOG_LIMITS;
  const window = new ScanWindow(file, SCAN_BYTES);
  let first = 0;
  let last = 0;
  let position = FILE_HEADER_BYTES;
  while (position < blocksEnd) {
    const header = decodeBlockHeader(await window.bytes(position, BLOCK_HEADER_BYTES), 0, walFile.identity);
    if (header) {
      first ||= header.sequence;
      last = header.sequence;
      position += blockBytes(header);
      continue;
    }
    const next = await findBlock(window, walFile, position, last, searchBytes);
    if (!next || next.at >= blocksEnd) break;
    position = next.at;
  }
  return { first, last, isWhole: position === blocksEnd };
}

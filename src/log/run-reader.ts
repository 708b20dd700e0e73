/** Reads entries from pieces of one file: neighbouring pieces in one read, several reads under way at once. */
import { Entry, ENTRY_HEADER_BYTES, readU64 } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import type { LogLimits } from "./limits.ts";
import type { Piece } from "./run-table.ts";
import { type GroupId, LogError, type TakeMemory } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

/** Takes entries in order; false: enough. */
export type TakeEntry = (entry: Entry) => boolean;

/** Where pieces are read from, and how. */
export interface PieceSource {
  readonly file: WalFile;
  readonly group: GroupId;
  /** Fills `into` from the file; undefined where the disk cannot. */
  readonly read: (into: Uint8Array, position: number) => Promise<number | undefined>;
  readonly memory: TakeMemory;
  readonly limits: Pick<LogLimits, "readBytesMax" | "readGapBytes" | "readsMax">;
}

/**
 * Gives the entries of `pieces` from `fromIndex` on, each verified, until `take` has enough; whether it wants more.
 * @throws {LogError} `CORRUPT`, at the first entry that is damaged
 */
export async function readPieces(
  source: PieceSource,
  pieces: readonly Piece[],
  fromIndex: number,
  take: TakeEntry,
): Promise<boolean> {
  const underWay: Reading[] = [];
  try {
    for (let next = 0; next < pieces.length || underWay.length > 0;) {
      while (next < pieces.length && underWay.length < source.limits.readsMax) {
        const reading = begin(source, pieces.slice(next, next + neighbours(pieces, next, source.limits)));
        underWay.push(reading);
        next += reading.pieces.length;
      }
      const isWanted = await give(source, underWay[0]!, fromIndex, take);
      underWay.shift();
      if (!isWanted) return false;
    }
    return true;
  } finally {
    // Who closes the file may rely on nothing being read from it any more.
    await Promise.allSettled(underWay.map(({ filled }) => filled));
  }
}

/** Pieces that are read at once. */
interface Reading {
  readonly pieces: readonly Piece[];
  readonly bytes: Uint8Array;
  readonly filled: Promise<number | undefined>;
}

function begin(source: PieceSource, pieces: readonly Piece[]): Reading {
  const { position } = pieces[0]!;
  const bytes = source.memory(endOf(pieces.at(-1)!) - position);
  const filled = source.read(bytes, position);
  // Whoever comes to it hears of the error; until then it must not count as unhandled.
  filled.catch(() => {});
  return { pieces, bytes, filled };
}

async function give(source: PieceSource, reading: Reading, fromIndex: number, take: TakeEntry): Promise<boolean> {
  const { pieces, bytes, filled } = reading;
  const { position, firstIndex } = pieces[0]!;
  const place = { ...source, position, bytes };
  if (await filled === undefined) {
    if (pieces.length === 1) throw corrupt(place, Math.max(fromIndex, firstIndex), 0);
    // A place that cannot be read must not take its neighbours with it.
    const alone = { ...source, limits: { ...source.limits, readBytesMax: 0 } };
    return await readPieces(alone, pieces, fromIndex, take);
  }
  return pieces.every((piece) => givePiece(place, piece, fromIndex, take));
}

interface Source {
  readonly file: WalFile;
  readonly group: GroupId;
  /** Of the first of `bytes` in the file. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

function endOf(piece: Piece): number {
  return piece.position + piece.bytes;
}

/** How many pieces from `first` on are read at once. */
function neighbours(pieces: readonly Piece[], first: number, limits: PieceSource["limits"]): number {
  const { position } = pieces[first]!;
  let count = 1;
  while (first + count < pieces.length) {
    const following = pieces[first + count]!;
    if (following.position - endOf(pieces[first + count - 1]!) > limits.readGapBytes) break;
    if (endOf(following) - position > limits.readBytesMax) break;
    count++;
  }
  return count;
}

function givePiece(source: Source, piece: Piece, fromIndex: number, take: TakeEntry): boolean {
  const end = endOf(piece) - source.position;
  let at = piece.position - source.position;
  for (let index = piece.firstIndex; index <= piece.lastIndex;) {
    const entry = parse(source.bytes, at, index);
    if (!entry && index < fromIndex) {
      // Its length is not known any more: looks for the next one, for what is wanted comes after.
      const next = findNext(source.bytes, at + 1, end, index, piece.lastIndex);
      if (!next || next.index > fromIndex) throw corrupt(source, fromIndex, next?.at ?? at);
      ({ at, index } = next);
      continue;
    }
    if (!entry) throw corrupt(source, index, at);
    if (index >= fromIndex) {
      verify(source, entry, at);
      if (!take(entry)) return false;
    }
    at += entry.byteLength;
    index++;
  }
  return true;
}

/**
 * The first intact header behind a damaged one, of an entry up to `lastIndex`, from which entry follows entry up to the
 * end: a payload that holds what looks like an entry does not pass.
 */
function findNext(
  bytes: Uint8Array,
  from: number,
  end: number,
  damaged: number,
  lastIndex: number,
): { at: number; index: number } | undefined {
  for (let at = from; at + ENTRY_HEADER_BYTES <= end; at++) {
    const index = readU64(bytes, at + 24);
    if (index > damaged && index <= lastIndex && reachesEnd(bytes, at, end, index, lastIndex)) return { at, index };
  }
  return undefined;
}

function reachesEnd(bytes: Uint8Array, from: number, end: number, firstIndex: number, lastIndex: number): boolean {
  let index = firstIndex;
  let at = from;
  for (let entry = parse(bytes, at, index); entry; entry = at < end ? parse(bytes, at, index) : undefined) {
    at += entry.byteLength;
    index++;
  }
  return at === end && index > lastIndex;
}

function parse(bytes: Uint8Array, at: number, index: number): Entry | undefined {
  try {
    const entry = Entry.parse(bytes, at);
    return entry.index === index ? entry : undefined;
  } catch (error) {
    if (error instanceof RecordsError) return undefined;
    throw error;
  }
}

function verify(source: Source, entry: Entry, at: number): void {
  try {
    entry.verifyPayload();
  } catch (error) {
    if (error instanceof RecordsError) throw corrupt(source, entry.index, at, error);
    throw error;
  }
}

function corrupt(source: Source, index: number, at: number, cause?: unknown): LogError {
  const { file, group } = source;
  const position = source.position + at;
  return new LogError("CORRUPT", `entry ${index} of group ${group} is damaged, at byte ${position} of ${file.name}`, {
    file: file.name,
    position,
    cause,
  });
}

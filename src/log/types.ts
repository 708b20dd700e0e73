/** What the log engine takes and tells: the contract between src/log and the host of the groups. */
import type { Configuration, HardState } from "../raft/types.ts";
import type { Entry } from "../records/entry.ts";

/** A group's number in its cluster, unique for ever (u32). */
export type GroupId = number;

/** All that one Ready of one group asks to make durable; atomic: after a crash all of it is there or none. */
export interface GroupWrite {
  readonly group: GroupId;
  /** Raft's term and vote; if absent the last one stays. Its `commit` may be written or not: it is a hint. */
  readonly hardState: HardState | undefined;
  /** Entries from this index on are gone before `entries` are added; 0 for none. */
  readonly truncateFrom: number;
  readonly entries: readonly Entry[];
  /** Replaces the group's checkpoint; see {@link Checkpoint}. */
  readonly checkpoint: Checkpoint | undefined;
  /** With a checkpoint that came from the leader: the whole log is replaced, and starts after it. */
  readonly resetLog: boolean;
}

/** The small state of a state machine at an index: recovery starts from it instead of from the log's first entry. */
export interface Checkpoint {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  /** Offset of the first record after `index`. */
  readonly nextOffset: number;
  readonly state: Uint8Array;
}

/** What the engine knows of a group, from memory. */
export interface GroupLog {
  readonly group: GroupId;
  /** First index that can be read; lastIndex + 1 when there is none. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Term of the entry before firstIndex; 0: there is none, or it is not known. */
  readonly previousTerm: number;
  /** Offset of the first readable record. */
  readonly startOffset: number;
  /** Terms by where they begin: `[firstIndex of the term, term]`, ascending. Covers firstIndex to lastIndex. */
  readonly terms: readonly (readonly [number, number])[];
  readonly hardState: HardState;
  readonly checkpoint: Checkpoint | undefined;
  readonly sizeBytes: number;
  /** Of all readable entries; 0 when there is none with a time. */
  readonly newestTimestampMs: number;
  /** Entries that were durable once and are damaged on this disk; clipped by truncation, trim and reset. */
  readonly damage: readonly IndexRange[];
  /**
   * A part of the log was destroyed whose groups cannot be told any more: this group's last entries, term or vote may
   * have been in it. It must not vote until it is repaired; see {@link Log.repaired}.
   */
  readonly suspect: boolean;
}

/** From `first` to `last`, both inclusive. */
export interface IndexRange {
  readonly first: number;
  readonly last: number;
}

/** What `openLog` found and did. */
export interface RecoveryReport {
  /** There was no file: the log begins now. */
  readonly isNew: boolean;
  readonly files: number;
  /** Blocks and bytes that had to be read again; what was sealed is not. */
  readonly scannedBlocks: number;
  readonly scannedBytes: number;
  /** The torn end of the log: never acknowledged, cut away. */
  readonly cut: { readonly file: string; readonly position: number; readonly bytes: number } | undefined;
  readonly damage: readonly Damage[];
  /** Sealed files whose index was damaged and was made again from their blocks. */
  readonly rebuiltIndexes: readonly string[];
  /** Files whose header was destroyed in both copies and was made again from their blocks. */
  readonly rebuiltHeaders: readonly string[];
}

/** A damaged place. Without a group: nobody can tell whose it was, and every group is `suspect`. */
export interface Damage {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  readonly group: GroupId | undefined;
  readonly lost: IndexRange | undefined;
}

/** Where a read puts what it reads from the disk: so many bytes, which are its until the entries are not needed any more. */
export type TakeMemory = (byteLength: number) => Uint8Array;

export interface Log {
  /** All groups found on disk, after recovery. */
  groups(): Iterable<GroupLog>;
  group(group: GroupId): GroupLog | undefined;
  /**
   * Queues writes; `onDurable` is called when all of them are durable, in the order of the calls. Everything queued
   * while one disk write is under way goes out together next. The engine keeps references to the entries' bytes
   * only until then.
   */
  write(writes: readonly GroupWrite[], onDurable: () => void): void;
  /** How long a write to the disk takes just now, in ms; 0 when nothing is known. */
  readonly writeMs: number;
  /** Bytes of entries that compaction has written anew since the log was opened. */
  readonly compactedBytes: number;
  /** Bytes queued or being written: where the host's back-pressure looks. */
  readonly pendingBytes: number;
  /**
   * Whole entries from `fromIndex` on, at least one, until `bytesMax` is passed or `toIndex` (inclusive) reached.
   * Only durable entries. Checksums verified. The entries are views of memory of their own, or of what `memory` gave.
   * @throws {LogError} `TRIMMED` (before the start), `OUT_OF_RANGE` (after the end), `CORRUPT`, `CLOSED`
   */
  read(
    group: GroupId,
    fromIndex: number,
    toIndex: number,
    bytesMax: number,
    memory?: TakeMemory,
  ): Promise<Entry[]>;
  /** Index of the entry that holds `offset`, or of a later one if records are missing; for {@link read}. */
  seekOffset(group: GroupId, offset: number): Promise<number>;
  /** Index of the first entry whose max timestamp is at or after `timestampMs`; lastIndex + 1 if none. */
  seekTime(group: GroupId, timestampMs: number): Promise<number>;
  /** The first index from which on the group's entries have at most `bytes`, about: where a trim to that size begins. */
  seekSize(group: GroupId, bytes: number): Promise<number>;
  /**
   * The log before `firstIndex` may go. Durable with a later write; forgotten by a crash before. `startOffset`: of the
   * first record kept; without it the engine takes what it knows from memory (the checkpoint before `firstIndex`, or
   * the start of the run of entries that holds it, which may be a little lower). `termBefore`: of the entry before
   * `firstIndex`; without it as the log itself knows it.
   */
  trim(group: GroupId, firstIndex: number, startOffset?: number, termBefore?: number): void;
  /** The group is gone for ever; its bytes may be given back. Durable like `trim`, with the next write. */
  remove(group: GroupId): void;
  /**
   * All that is here of the group goes, for a part of it is damaged: it is `suspect` from now on, in `term`, without a
   * vote, and empty, or begins behind `kept`. Until that is durable (the promise) nobody may do anything with it.
   */
  drop(group: GroupId, term: number, kept?: Checkpoint): Promise<void>;
  /** The group has again all it may have lost: it is not {@link GroupLog.suspect} any more. Durable like `trim`. */
  repaired(group: GroupId): void;
  /**
   * The disk is full. What was queued goes on from a reserve; the caller should refuse new batches with `DISK_FULL`
   * and write only what is small, until this is false again.
   */
  readonly full: boolean;
  /**
   * While it is full: what may still be queued of entries that others have too, in bytes; below 0 there is less than
   * what is small and vital should have. Infinity when it is not full.
   */
  readonly spareBytes: number;
  readonly report: RecoveryReport;
  /** After what was queued is durable; what finds no room on a full disk is given up: nobody was told of it. */
  close(): Promise<void>;
}

export type LogErrorCode =
  | "TRIMMED"
  | "OUT_OF_RANGE"
  | "CORRUPT"
  | "CLOSED"
  | "UNSUPPORTED_VERSION"
  | "FOREIGN_FILE"
  | "MISSING_FILE"
  | "DISK_FULL";

/** `file` and `position` name the place where one is known. */
export class LogError extends Error {
  readonly code: LogErrorCode;
  readonly file: string | undefined;
  readonly position: number | undefined;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions & { file?: string; position?: number }) {
    super(message, options);
    this.name = "LogError";
    this.code = code;
    this.file = options?.file;
    this.position = options?.position;
  }
}

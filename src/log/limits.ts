/** Bounds and sizes of the log engine, in bytes unless the name says otherwise. */
export interface LogLimits {
  /** One WAL file. A larger block makes one larger file. */
  readonly fileBytes: number;
  /** One group commit: entries in one write to the disk. One group's write is never split, and may pass it. */
  readonly blockBytesMax: number;
  /** Entries up to this size are copied together; larger ones go to the disk by reference. */
  readonly copyBytesMax: number;
  /** After a block smaller than `zeroLeadBelowBytes`, that many zeros are written too, so that the next small ones overwrite. */
  readonly zeroLeadBytes: number;
  readonly zeroLeadBelowBytes: number;
  /** A run of a group's entries in the index is split where it becomes longer. */
  readonly runBytesMax: number;
  /** A group's write below this size shares a run of the index with its neighbours, up to half of `runBytesMax`. */
  readonly sparseBelowBytes: number;
  /** Kept on disk to be given back when the disk is full; made when less than `reserveBelowFreeBytes` are free. */
  readonly reserveBytes: number;
  readonly reserveBelowFreeBytes: number;
  /** This share of it is for what is small and vital; the rest is for what is under way when the disk is found full. */
  readonly reserveVitalShare: number;
  /** How often free space is asked for while the disk is full. */
  readonly fullRetryMs: number;
  /** A sealed file is written anew when less than this share of it is still needed… */
  readonly compactBelowShare: number;
  /** … and so many bytes come free by it, together with its neighbours… */
  readonly compactFreesBytesMin: number;
  /** … or so many small files become one. */
  readonly compactFilesMin: number;
  /** How fast compaction reads and writes: the disk has others to serve. */
  readonly compactBytesPerSecond: number;
  /** How fast sealed files are read to see whether they are still what was written, … */
  readonly scrubBytesPerSecond: number;
  /** … and how long after one such pass the next one begins. */
  readonly scrubEveryMs: number;
  /** One read from the disk. */
  readonly readBytesMax: number;
  /** Two extents with a smaller gap between them are read at once. */
  readonly readGapBytes: number;
  /** Reads under way at once; always fewer than the disk has threads, so that the writer never waits for one. */
  readonly readsMax: number;
  /** Index of sealed files kept in memory for reads. */
  readonly indexCacheBytes: number;
  /** Read at a time when an unsealed file is scanned. */
  readonly scanBytes: number;
  /** Behind the last intact block, so far is looked for another one (which proves damage); more than any block's size. */
  readonly searchBytes: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LOG_LIMITS: LogLimits = {
  fileBytes: 128 * MIB,
  blockBytesMax: 8 * MIB,
  copyBytesMax: 8 * KIB,
  zeroLeadBytes: 128 * KIB,
  zeroLeadBelowBytes: 32 * KIB,
  runBytesMax: 128 * KIB,
  sparseBelowBytes: 16 * KIB,
  reserveBytes: 128 * MIB,
  reserveBelowFreeBytes: 8 * 1024 * MIB,
  reserveVitalShare: 0.25,
  fullRetryMs: 500,
  compactBelowShare: 0.5,
  compactFreesBytesMin: 16 * MIB,
  compactFilesMin: 8,
  compactBytesPerSecond: 64 * MIB,
  scrubBytesPerSecond: 16 * MIB,
  scrubEveryMs: 24 * 3_600_000,
  readBytesMax: 2 * MIB,
  readGapBytes: 16 * KIB,
  readsMax: 12,
  indexCacheBytes: 16 * MIB,
  scanBytes: 4 * MIB,
  searchBytes: 32 * MIB,
};

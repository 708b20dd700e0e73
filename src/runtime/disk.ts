/** What Raftline needs of a disk. Paths are absolute or relative to the process; separators are "/". */
export interface Disk {
  /** Calls that it works on at once; what is beyond waits for one of them to end. */
  readonly threads: number;
  /**
   * Opens a file for positional reads and writes. `create`: make it, fails with `EXISTS` if it is there;
   * `write`: must exist; `read`: must exist, read only. `durable`: each `write` resolves only when its bytes are on disk,
   * as `write` and `sync` in one step (O_DSYNC): one hop to the disk instead of two. A rejection of such a write, other
   * than `DISK_FULL`, is as final as one of `sync`. `once`: what is read is not read again soon, and takes no page of the
   * system's cache.
   * @throws {DiskError}
   */
  open(path: string, mode: "create" | "write" | "read", access?: DiskAccess): Promise<DiskFile>;
  /** Makes a folder and its parents; no error if it is there. The entries are durable when it resolves. */
  makeFolder(path: string): Promise<void>;
  /** Names in a folder, sorted. Throws `NOT_FOUND` if there is no such folder. */
  list(path: string): Promise<DiskEntry[]>;
  /** Atomic replacement. Durable only after `syncFolder` of the parent. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a folder with all it holds. No error if it is not there. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in this folder durable. */
  syncFolder(path: string): Promise<void>;
  /** Free bytes for this process on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;
  /** Takes the folder for this process until `release`. @throws {DiskError} `LOCKED` if another process has it. */
  lock(folder: string): Promise<DiskLock>;
}

export type DiskAccess = "buffered" | "durable" | "once";

export interface DiskLock {
  release(): Promise<void>;
}

export interface DiskEntry {
  readonly name: string;
  readonly folder: boolean;
  readonly sizeBytes: number;
}

export interface DiskFile {
  readonly path: string;
  /** Size in bytes when last asked of the file system. */
  sizeBytes(): Promise<number>;
  /** Reads up to `into.length` bytes; returns how many there were (fewer only at the end of the file). */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all chunks, one after the other, from `position`; resolves when all are written (not yet durable). */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync. A rejection is final for the node: see `Runtime.fatal`. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

export type DiskErrorCode =
  | "NOT_FOUND"
  | "EXISTS"
  | "DISK_FULL"
  | "PERMISSION"
  | "LOCKED"
  | "IO_ERROR";

/** A disk operation that failed; `cause` is the platform's own error. */
export class DiskError extends Error {
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DiskError";
    this.code = code;
    this.path = path;
  }
}

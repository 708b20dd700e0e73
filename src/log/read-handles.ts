/** Files open for reading: a bounded number, the least recently used one is closed first. */
import type { Disk, DiskFile } from "../runtime/disk.ts";
import type { WalFile } from "./wal-file.ts";

const OPEN_MAX = 64;

interface Handle {
  readonly opened: Promise<DiskFile>;
  users: number;
}

/** What was to be read has another place, which is known when `done` resolves. */
export class FileMovedError extends Error {
  readonly done: Promise<void>;

  constructor(done: Promise<void>) {
    super("a file of the log is being replaced");
    this.name = "FileMovedError";
    this.done = done;
  }
}

export class ReadHandles {
  readonly #disk: Disk;
  /** In the order of use: the first one was used longest ago. */
  readonly #handles = new Map<string, Handle>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Runs `use` with the file open. @throws {DiskError} @throws {FileMovedError} */
  async with<T>(file: WalFile, use: (handle: DiskFile) => Promise<T>): Promise<T> {
    const { path } = file;
    if (file.moved) throw new FileMovedError(file.moved);
    const handle = this.#handles.get(path) ?? { opened: this.#disk.open(path, "read", "once"), users: 0 };
    this.#handles.delete(path);
    this.#handles.set(path, handle);
    handle.users++;
    try {
      const opened = await handle.opened;
      // It may be the other one already.
      if (file.moved) throw new FileMovedError(file.moved);
      return await use(opened);
    } catch (error) {
      if (this.#handles.get(path) === handle) this.#handles.delete(path);
      throw error;
    } finally {
      handle.users--;
      if (this.#handles.get(path) !== handle) this.#closeIfUnused(handle);
      else this.#evict();
    }
  }

  /** The file at this path is another one now, or gone: what reads it still may end. */
  forget(file: WalFile): void {
    const handle = this.#handles.get(file.path);
    if (!handle) return;
    this.#handles.delete(file.path);
    this.#closeIfUnused(handle);
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const { opened } of handles) await (await opened).close();
  }

  #evict(): void {
    for (const [path, handle] of this.#handles) {
      if (this.#handles.size <= OPEN_MAX) return;
      if (handle.users > 0) continue;
      this.#handles.delete(path);
      this.#closeIfUnused(handle);
    }
  }

  #closeIfUnused(handle: Handle): void {
    // A file that could not be opened needs no closing; its user has had the error.
    if (handle.users === 0) handle.opened.then((file) => file.close()).catch(() => {});
  }
}

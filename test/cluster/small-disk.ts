/** A real disk that holds so many bytes and no more: as a small file system would, it refuses whole what has no room. */
import { type Disk, type DiskAccess, DiskError, type DiskFile } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

export class SmallDisk {
  /** The same world, on this disk. */
  readonly runtime: Runtime;
  capacityBytes: number;
  readonly #sizes = new Map<string, number>();

  /** `folder`: what it holds; everything else is on a disk as large as the real one. */
  constructor(runtime: Runtime, capacityBytes: number, folder = "") {
    this.capacityBytes = capacityBytes;
    const { disk } = runtime;
    const isHere = (path: string) => path.startsWith(folder);
    this.runtime = {
      ...runtime,
      disk: {
        ...disk,
        open: async (path: string, mode: "create" | "write" | "read", access?: DiskAccess) => {
          const file = await disk.open(path, mode, access);
          if (!isHere(path)) return file;
          if (mode !== "read") this.#sizes.set(path, await file.sizeBytes());
          return new SmallDiskFile(file, this);
        },
        rename: async (from: string, to: string) => {
          await disk.rename(from, to);
          const bytes = this.#sizes.get(from);
          this.#sizes.delete(from);
          if (bytes !== undefined) this.#sizes.set(to, bytes);
        },
        remove: async (path: string) => {
          await disk.remove(path);
          for (const name of [...this.#sizes.keys()]) {
            if (name === path || name.startsWith(`${path}/`)) this.#sizes.delete(name);
          }
        },
        freeBytes: (path: string) =>
          isHere(path) ? Promise.resolve(Math.max(0, this.capacityBytes - this.usedBytes)) : disk.freeBytes(path),
      } satisfies Disk,
    };
  }

  get usedBytes(): number {
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** @throws {DiskError} `DISK_FULL` */
  grow(path: string, sizeBytes: number): void {
    const held = this.#sizes.get(path) ?? 0;
    if (sizeBytes <= held) return;
    if (this.usedBytes + sizeBytes - held > this.capacityBytes) {
      throw new DiskError("DISK_FULL", path, `no space for ${sizeBytes - held} bytes more of ${path}`);
    }
    this.#sizes.set(path, sizeBytes);
  }

  /** What it is longer by is a hole and takes no space yet. */
  truncated(path: string, sizeBytes: number): void {
    this.#sizes.set(path, Math.min(sizeBytes, this.#sizes.get(path) ?? 0));
  }
}

class SmallDiskFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #disk: SmallDisk;

  constructor(file: DiskFile, disk: SmallDisk) {
    this.path = file.path;
    this.#file = file;
    this.#disk = disk;
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#file.read(into, position);
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.#disk.grow(this.path, chunks.reduce((end, { length }) => end + length, position));
    await this.#file.write(chunks, position);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#file.truncate(sizeBytes);
    this.#disk.truncated(this.path, sizeBytes);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

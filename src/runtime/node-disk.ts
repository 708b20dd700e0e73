/** The real disk, over `node:fs`, for Node and Deno alike. */
import fs from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { AlignedMemoryPool } from "./aligned-memory.ts";
import { AlignedSlots, DirectReads } from "./direct-reads.ts";
import { DirectWrites } from "./direct-writes.ts";
import { type Disk, type DiskEntry, DiskError, type DiskFile, type DiskLock } from "./disk.ts";
import { toDiskError } from "./disk-errors.ts";
import type { Descriptors } from "./descriptors.ts";
import { lockFolder } from "./folder-lock.ts";

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
const FLAGS = { create: O_RDWR | O_CREAT | O_EXCL, write: O_RDWR, read: O_RDONLY } as const;
/** Absent where the system has none: a write there is followed by fdatasync. */
const O_DSYNC: number | undefined = fs.constants.O_DSYNC;
/** Around the page cache; absent where the system has none. */
const O_DIRECT: number | undefined = fs.constants.O_DIRECT;

/** Deno has a thread for each call; libuv has four, unless it was told otherwise before it began. */
const THREADS = "Deno" in globalThis ? 64 : Math.max(1, Number(process.env["UV_THREADPOOL_SIZE"] ?? 4) || 1);

export function createNodeDisk(descriptors: Descriptors): Disk {
  const memories = new AlignedMemoryPool();
  const slots = new AlignedSlots();
  return {
    threads: THREADS,
    async open(path, mode, access): Promise<DiskFile> {
      const durable = access === "durable";
      const flags = FLAGS[mode] | (durable ? O_DSYNC ?? 0 : 0);
      const fd = await descriptors.take(() => openFile(path, flags));
      const file = new NodeFile(path, fd, durable && O_DSYNC === undefined);
      if (durable) await file.openDirect(memories);
      if (access === "once") await file.readDirect(slots);
      return file;
    },
    makeFolder: (path) => makeFolder(descriptors, path),
    async list(path): Promise<DiskEntry[]> {
      const names = await descriptors.take(() => call<string[]>(path, "list", (done) => fs.readdir(path, done)));
      return Promise.all(
        names.sort().map(async (name) => {
          const stats = await call<fs.Stats>(`${path}/${name}`, "stat", (done) => fs.stat(`${path}/${name}`, done));
          return { name, folder: stats.isDirectory(), sizeBytes: stats.size };
        }),
      );
    },
    rename: (from, to) => call<void>(from, "rename", (done) => fs.rename(from, to, done)),
    remove: (path) => call<void>(path, "remove", (done) => fs.rm(path, { recursive: true, force: true }, done)),
    syncFolder: (path) => syncFolder(descriptors, path),
    async freeBytes(path): Promise<number> {
      const stats = await call<fs.StatsFs>(path, "statfs", (done) => fs.statfs(path, done));
      return stats.bavail * stats.bsize;
    },
    async lock(folder): Promise<DiskLock> {
      await makeFolder(descriptors, folder);
      return lockFolder(folder);
    },
  };
}

/** Not by `recursive`: where a folder cannot be made though its parent is there (/proc), Node tries for ever. */
async function makeFolder(descriptors: Descriptors, path: string): Promise<void> {
  try {
    if (!await madeFolder(path)) return;
  } catch (error) {
    if ((error as DiskError).code !== "NOT_FOUND" || dirname(path) === path) throw error;
    await makeFolder(descriptors, dirname(path));
    await madeFolder(path);
  }
  // It is an entry of its parent.
  await syncFolder(descriptors, dirname(path));
}

/** False: it is there. */
async function madeFolder(path: string): Promise<boolean> {
  try {
    await call<void>(path, "mkdir", (done) => fs.mkdir(path, done));
    return true;
  } catch (error) {
    const { code } = error as DiskError;
    const stats = code === "EXISTS" && await call<fs.Stats>(path, "stat", (done) => fs.stat(path, done));
    if (!stats || !stats.isDirectory()) throw error;
    return false;
  }
}

async function syncFolder(descriptors: Descriptors, path: string): Promise<void> {
  const fd = await descriptors.take(() => openFile(path, O_RDONLY));
  try {
    await call<void>(path, "fsync", (done) => fs.fsync(fd, done));
  } finally {
    await call<void>(path, "close", (done) => fs.close(fd, done));
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;
  readonly #syncEachWrite: boolean;
  #direct: { readonly fd: number; readonly writes: DirectWrites } | undefined;
  #once: { readonly fd: number; readonly reads: DirectReads } | undefined;
  /** The last write that goes around the page cache, undefined when it is done: they have to come one after the other. */
  #turn: Promise<void> | undefined;

  constructor(path: string, fd: number, syncEachWrite: boolean) {
    this.path = path;
    this.#fd = fd;
    this.#syncEachWrite = syncEachWrite;
  }

  /** Durable writes go around the page cache from now on, where the file system lets them. */
  async openDirect(memories: AlignedMemoryPool): Promise<void> {
    if (O_DSYNC === undefined || O_DIRECT === undefined) return;
    const fd = await openIfPossible(this.path, O_RDWR | O_DSYNC | O_DIRECT);
    if (fd === undefined) return;
    const calls = {
      writeDirect: (bytes: Uint8Array, position: number) =>
        new Promise<number>((resolve, reject) => {
          fs.write(fd, bytes, 0, bytes.length, position, (error, count) => error ? reject(error) : resolve(count));
        }),
      read: (into: Uint8Array, position: number) => this.read(into, position),
    };
    this.#direct = { fd, writes: new DirectWrites(calls, memories, await this.sizeBytes()) };
  }

  /** Reads go around the page cache from now on, where the file system lets them. */
  async readDirect(slots: AlignedSlots): Promise<void> {
    const fd = O_DIRECT === undefined ? undefined : await openIfPossible(this.path, O_RDONLY | O_DIRECT);
    if (fd === undefined) return;
    const read = (into: Uint8Array, position: number) =>
      new Promise<number>((resolve, reject) => {
        fs.read(fd, into, 0, into.length, position, (error, count) => error ? reject(error) : resolve(count));
      });
    this.#once = { fd, reads: new DirectReads(read, slots) };
  }

  async sizeBytes(): Promise<number> {
    return (await call<fs.Stats>(this.path, "stat", (done) => fs.fstat(this.#fd, done))).size;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    try {
      const count = await this.#once?.reads.read(into, position);
      if (count !== undefined) return count;
    } catch (error) {
      throw toDiskError(this.path, "read", error as NodeJS.ErrnoException);
    }
    return await this.#readCached(into, position);
  }

  async #readCached(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const at = filled;
      const count = await call<number>(
        this.path,
        "read",
        (done) => fs.read(this.#fd, into, at, into.length - at, position + at, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    if (!this.#direct) return this.#writeCached(chunks, position);
    const before = this.#turn;
    const written = before === undefined
      ? this.#writeDirect(chunks, position)
      : before.then(() => this.#writeDirect(chunks, position));
    const done = () => {
      if (this.#turn === turn) this.#turn = undefined;
    };
    const turn = written.then(done, done);
    this.#turn = turn;
    return written;
  }

  async #writeCached(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.#writeAll(chunks, position);
    if (this.#syncEachWrite) await this.sync();
  }

  async #writeDirect(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const { writes } = this.#direct!;
    const byteLength = byteLengthOf(chunks);
    try {
      if (await writes.write(chunks, position, byteLength)) return;
    } catch (error) {
      throw error instanceof DiskError ? error : toDiskError(this.path, "write", error as NodeJS.ErrnoException);
    }
    await this.#writeAll(chunks, position);
    writes.wroteOtherwise(position + byteLength);
  }

  async #writeAll(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let rest = chunks;
    let at = position;
    for (;;) {
      const wanted = byteLengthOf(rest);
      if (wanted === 0) return;
      const from = at;
      const list = rest;
      const written = await call<number>(
        this.path,
        "write",
        (done) => fs.writev(this.#fd, list as unknown as NodeJS.ArrayBufferView[], from, done),
      );
      if (written === wanted) return;
      rest = dropBytes(rest, written);
      at += written;
    }
  }

  sync(): Promise<void> {
    return call<void>(this.path, "fdatasync", (done) => fs.fdatasync(this.#fd, done));
  }

  async truncate(sizeBytes: number): Promise<void> {
    await call<void>(this.path, "truncate", (done) => fs.ftruncate(this.#fd, sizeBytes, done));
    this.#direct?.writes.truncated(sizeBytes);
  }

  async close(): Promise<void> {
    const direct = this.#direct;
    const once = this.#once;
    this.#direct = undefined;
    this.#once = undefined;
    if (once) await call<void>(this.path, "close", (done) => fs.close(once.fd, done));
    if (direct) {
      await this.#turn;
      direct.writes.close();
      await call<void>(this.path, "close", (done) => fs.close(direct.fd, done));
    }
    await call<void>(this.path, "close", (done) => fs.close(this.#fd, done));
  }
}

function openFile(path: string, flags: number): Promise<number> {
  return call<number>(path, "open", (done) => fs.open(path, flags, 0o600, done));
}

/** Undefined: the file system does not take these flags, or no descriptor is free: whoever has one already waits for no second. */
async function openIfPossible(path: string, flags: number): Promise<number | undefined> {
  try {
    return await openFile(path, flags);
  } catch {
    return undefined;
  }
}

function byteLengthOf(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  return total;
}

/** What is left of the chunks after a write that took only `count` bytes. */
function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let drop = count;
  for (const chunk of chunks) {
    if (drop >= chunk.length) drop -= chunk.length;
    else {
      rest.push(drop === 0 ? chunk : chunk.subarray(drop));
      drop = 0;
    }
  }
  return rest;
}

type Done<T> = (error: NodeJS.ErrnoException | null, result?: T) => void;

/** Calls an `fs` function with a callback; its errors become `DiskError`s. */
function call<T>(path: string, what: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error) reject(toDiskError(path, what, error));
      else resolve(result as T);
    });
  });
}

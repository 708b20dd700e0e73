/**
 * A disk in memory, deterministic, with the faults of a real one. One object is the machine's disk and outlives its
 * processes; each process works through a view of its own, that goes silent when it is killed or power is lost.
 */
import {
  type Disk,
  type DiskAccess,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
} from "../../src/runtime/disk.ts";
import type { Random, Timers } from "../../src/runtime/runtime.ts";
import { type Change, cut, lengthOf, SimulatedFile, type Survival, SURVIVALS } from "./disk-file.ts";
import { parentOf, SimulatedNames } from "./disk-folder.ts";
import { PAGE_BYTES } from "./disk-pages.ts";

export interface DiskTimes {
  /** Of any operation, from and to; most are near the lower bound. */
  readonly latencyMs: readonly [number, number];
  readonly bytesPerMs: number;
}

export interface Operation {
  /** 1, 2, 3, … over the disk's whole life. */
  readonly number: number;
  readonly name: string;
  readonly path: string;
  /** `before` it has any effect, `during` (a crash now can tear it), `after` its effect but before the caller knows. */
  readonly phase: "before" | "during" | "after";
}

export interface CrashOptions {
  /** Drawn for each file if left out. */
  readonly survival?: Survival;
  /** What the disk writes whole. */
  readonly pieceBytes?: 512 | 4096;
}

const DEFAULT_TIMES: DiskTimes = { latencyMs: [0.05, 0.4], bytesPerMs: 300_000 };

export class SimulatedDisk {
  /** Faults that a test or a plan of faults sets. */
  readonly faults = {
    /** All times are multiplied by it. */
    slowness: 1,
    /** Bytes that fit. */
    quotaBytes: Infinity,
    /** So many syncs (and durable writes) from now on fail with `IO_ERROR`. */
    syncErrors: 0,
  };
  /** Called at each phase of each operation; it may crash the disk. */
  onOperation: (operation: Operation) => void = () => {};
  operations = 0;
  readonly #random: Random;
  readonly #timers: Timers;
  readonly #times: DiskTimes;
  readonly #names = new SimulatedNames();
  /** Files that are open, so that a removed one is still written and crashed with the others. */
  readonly #open = new Map<SimulatedFile, number>();
  #locked = new Set<string>();
  /** Views of a lower number are silent. */
  #life = 0;

  /** `timers`: the simulator's, not a process's; each completion is an event of its own. */
  constructor(random: Random, timers: Timers, times: DiskTimes = DEFAULT_TIMES) {
    this.#random = random;
    this.#timers = timers;
    this.#times = times;
  }

  /** The disk for a process that starts now. What an earlier one still waits for never comes. */
  attach(): Disk {
    const life = ++this.#life;
    return new View(this, () => life === this.#life);
  }

  /** The process is gone, the machine lives on: nothing that was written is lost, what is under way may be cut. */
  kill(): void {
    this.#life++;
    this.#locked.clear();
    for (const file of this.#files()) file.kill(this.#random);
    this.#open.clear();
  }

  /** Power is lost: what was not synced survives as `survival` says, or as is drawn for each file. */
  crash({ survival, pieceBytes }: CrashOptions = {}): void {
    this.#life++;
    this.#locked.clear();
    const draw = () => survival ?? SURVIVALS[this.#random.integer(SURVIVALS.length)]!;
    const piece = pieceBytes ?? (this.#random.next() < 0.5 ? 512 : 4096);
    for (const file of this.#files()) file.crash(draw(), piece, this.#random);
    this.#names.crash(draw(), this.#random);
    this.#open.clear();
  }

  /** Paths of all files. */
  paths(): string[] {
    return this.#names.paths();
  }

  /** A file's bytes as a process would read them. @throws {DiskError} `NOT_FOUND` */
  bytes(path: string): Uint8Array {
    const file = this.file(path);
    const bytes = new Uint8Array(file.size);
    file.read(bytes, 0);
    return bytes;
  }

  /** Bit rot. @throws {DiskError} `NOT_FOUND` */
  flipBit(path: string, position: number, bit: number): void {
    this.file(path).damage(position, (byte) => byte ^ (1 << bit));
  }

  /** A sector that reads as zeros. @throws {DiskError} `NOT_FOUND` */
  zero(path: string, position: number, lengthBytes: number): void {
    const file = this.file(path);
    for (let at = position; at < position + lengthBytes; at++) file.damage(at, () => 0);
  }

  /** A latent sector error: reads that touch the page at `position` fail. @throws {DiskError} `NOT_FOUND` */
  makeUnreadable(path: string, position: number): void {
    this.file(path).makeUnreadable(position);
  }

  /** An operator's doing: the file is gone, for good. */
  delete(path: string): void {
    this.#names.change({ kind: "remove", path });
    this.#names.sync(parentOf(path));
  }

  /** An operator's doing: a file with these bytes, durable. */
  put(path: string, bytes: Uint8Array): void {
    const file = new SimulatedFile();
    file.finish({ kind: "write", chunks: [bytes], position: 0 }, true);
    this.#names.change({ kind: "create", path, file });
    this.#names.sync(parentOf(path));
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#files()) bytes += file.allocatedBytes;
    return bytes;
  }

  // What follows is for the views.

  file(path: string): SimulatedFile {
    const file = this.#names.get(path);
    if (!file) throw new DiskError("NOT_FOUND", path, `there is no ${path}`);
    return file;
  }

  get names(): SimulatedNames {
    return this.#names;
  }

  opened(file: SimulatedFile): void {
    this.#open.set(file, (this.#open.get(file) ?? 0) + 1);
  }

  closed(file: SimulatedFile): void {
    const left = (this.#open.get(file) ?? 0) - 1;
    if (left > 0) this.#open.set(file, left);
    else this.#open.delete(file);
  }

  lock(folder: string): DiskLock {
    if (this.#locked.has(folder)) throw new DiskError("LOCKED", folder, `${folder} is locked`);
    this.#locked.add(folder);
    return {
      release: () => {
        this.#locked.delete(folder);
        return Promise.resolve();
      },
    };
  }

  /** How much of `change` fits; the whole if all does. */
  fits(file: SimulatedFile, change: Change): boolean {
    if (change.kind === "truncate" || this.faults.quotaBytes === Infinity) return true;
    const wanted = file.newBytes(change.position, lengthOf(change.chunks));
    return wanted === 0 || this.usedBytes + wanted <= this.faults.quotaBytes;
  }

  /** Whether the sync that ends now fails. */
  takeSyncError(): boolean {
    if (this.faults.syncErrors <= 0) return false;
    this.faults.syncErrors--;
    return true;
  }

  share(): number {
    return this.#random.next();
  }

  /** Runs one operation: `begin` when it is asked for, `end` at its completion, which gives its result or throws. */
  run<T>(
    alive: () => boolean,
    name: string,
    path: string,
    bytes: number,
    end: () => T,
    begin: () => void = () => {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!alive()) return;
      const number = ++this.operations;
      this.onOperation({ number, name, path, phase: "before" });
      if (!alive()) return;
      begin();
      this.onOperation({ number, name, path, phase: "during" });
      if (!alive()) return;
      this.#timers.after(this.#durationMs(bytes), () => {
        if (!alive()) return;
        try {
          const result = end();
          this.onOperation({ number, name, path, phase: "after" });
          if (alive()) resolve(result);
        } catch (error) {
          if (alive()) reject(error);
        }
      });
    });
  }

  #durationMs(bytes: number): number {
    const [low, high] = this.#times.latencyMs;
    const share = this.#random.next();
    const latencyMs = low + (high - low) * share * share * share;
    return (latencyMs + bytes / this.#times.bytesPerMs) * this.faults.slowness;
  }

  #files(): Set<SimulatedFile> {
    const files = this.#names.files();
    for (const file of this.#open.keys()) files.add(file);
    return files;
  }
}

class View implements Disk {
  readonly threads = 4;
  readonly #disk: SimulatedDisk;
  readonly #alive: () => boolean;

  constructor(disk: SimulatedDisk, alive: () => boolean) {
    this.#disk = disk;
    this.#alive = alive;
  }

  open(path: string, mode: "create" | "write" | "read", access?: DiskAccess): Promise<DiskFile> {
    return this.#run(mode === "create" ? "create" : "open", path, () => {
      const { names } = this.#disk;
      if (mode === "create") {
        if (names.get(path)) throw new DiskError("EXISTS", path, `${path} exists`);
        if (!names.hasFolder(parentOf(path))) throw new DiskError("NOT_FOUND", path, `there is no folder for ${path}`);
        names.change({ kind: "create", path, file: new SimulatedFile() });
      }
      const file = this.#disk.file(path);
      this.#disk.opened(file);
      return new OpenFile(this.#disk, this.#alive, path, file, mode, access === "durable");
    });
  }

  makeFolder(path: string): Promise<void> {
    return this.#run("makeFolder", path, () => this.#disk.names.makeFolder(path));
  }

  list(path: string): Promise<DiskEntry[]> {
    return this.#run("list", path, () => {
      if (!this.#disk.names.hasFolder(path)) throw new DiskError("NOT_FOUND", path, `there is no folder ${path}`);
      return this.#disk.names.list(path).map(({ name, file }) => ({
        name,
        folder: file === undefined,
        sizeBytes: file?.size ?? 0,
      }));
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", from, () => {
      this.#disk.file(from);
      this.#disk.names.change({ kind: "rename", from, to });
    });
  }

  remove(path: string): Promise<void> {
    return this.#run("remove", path, () => {
      const { names } = this.#disk;
      if (names.get(path)) names.change({ kind: "remove", path });
      else if (names.hasFolder(path)) names.removeFolder(path);
    });
  }

  syncFolder(path: string): Promise<void> {
    return this.#run("syncFolder", path, () => {
      if (this.#disk.takeSyncError()) throw new DiskError("IO_ERROR", path, `cannot sync ${path}`);
      this.#disk.names.sync(path);
    });
  }

  freeBytes(path: string): Promise<number> {
    return this.#run("freeBytes", path, () => {
      const { quotaBytes } = this.#disk.faults;
      return Math.max(0, Math.min(quotaBytes, Number.MAX_SAFE_INTEGER) - this.#disk.usedBytes);
    });
  }

  lock(folder: string): Promise<DiskLock> {
    return this.#run("lock", folder, () => {
      this.#disk.names.makeFolder(folder);
      return this.#disk.lock(folder);
    });
  }

  #run<T>(name: string, path: string, end: () => T): Promise<T> {
    return this.#disk.run(this.#alive, name, path, 0, end);
  }
}

class OpenFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimulatedDisk;
  readonly #alive: () => boolean;
  readonly #file: SimulatedFile;
  readonly #mode: "create" | "write" | "read";
  readonly #durable: boolean;
  #closed = false;

  constructor(
    disk: SimulatedDisk,
    alive: () => boolean,
    path: string,
    file: SimulatedFile,
    mode: "create" | "write" | "read",
    durable: boolean,
  ) {
    this.path = path;
    this.#disk = disk;
    this.#alive = alive;
    this.#file = file;
    this.#mode = mode;
    this.#durable = durable;
  }

  sizeBytes(): Promise<number> {
    return this.#run("sizeBytes", 0, () => this.#file.size);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#run("read", into.length, () => {
      if (!this.#file.canRead(position, into.length)) {
        throw new DiskError("IO_ERROR", this.path, `cannot read byte ${position} of ${this.path}`);
      }
      return this.#file.read(into, position);
    });
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const change: Change = { kind: "write", chunks, position };
    return this.#change(change, lengthOf(chunks), this.#durable);
  }

  truncate(size: number): Promise<void> {
    return this.#change({ kind: "truncate", size }, 0, false);
  }

  sync(): Promise<void> {
    let count = 0;
    return this.#run("sync", 0, () => {
      if (this.#disk.takeSyncError()) {
        this.#file.forsake(count);
        throw new DiskError("IO_ERROR", this.path, `cannot sync ${this.path}`);
      }
      this.#file.synced(count);
    }, () => {
      count = this.#file.unsyncedCount;
    });
  }

  async close(): Promise<void> {
    await this.#run("close", 0, () => this.#disk.closed(this.#file));
    this.#closed = true;
  }

  #change(change: Change, bytes: number, durable: boolean): Promise<void> {
    if (this.#mode === "read") {
      return Promise.reject(new DiskError("PERMISSION", this.path, `${this.path} is open to read`));
    }
    return this.#run(change.kind, bytes, () => {
      if (!this.#disk.fits(this.#file, change)) {
        // What had space stays, in whole pages.
        this.#file.fail(change, cut(change, this.#disk.share(), PAGE_BYTES));
        throw new DiskError("DISK_FULL", this.path, `no space for ${bytes} bytes of ${this.path}`);
      }
      if (durable && this.#disk.takeSyncError()) {
        this.#file.fail(change, change);
        this.#file.forsake(this.#file.unsyncedCount);
        throw new DiskError("IO_ERROR", this.path, `cannot write ${this.path}`);
      }
      this.#file.finish(change, durable);
    }, () => this.#file.begin(change));
  }

  #run<T>(name: string, bytes: number, end: () => T, begin?: () => void): Promise<T> {
    if (this.#closed) return Promise.reject(new DiskError("IO_ERROR", this.path, `${this.path} is closed`));
    return this.#disk.run(this.#alive, name, this.path, bytes, end, begin);
  }
}

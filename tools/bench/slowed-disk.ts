/** A disk that takes so many bytes a second and no more, whatever the real one would: a write ends when its bytes are through. */
import type { Disk, DiskAccess, DiskFile } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { sleep } from "../../src/runtime/sleep.ts";

/** The same world, on such a disk. Reads are as fast as ever. */
export function withSlowedDisk(runtime: Runtime, bytesPerSecond: number): Runtime {
  const { disk } = runtime;
  const gate = new Gate(runtime, bytesPerSecond);
  const open = async (path: string, mode: "create" | "write" | "read", access?: DiskAccess) =>
    new SlowedFile(await disk.open(path, mode, access), gate);
  return { ...runtime, disk: { ...disk, open } satisfies Disk };
}

/** All files of a disk share what it takes. */
class Gate {
  readonly #runtime: Runtime;
  readonly #bytesPerSecond: number;
  #freeAtMs = -Infinity;

  constructor(runtime: Runtime, bytesPerSecond: number) {
    this.#runtime = runtime;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when so many bytes, after all that came before, are through. */
  async pass(bytes: number): Promise<void> {
    const nowMs = this.#runtime.clock.monotonicMs();
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + bytes * 1000 / this.#bytesPerSecond;
    // A disk without a bound takes no timer either.
    if (this.#freeAtMs > nowMs) await sleep(this.#runtime, this.#freeAtMs - nowMs);
  }
}

class SlowedFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #gate: Gate;

  constructor(file: DiskFile, gate: Gate) {
    this.path = file.path;
    this.#file = file;
    this.#gate = gate;
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#file.read(into, position);
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const passed = this.#gate.pass(chunks.reduce((bytes, { length }) => bytes + length, 0));
    await Promise.all([this.#file.write(chunks, position), passed]);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#file.truncate(sizeBytes);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

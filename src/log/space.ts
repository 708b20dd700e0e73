/**
 * A full disk must not stop what is small and vital (terms, votes, the metadata shard): a reserve on disk is given back
 * when a write finds no space, and made again when there is enough. In between, and where it cannot be made, the log is
 * `full`: whoever writes into it should refuse what is large. What is under way may have a part of the reserve: its rest
 * is for what is vital. So it also counts what waits to be written.
 */
import { DiskError } from "../runtime/disk.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { inBackground } from "./background.ts";
import type { LogLimits } from "./limits.ts";
import { LogError } from "./types.ts";

export const RESERVE_NAME = "reserve.bin";
const ZEROS_BYTES = 1024 * 1024;

export class Space {
  readonly #runtime: Runtime;
  readonly #folder: string;
  readonly #limits: LogLimits;
  readonly #onFull: (full: boolean) => void;
  readonly #onLook: () => void;
  #full = false;
  #spareBytes = 0;
  #pendingBytes = 0;
  #reserved = false;
  #closed = false;
  #timer: Timer | undefined = undefined;
  #waiters: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];

  /** `onLook`: called whenever a full disk was looked at: what found no room to be given back may find it now. */
  constructor(
    runtime: Runtime,
    folder: string,
    limits: LogLimits,
    onFull: (full: boolean) => void,
    onLook: () => void,
  ) {
    this.#runtime = runtime;
    this.#folder = folder;
    this.#limits = limits;
    this.#onFull = onFull;
    this.#onLook = onLook;
  }

  get full(): boolean {
    return this.#full;
  }

  /** See `Log`. */
  get spareBytes(): number {
    return this.#full ? this.#spareBytes : Infinity;
  }

  /** Bytes queued or being written. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  queued(bytes: number): void {
    this.#pendingBytes += bytes;
    this.#spareBytes -= bytes;
  }

  written(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  /** `sizeBytes`: of the reserve that was found, 0 if there is none. */
  async start(sizeBytes: number): Promise<void> {
    this.#reserved = sizeBytes >= this.#limits.reserveBytes;
    await this.provide();
  }

  /** Makes the reserve, if space is getting scarce; the disk is full if there is no room for it. For every new file. */
  async provide(): Promise<void> {
    if (this.#reserved || this.#full || this.#closed) return;
    const free = await this.#runtime.disk.freeBytes(this.#folder);
    if (free >= this.#limits.reserveBelowFreeBytes || await this.#restore()) return;
    if (!this.#full && !this.#closed) this.#setFull(true, 0);
  }

  /** A write found no space. Resolves when it is worth trying again. @throws {LogError} `CLOSED` */
  async exhausted(): Promise<void> {
    const { reserveBytes, reserveVitalShare } = this.#limits;
    const spareBytes = this.#reserved ? reserveBytes * (1 - reserveVitalShare) - this.#pendingBytes : 0;
    if (!this.#full) this.#setFull(true, spareBytes);
    if (this.#reserved) {
      this.#reserved = false;
      await this.#runtime.disk.remove(this.#path);
      // Its blocks are free when its removal is durable.
      await this.#runtime.disk.syncFolder(this.#folder);
      return;
    }
    if (this.#closed) throw closed();
    await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const { reject } of this.#waiters) reject(closed());
  }

  get #path(): string {
    return `${this.#folder}/${RESERVE_NAME}`;
  }

  #setFull(full: boolean, spareBytes: number): void {
    this.#full = full;
    this.#spareBytes = spareBytes;
    const { log } = this.#runtime;
    if (full) log.write("error", "the disk is full: new batches are refused", { folder: this.#folder });
    else log.write("info", "the disk has space again", { folder: this.#folder });
    if (full) this.#watch();
    this.#onFull(full);
  }

  #watch(): void {
    this.#timer = this.#runtime.timers.after(this.#limits.fullRetryMs, () => {
      inBackground(this.#runtime, "the log's reserve cannot be kept", this.#check());
    });
  }

  async #check(): Promise<void> {
    const free = await this.#runtime.disk.freeBytes(this.#folder);
    if (this.#closed) return;
    const roomy = free >= 2 * this.#limits.reserveBytes && await this.#restore();
    if (this.#closed) return;
    if (roomy) this.#setFull(false, 0);
    else this.#watch();
    this.#onLook();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve } of waiters) resolve();
  }

  /** Writes the reserve, for a sparse file would reserve nothing. Whether there was room for it. */
  async #restore(): Promise<boolean> {
    const { disk } = this.#runtime;
    const { reserveBytes } = this.#limits;
    if (reserveBytes === 0) return true;
    try {
      await disk.remove(this.#path);
      const file = await disk.open(this.#path, "create");
      try {
        const zeros = new Uint8Array(Math.min(ZEROS_BYTES, reserveBytes));
        for (let at = 0; at < reserveBytes && !this.#closed; at += zeros.length) {
          await file.write([zeros.subarray(0, reserveBytes - at)], at);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      this.#reserved = true;
      return true;
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "DISK_FULL") throw error;
      await disk.remove(this.#path);
      return false;
    }
  }
}

function closed(): LogError {
  return new LogError("CLOSED", "the log was closed while the disk was full");
}

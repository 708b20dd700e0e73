/**
 * Group commit: one write to the disk under way, all that waits goes out together next. A write resolves when its bytes
 * are on disk (the files are opened for durable writes), and is never repeated, unless the disk was full.
 */
import { DiskError } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { inBackground } from "./background.ts";
import { hasBlankSector } from "./blank-sector.ts";
import { type Block, BlockBuilder } from "./block-builder.ts";
import type { FileSet } from "./file-set.ts";
import type { GroupTable } from "./group-table.ts";
import type { LogLimits } from "./limits.ts";
import type { LogRecord } from "./record.ts";
import type { Space } from "./space.ts";
import { LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";
import { WriteLatency } from "./write-latency.ts";

interface Queued {
  readonly record: LogRecord | undefined;
  /** Makes its records when all that was queued before is durable; they have a block of their own, even if there are none. */
  readonly late: (() => readonly LogRecord[]) | undefined;
  readonly bytes: number;
  readonly onDurable: (() => void) | undefined;
  /** Called when it is given up, for the log is closed while the disk has no room. */
  readonly onLost?: () => void;
}

/** What a record takes beside its entries, about. */
const RECORD_BYTES = 64;

export class Writer {
  readonly #runtime: Runtime;
  readonly #limits: LogLimits;
  readonly #files: FileSet;
  readonly #groups: GroupTable;
  readonly #space: Space;
  readonly #builder: BlockBuilder;
  /** Called with a file that will certainly get no more blocks. */
  readonly #onRolled: (file: WalFile) => void;
  readonly #latency = new WriteLatency();
  #queue: Queued[] = [];
  #nextSequence: number;
  #running = false;
  /** Up to where the current file holds zeros that were written. */
  #zeroedTo = 0;
  /** The next block goes to the next file. */
  #rollDue = false;
  #idle: (() => void)[] = [];

  constructor(
    runtime: Runtime,
    limits: LogLimits,
    files: FileSet,
    groups: GroupTable,
    space: Space,
    nextSequence: number,
    onRolled: (file: WalFile) => void,
  ) {
    this.#runtime = runtime;
    this.#limits = limits;
    this.#files = files;
    this.#groups = groups;
    this.#space = space;
    this.#builder = new BlockBuilder(limits);
    this.#nextSequence = nextSequence;
    this.#onRolled = onRolled;
  }

  get pendingBytes(): number {
    return this.#space.pendingBytes;
  }

  /** See {@link Log.writeMs}. */
  get writeMs(): number {
    return this.#latency.at(this.#runtime.clock.monotonicMs());
  }

  /** `record` undefined: only to hear when all that was queued before is durable. */
  queue(record: LogRecord | undefined, onDurable?: () => void): void {
    const bytes = record ? recordBytes(record) : 0;
    this.#space.queued(bytes);
    this.#queue.push({ record, late: undefined, bytes, onDurable });
  }

  /** Writes a block with what `late` gives once all that was queued before is durable. */
  queueLate(late: () => readonly LogRecord[], onDurable: () => void): void {
    this.#queue.push({ record: undefined, late, bytes: 0, onDurable });
  }

  /**
   * Writes what `late` gives, if given, when all that was queued before is durable. Resolves to whether all that is then:
   * not if the log is closed while the disk has no room.
   */
  through(late?: () => readonly LogRecord[]): Promise<boolean> {
    return new Promise((resolve) => {
      const onDurable = () => resolve(true);
      this.#queue.push({ record: undefined, late, bytes: 0, onDurable, onLost: () => resolve(false) });
      this.flush();
    });
  }

  /** Sets off what was queued: its write is with the disk when this returns, unless another is under way or it needs a new file. */
  flush(): void {
    if (this.#running || this.#queue.length === 0) return;
    this.#running = true;
    inBackground(this.#runtime, "the log cannot be written", this.#run());
  }

  /** Writes a block without records: a block behind the last one proves that that was durable. */
  proveLast(): void {
    this.queueLate(() => [], () => {});
    this.flush();
  }

  /** Goes on in the next file, so that the current one can be sealed and given back. */
  roll(): void {
    if (this.#rollDue) return;
    this.#rollDue = true;
    this.proveLast();
  }

  /** Resolves when nothing is queued and nothing under way. */
  drained(): Promise<void> {
    if (!this.#running && this.#queue.length === 0) return Promise.resolve();
    this.flush();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const taken = this.#take();
      try {
        await this.#commit(taken);
      } catch (error) {
        if (!(error instanceof LogError) || error.code !== "CLOSED") throw error;
        this.#giveUp(taken);
      }
    }
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  /** Nobody was told that it is durable: it is as if power had been lost. */
  #giveUp(taken: readonly Queued[]): void {
    const lost = [...taken, ...this.#queue];
    this.#queue = [];
    for (const { onLost } of lost) onLost?.();
  }

  /** The next block's worth; at least one record. */
  #take(): Queued[] {
    const { blockBytesMax } = this.#limits;
    let bytes = 0;
    let count = 0;
    for (const item of this.#queue) {
      bytes += item.bytes;
      if (count > 0 && (bytes > blockBytesMax || item.late)) break;
      count++;
      if (item.late) break;
    }
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(taken: readonly Queued[]): Promise<void> {
    const late = taken[0]?.late;
    const records: LogRecord[] = late ? [...late()] : [];
    for (const { record } of taken) if (record) records.push(record);
    if (records.length > 0 || late) {
      const isClear = await this.#write(records);
      if (!isClear) await this.#write([]);
    }
    for (const { bytes, onDurable } of taken) {
      this.#space.written(bytes);
      onDurable?.();
    }
  }

  /** False: it counts only when another block follows. One without records has nothing that could be lost. */
  async #write(records: readonly LogRecord[]): Promise<boolean> {
    for (;;) {
      const placed = this.#place(records);
      const block = placed instanceof Promise ? await placed : placed;
      const file = this.#files.current;
      const isClear = records.length === 0 || !hasBlankSector(block.chunks, block.position, block.filledBytes);
      const { clock } = this.#runtime;
      try {
        this.#latency.begin(clock.monotonicMs());
        await file.writable!.write(this.#withZeroLead(block), block.position);
        this.#latency.end(clock.monotonicMs());
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== "DISK_FULL") throw error;
        this.#latency.end(clock.monotonicMs());
        // The same block goes to the same place again, over what was written of it.
        await this.#space.exhausted();
        continue;
      }
      this.#written(file, block);
      return isClear;
    }
  }

  /** Builds the block for the current file, or for the next one if it does not fit. */
  #place(records: readonly LogRecord[]): Block | Promise<Block> {
    const { current, oldestNeeded } = this.#files;
    const block = this.#builder.build(records, current, current.end, this.#nextSequence, oldestNeeded);
    const { fileBytes } = this.#limits;
    const fits = (block.position + block.bytes <= fileBytes && !this.#rollDue) || current.firstSequence === 0;
    if (fits && !current.closed) {
      if (block.position + block.bytes > fileBytes / 2) this.#files.prepareNext();
      return block;
    }
    return this.#placeInNext(records, oldestNeeded);
  }

  async #placeInNext(records: readonly LogRecord[], oldestNeeded: number): Promise<Block> {
    const next = await this.#files.roll();
    this.#rollDue = false;
    this.#zeroedTo = 0;
    return this.#builder.build(records, next, next.end, this.#nextSequence, oldestNeeded);
  }

  #written(file: WalFile, block: Block): void {
    file.end = block.position + block.bytes;
    file.oldestFile = block.oldestFile;
    if (file.firstSequence === 0) this.#began(file);
    this.#nextSequence++;
    file.nextSequence = this.#nextSequence;
    file.sizeBytes = Math.max(file.sizeBytes, file.end);
    for (const record of block.records) {
      file.index!.apply(record);
      this.#groups.applyRecord(record, file);
    }
  }

  /** The first block of a file is durable: only now is it certain that the file before it will get no more. */
  #began(file: WalFile): void {
    file.firstSequence = this.#nextSequence;
    const before = this.#files.files.at(-2);
    if (before) this.#onRolled(before);
  }

  /**
   * Overwriting zeros takes the file system two thirds of the time that filling a hole takes (README.md has the
   * figures), so a small block brings zeros with it for those that follow.
   */
  #withZeroLead(block: Block): Uint8Array[] {
    const { zeroLeadBelowBytes, zeroLeadBytes, fileBytes } = this.#limits;
    const end = block.position + block.bytes;
    if (end <= this.#zeroedTo || block.bytes >= zeroLeadBelowBytes || this.#space.full) return block.chunks;
    const lead = Math.min(zeroLeadBytes, fileBytes - end);
    if (lead <= 0) return block.chunks;
    this.#zeroedTo = end + lead;
    return [...block.chunks, this.#builder.zeros(lead)];
  }
}

function recordBytes(record: LogRecord): number {
  let bytes = RECORD_BYTES + (record.checkpoint?.state.length ?? 0);
  for (const entry of record.entries) bytes += entry.byteLength;
  return bytes;
}

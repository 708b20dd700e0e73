/**
 * Reads sealed files slowly, one after the other, to see whether they are still what was written: a disk loses bits where
 * nobody reads, and a replica that knows can be repaired while others have what it lost. What a file itself can tell
 * again (its index, a copy of its header) is written again at once.
 */
import { crc32 } from "node:zlib";
import { DiskError, type DiskFile } from "../runtime/disk.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import { inBackground } from "./background.ts";
import { FileIndex } from "./file-index.ts";
import type { FileSet } from "./file-set.ts";
import { encodeFileHeader } from "./file-header.ts";
import { encodeFooter } from "./footer.ts";
import type { GroupTable } from "./group-table.ts";
import type { LogLimits } from "./limits.ts";
import { FileMovedError, type ReadHandles } from "./read-handles.ts";
import { scanBlocks, sealedScan } from "./scan.ts";
import { readOrUndefined, ScanWindow } from "./scan-window.ts";
import { sealedFacts } from "./seal.ts";
import { type GroupId, LogError } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

export interface ScrubOptions {
  readonly runtime: Runtime;
  readonly limits: LogLimits;
  readonly files: FileSet;
  readonly groups: GroupTable;
  readonly handles: ReadHandles;
  readonly onDamage: (group: GroupId, error: LogError) => void;
}

/** Bytes of a file that are not what was written. */
interface Spot {
  /** Undefined: whoever has entries there. */
  readonly group: GroupId | undefined;
  readonly position: number;
  readonly bytes: number;
}

export class Scrub {
  readonly #options: ScrubOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: ScrubOptions) {
    this.#options = options;
  }

  /** One pass at a time: the next one is so long after this one's end. */
  start(): void {
    const { runtime, limits } = this.#options;
    this.#running = this.#pass().then(() => {
      if (!this.#stopped) this.#timer = runtime.timers.after(limits.scrubEveryMs, () => this.start());
    });
    inBackground(runtime, "the log cannot be read through", this.#running);
  }

  /** Ends soon. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running?.catch(() => {});
  }

  async #pass(): Promise<void> {
    for (const file of [...this.#options.files.files]) {
      if (this.#stopped) return;
      if (!file.sealed || this.#isGone(file)) continue;
      try {
        await this.#scrub(file);
      } catch (error) {
        // Given back meanwhile, or another file now: who wrote that one has read this one.
        const isGone = error instanceof FileMovedError || (error instanceof DiskError && error.code === "NOT_FOUND");
        if (!isGone) throw error;
      }
    }
  }

  #isGone(file: WalFile): boolean {
    return file.moved !== undefined || !this.#options.files.files.includes(file);
  }

  async #scrub(file: WalFile): Promise<void> {
    const { handles, limits } = this.#options;
    const spots: Spot[] = [];
    const index = new FileIndex(limits);
    await handles.with(file, async (handle) => {
      const window = new ScanWindow(new PacedFile(handle, (bytes) => this.#pace(bytes)), limits.scanBytes);
      await scanBlocks(window, file, sealedScan(file, limits.searchBytes), {
        records: (records) => {
          for (const record of records) index.apply(record);
        },
        lostEntries: (group, _lost, position, bytes) => void spots.push({ group, position, bytes }),
        lostBytes: (position, bytes) => void spots.push({ group: undefined, position, bytes }),
      });
    });
    if (this.#stopped || this.#isGone(file)) return;
    const isWhole = spots.every(({ group }) => group !== undefined);
    if (isWhole && file.damage.length === 0) await this.#renew(file, index);
    for (const spot of spots) this.#tell(file, spot);
  }

  async #pace(bytes: number): Promise<void> {
    const { runtime, limits } = this.#options;
    if (!this.#stopped) await sleep(runtime, bytes * 1000 / limits.scrubBytesPerSecond);
  }

  /** Every group that can still read something of it: it would find out when it does. */
  #tell(file: WalFile, { group, position, bytes }: Spot): void {
    const { groups, onDamage, runtime } = this.#options;
    runtime.log.write("error", "a WAL file is damaged", { file: file.name, position, bytes, group });
    const states = group === undefined ? [...groups.values()] : [groups.get(group)];
    for (const state of states) {
      if (!state?.hasEntriesIn(file)) continue;
      const message = `entries of group ${state.group} are damaged, from byte ${position} of ${file.name} on`;
      onDamage(state.group, new LogError("CORRUPT", message, { file: file.name, position }));
    }
  }

  /** Writes header and footer again if they are not what they were: the blocks say what they have to say. */
  async #renew(file: WalFile, index: FileIndex): Promise<void> {
    const { runtime, files, handles } = this.#options;
    const items = [...index.deltas()].map((delta) => ({ delta, runs: delta.runs }));
    const footer = encodeFooter(sealedFacts(file), items, file.damage).bytes;
    const { number, identity, compactedBlocks, firstNumber } = file;
    const header = encodeFileHeader({ number, identity, logIdentity: files.logIdentity, compactedBlocks, firstNumber });
    const odd = await handles.with(file, async (handle) => ({
      header: !await isSame(handle, header, 0),
      footer: !await isSame(handle, footer, file.end),
    }));
    if (!odd.header && !odd.footer) return;
    runtime.log.write("warn", "a WAL file's header or index was damaged and is written again", { file: file.name });
    const handle = await runtime.disk.open(file.path, "write", "durable");
    try {
      // What is open now may be the file that took its place.
      if (this.#isGone(file)) return;
      if (odd.header) await handle.write([header], 0);
      if (odd.footer) await handle.write([footer], file.end);
      await handle.sync();
      file.unfit = false;
    } finally {
      await handle.close();
    }
  }
}

async function isSame(handle: DiskFile, wanted: Uint8Array, position: number): Promise<boolean> {
  const bytes = new Uint8Array(wanted.length);
  const count = await readOrUndefined(handle, bytes, position);
  return count === wanted.length && crc32(bytes) === crc32(wanted);
}

/** Waits after each read. */
class PacedFile implements Pick<DiskFile, "read" | "sizeBytes"> {
  readonly #file: DiskFile;
  readonly #pace: (bytes: number) => Promise<void>;

  constructor(file: DiskFile, pace: (bytes: number) => Promise<void>) {
    this.#file = file;
    this.#pace = pace;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const count = await this.#file.read(into, position);
    await this.#pace(count);
    return count;
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }
}

/** Gives the runs of an extent: from memory, or from the footer of a sealed file, through a bounded cache. */
import type { LogSink } from "../runtime/runtime.ts";
import type { Extent } from "./group-state.ts";
import { FileIndex } from "./file-index.ts";
import { decodeRuns, placeBytes } from "./footer.ts";
import type { LogLimits } from "./limits.ts";
import type { ReadHandles } from "./read-handles.ts";
import { RunTable } from "./run-table.ts";
import { scanBlocks, sealedScan } from "./scan.ts";
import { readOrUndefined, ScanWindow } from "./scan-window.ts";
import type { GroupId } from "./types.ts";
import type { WalFile } from "./wal-file.ts";

export class RunSource {
  readonly #limits: LogLimits;
  readonly #handles: ReadHandles;
  readonly #log: LogSink;
  /** By file and group; the first one was used longest ago. */
  readonly #cache = new Map<string, { readonly table: RunTable; readonly bytes: number }>();
  #cachedBytes = 0;

  constructor(limits: LogLimits, handles: ReadHandles, log: LogSink) {
    this.#limits = limits;
    this.#handles = handles;
    this.#log = log;
  }

  /** Of a file that is not sealed; it changes as the file does. */
  live(extent: Extent, group: GroupId): RunTable | undefined {
    return extent.file.index?.get(group)?.runs;
  }

  async sealed(file: WalFile, place: NonNullable<Extent["runs"]>, group: GroupId): Promise<RunTable> {
    const key = `${file.number}.${file.identity.low}.${file.identity.high}/${group}`;
    const cached = this.#cache.get(key);
    if (cached) {
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached.table;
    }
    const bytes = new Uint8Array(placeBytes(place));
    const read = await this.#handles.with(file, (handle) => readOrUndefined(handle, bytes, place.position));
    const table = decodeRuns(place, bytes.subarray(0, read ?? 0)) ?? await this.#rebuild(file, group);
    this.#keep(key, table, bytes.length);
    return table;
  }

  #keep(key: string, table: RunTable, bytes: number): void {
    // Two reads at once may have fetched the same.
    this.#cachedBytes += bytes - (this.#cache.get(key)?.bytes ?? 0);
    this.#cache.set(key, { table, bytes });
    for (const [oldest, kept] of this.#cache) {
      if (this.#cachedBytes <= this.#limits.indexCacheBytes || oldest === key) return;
      this.#cache.delete(oldest);
      this.#cachedBytes -= kept.bytes;
    }
  }

  /** The index is damaged: the blocks' own tables say the same. */
  async #rebuild(file: WalFile, group: GroupId): Promise<RunTable> {
    this.#log.write("warn", "the index of a WAL file is damaged and is made again", { file: file.name, group });
    const index = new FileIndex(this.#limits);
    const { scanBytes, searchBytes } = this.#limits;
    await this.#handles.with(
      file,
      (handle) =>
        scanBlocks(new ScanWindow(handle, scanBytes), file, sealedScan(file, searchBytes), {
          records: (records) => {
            for (const record of records) index.apply(record);
          },
          lostEntries: () => {},
          lostBytes: () => {},
        }),
    );
    return index.get(group)?.runs ?? new RunTable();
  }
}

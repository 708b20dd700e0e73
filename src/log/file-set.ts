/** The WAL files of a folder: the current one, the next one made ready ahead, and the older ones. */
import { DiskError } from "../runtime/disk.ts";
import type { Random, Runtime } from "../runtime/runtime.ts";
import { readU32 } from "../records/entry.ts";
import type { Identity } from "./block.ts";
import { FileIndex } from "./file-index.ts";
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from "./file-header.ts";
import type { LogLimits } from "./limits.ts";
import type { Space } from "./space.ts";
import { WalFile } from "./wal-file.ts";

export class FileSet {
  readonly folder: string;
  readonly logIdentity: Identity;
  /** Ascending by number, without gaps; the last one is `current`. */
  readonly files: WalFile[];
  readonly #runtime: Runtime;
  readonly #limits: LogLimits;
  readonly #space: Space;
  /** The number that blocks give as the first one still needed. */
  oldestNeeded: number;
  #next: Promise<WalFile> | undefined = undefined;

  /** `prepared`: a file with a header and no blocks that an earlier run made ready. */
  constructor(
    runtime: Runtime,
    folder: string,
    logIdentity: Identity,
    files: WalFile[],
    prepared: WalFile | undefined,
    limits: LogLimits,
    space: Space,
  ) {
    this.#runtime = runtime;
    this.folder = folder;
    this.logIdentity = logIdentity;
    this.files = files;
    this.#limits = limits;
    this.#space = space;
    this.oldestNeeded = files[0]?.number ?? 1;
    if (prepared) this.#next = Promise.resolve(prepared);
  }

  get current(): WalFile {
    const file = this.files.at(-1);
    if (!file) throw new Error("the log has no file");
    return file;
  }

  /** Begins to make the next file ready, if nobody has yet. */
  prepareNext(): void {
    this.#next ??= this.#createWhenRoomy((this.files.at(-1)?.number ?? 0) + 1);
    // Whoever takes the file hears of the error; until then it must not count as unhandled.
    this.#next.catch(() => {});
  }

  /** Makes the next file the current one. */
  async roll(): Promise<WalFile> {
    this.prepareNext();
    const file = await this.#next!;
    this.#next = undefined;
    this.files.push(file);
    return file;
  }

  async close(): Promise<void> {
    const next = await this.#next?.catch(() => undefined);
    for (const file of next ? [...this.files, next] : this.files) {
      const { writable } = file;
      file.writable = undefined;
      await writable?.close();
    }
  }

  async #createWhenRoomy(number: number): Promise<WalFile> {
    for (;;) {
      try {
        return await createFile(this.#runtime, this.folder, number, this.logIdentity, this.#limits);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== "DISK_FULL") throw error;
        await this.#runtime.disk.remove(`${this.folder}/${fileName(number)}`);
        await this.#space.exhausted();
      }
    }
  }
}

/** Header and name are durable when it resolves; the length is set, so that appends change no file size. */
export async function createFile(
  runtime: Runtime,
  folder: string,
  number: number,
  logIdentity: Identity,
  limits: LogLimits,
): Promise<WalFile> {
  const identity = randomIdentity(runtime.random);
  const file = new WalFile(folder, number, identity);
  const handle = await runtime.disk.open(file.path, "create", "durable");
  try {
    await handle.truncate(limits.fileBytes);
    await handle.write(
      [encodeFileHeader({ number, identity, logIdentity, compactedBlocks: 0, firstNumber: number })],
      0,
    );
    await handle.sync();
    await runtime.disk.syncFolder(folder);
  } catch (error) {
    await handle.close();
    throw error;
  }
  file.writable = handle;
  file.sizeBytes = limits.fileBytes;
  file.end = FILE_HEADER_BYTES;
  file.index = new FileIndex(limits);
  return file;
}

export function randomIdentity(random: Random): Identity {
  const bytes = random.bytes(8);
  return { low: readU32(bytes, 0), high: readU32(bytes, 4) };
}

/** Writes one compacted file under a name of its own: blocks, footer, and the header last. */
import type { DiskFile } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { BlockBuilder } from "./block-builder.ts";
import { FileIndex } from "./file-index.ts";
import { type FileSet, randomIdentity } from "./file-set.ts";
import { encodeFileHeader, FILE_HEADER_BYTES } from "./file-header.ts";
import { UNFINISHED_SUFFIX } from "./folder.ts";
import { encodeFooter } from "./footer.ts";
import type { RunsPlace } from "./group-state.ts";
import type { LogLimits } from "./limits.ts";
import type { LogRecord } from "./record.ts";
import { sealedFacts } from "./seal.ts";
import type { GroupId } from "./types.ts";
import { WalFile } from "./wal-file.ts";

export class CompactedFile {
  readonly file: WalFile;
  readonly index: FileIndex;
  /** Where it is written; it takes its place when it is whole. */
  readonly path: string;
  readonly #builder: BlockBuilder;
  readonly #files: FileSet;
  #handle: DiskFile | undefined;

  /** `replaced`: files that follow each other. */
  constructor(runtime: Runtime, limits: LogLimits, files: FileSet, replaced: readonly WalFile[]) {
    const first = replaced[0]!;
    const last = replaced.at(-1)!;
    const file = new WalFile(files.folder, last.number, randomIdentity(runtime.random));
    file.firstNumber = first.firstNumber;
    file.firstSequence = first.firstSequence;
    file.nextSequence = last.nextSequence;
    file.oldestFile = last.oldestFile;
    file.damage = replaced.flatMap(({ damage }) => damage.filter(({ group }) => group === undefined));
    this.file = file;
    this.path = last.path + UNFINISHED_SUFFIX;
    this.index = new FileIndex(limits);
    this.#builder = new BlockBuilder(limits);
    this.#files = files;
  }

  /** `bytesMax`: what it may become, about. @throws {DiskError} */
  async open(runtime: Runtime, bytesMax: number): Promise<void> {
    this.#handle = await runtime.disk.open(this.path, "create", "durable");
    await this.#handle.truncate(FILE_HEADER_BYTES + bytesMax);
  }

  /** One block. @throws {DiskError} */
  async add(records: readonly LogRecord[]): Promise<void> {
    const { file } = this;
    file.compactedBlocks++;
    const block = this.#builder.build(records, file, file.end, file.compactedBlocks, file.oldestFile);
    await this.#handle!.write(block.chunks, block.position);
    file.end = block.position + block.bytes;
    for (const record of block.records) this.index.apply(record);
  }

  /** All of it is on disk when it resolves; the result: where the runs of each group are. @throws {DiskError} */
  async finish(): Promise<ReadonlyMap<GroupId, RunsPlace>> {
    const { file, index } = this;
    const handle = this.#handle!;
    const { number, identity, compactedBlocks, firstNumber } = file;
    const items = [...index.deltas()].map((delta) => ({ delta, runs: delta.runs }));
    const { bytes, runs } = encodeFooter(sealedFacts(file), items, file.damage);
    await handle.write([bytes], file.end);
    file.sizeBytes = file.end + bytes.length;
    await handle.truncate(file.sizeBytes);
    const { logIdentity } = this.#files;
    await handle.write([encodeFileHeader({ number, identity, logIdentity, compactedBlocks, firstNumber })], 0);
    await handle.sync();
    return runs;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

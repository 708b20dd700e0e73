/** Writes the footer of a file that gets no more blocks, so that opening the log need not read its blocks again. */
import { DiskError } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { keptBytes } from "./compaction-plan.ts";
import type { FileSet } from "./file-set.ts";
import { encodeFooter, type SealedFacts } from "./footer.ts";
import type { GroupTable } from "./group-table.ts";
import type { WalFile } from "./wal-file.ts";

/**
 * Seals every file before the current one that is not sealed yet, oldest first. A full disk leaves the rest for later.
 * @throws {DiskError}
 */
export async function sealFiles(runtime: Runtime, files: FileSet, groups: GroupTable): Promise<void> {
  for (const file of [...files.files]) {
    if (file.sealed) continue;
    // Sealed means: the next file's first block is durable. That is how a missing last file is told.
    const next = files.files[files.files.indexOf(file) + 1];
    if (!next || next.firstSequence === 0) return;
    try {
      await sealFile(runtime, file, groups);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "DISK_FULL") throw error;
      return;
    }
  }
}

async function sealFile(runtime: Runtime, file: WalFile, groups: GroupTable): Promise<void> {
  const index = file.index!;
  const handle = file.writable ?? await runtime.disk.open(file.path, "write", "durable");
  file.writable = handle;
  const { bytes, runs } = encodeFooter(
    sealedFacts(file),
    [...index.deltas()].map((delta) => ({ delta, runs: delta.runs })),
    file.damage,
  );
  // The length first: what a crash leaves of the footer then ends in zeros, and is known for unfinished.
  file.sizeBytes = file.end + bytes.length;
  await handle.truncate(file.sizeBytes);
  await handle.write([bytes], file.end);
  await handle.sync();
  for (const [group, place] of runs) {
    const extent = groups.get(group)?.extents.find((extent) => extent.file === file);
    if (extent) extent.runs = place;
  }
  for (const delta of index.deltas()) groups.sealed(delta, file);
  if (file.compactedBlocks > 0) file.keptBytes = keptBytes(file, index.deltas(), groups);
  file.index = undefined;
  file.writable = undefined;
  await handle.close();
}

export function sealedFacts(file: WalFile): SealedFacts {
  const { identity, firstSequence, nextSequence, end, oldestFile } = file;
  return { identity, firstSequence, nextSequence, blocksEnd: end, oldestFile };
}

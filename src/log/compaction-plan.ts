/** Which sealed files are worth being written anew. */
import type { LogLimits } from "./limits.ts";
import { FILE_HEADER_BYTES } from "./file-header.ts";
import type { GroupDelta } from "./file-index.ts";
import type { GroupTable } from "./group-table.ts";
import type { WalFile } from "./wal-file.ts";

type Bounds = Pick<
  LogLimits,
  "fileBytes" | "compactBelowShare" | "compactFreesBytesMin" | "compactFilesMin"
>;

/**
 * The first neighbours, oldest first, that give enough back, or are many small ones; none if there are none. Together
 * they fill half a file at most: what is left of them may grow sparse again. And half of what is free on the disk: others
 * write to it, too, and on a full one it is the files with little left in them that help.
 */
export function filesToCompact(files: readonly WalFile[], bounds: Bounds, freeBytes: number): WalFile[] {
  const roomBytes = Math.min(bounds.fileBytes, freeBytes) / 2;
  let run: WalFile[] = [];
  let neededBytes = 0;
  for (const file of files) {
    const fitsAlone = isSparse(file, bounds) && file.neededBytes <= roomBytes;
    if (!fitsAlone || neededBytes + file.neededBytes > roomBytes) {
      if (isWorthIt(run, bounds)) return run;
      run = [];
      neededBytes = 0;
    }
    if (!fitsAlone) continue;
    run.push(file);
    neededBytes += file.neededBytes;
  }
  return isWorthIt(run, bounds) ? run : [];
}

/** Whether little of it is needed, or it is small. One that was found to be unreadable stays as it is. */
function isSparse(file: WalFile, { fileBytes, compactBelowShare, compactFilesMin }: Bounds): boolean {
  if (!file.sealed || file.unfit) return false;
  if (file.extents === 0) return true;
  const bytes = file.end - FILE_HEADER_BYTES;
  return file.neededBytes < bytes * compactBelowShare || bytes <= fileBytes / (2 * compactFilesMin);
}

function isWorthIt(run: readonly WalFile[], { compactFreesBytesMin, compactFilesMin }: Bounds): boolean {
  const freesBytes = run.reduce((sum, { deadBytes }) => sum + deadBytes, 0);
  return freesBytes >= compactFreesBytesMin || run.length >= compactFilesMin;
}

/** Whether the file that is being written should be closed: most of it could be given back. */
export function isWorthClosing(file: WalFile, { compactBelowShare, compactFreesBytesMin }: Bounds): boolean {
  return file.deadBytes >= compactFreesBytesMin &&
    file.liveBytes < (file.end - FILE_HEADER_BYTES) * compactBelowShare;
}

/**
 * Of a compacted file as it was written: all that is not entries, nor checkpoints that later ones stand for. Each compaction of
 * it would write that again.
 */
export function keptBytes(file: WalFile, deltas: Iterable<GroupDelta>, groups: GroupTable): number {
  let bytes = file.end - FILE_HEADER_BYTES;
  for (const { group, entries, checkpoint } of deltas) {
    bytes -= entries?.bytes ?? 0;
    if (checkpoint && groups.get(group)?.sealedCheckpoint?.file !== file) bytes -= checkpoint.state.length;
  }
  return Math.max(0, bytes);
}

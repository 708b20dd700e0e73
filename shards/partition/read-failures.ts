/** What is told to those for whom the log was to be read, when it could not be. */
import { LogError } from "../../src/log/types.ts";
import { DiskError } from "../../src/runtime/disk.ts";

/**
 * The code of a failed read. The log tells of damage before its read fails: where others have what was lost, the replica
 * leads no more by now and is being repaired, and who leads next can read it. `INTERNAL` is a bug, to be logged.
 */
export function codeOfReadFailure(error: unknown, partition: { readonly leads: boolean }): string {
  // Too many open files, or no memory for it: not so in a while, or not elsewhere.
  if (error instanceof DiskError) return "UNAVAILABLE";
  if (!(error instanceof LogError)) return "INTERNAL";
  switch (error.code) {
    case "CORRUPT":
      return partition.leads ? "CORRUPT" : "NO_LEADER";
    case "TRIMMED":
    case "OUT_OF_RANGE":
      return "OFFSET_OUT_OF_RANGE";
    case "CLOSED":
      return "NO_LEADER";
    default:
      return "INTERNAL";
  }
}

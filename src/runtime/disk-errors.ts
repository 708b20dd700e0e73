/** What the system says of a file, in the words of the seam. */
import { DiskError, type DiskErrorCode } from "./disk.ts";

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: "NOT_FOUND",
  ENOTDIR: "NOT_FOUND",
  EEXIST: "EXISTS",
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  EACCES: "PERMISSION",
  EPERM: "PERMISSION",
  EROFS: "PERMISSION",
};

export function toDiskError(path: string, what: string, error: NodeJS.ErrnoException): DiskError {
  const code = CODES[error.code ?? ""] ?? "IO_ERROR";
  return new DiskError(code, path, `cannot ${what} ${path}: ${error.message}`, { cause: error });
}

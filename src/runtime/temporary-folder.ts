import fs from "node:fs";
import os from "node:os";

/** A new, empty folder; whoever makes it removes it. */
export function makeTemporaryFolder(prefix: string): string {
  return fs.mkdtempSync(`${os.tmpdir()}/${prefix}`);
}

export function removeFolder(path: string): Promise<void> {
  return fs.promises.rm(path, { recursive: true, force: true });
}

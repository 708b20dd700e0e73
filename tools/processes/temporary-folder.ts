import fs from "node:fs";
import os from "node:os";
import process from "node:process";

/** A new folder that is gone when this process is, however it ends short of a kill. */
export function temporaryFolder(prefix: string): string {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/${prefix}`);
  process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** A small file as text. */
import fs from "node:fs";

/** @throws {Error} The platform's own. */
export function readTextFile(path: string): string {
  return fs.readFileSync(path, "utf8");
}

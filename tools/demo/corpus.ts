/** Real text to publish: the lines of the source and documentation files that npm installed here. */
import fs from "node:fs";
import { fileURLToPath } from "node:url";

const ENDINGS = /\.(?:[cm]?[jt]sx?|md|txt|json|html|css|map)$/;
const LINE_CHARACTERS_MAX = 10_000;
const FILE_BYTES_MAX = 4 * 1024 * 1024;

export interface Line {
  /** The file it is from, and which reading of it: lines of one key keep their order. */
  readonly key: string;
  /** Its number within the key, from 0. */
  readonly number: number;
  readonly text: string;
}

/** node_modules of this checkout or installation. */
function packagesFolder(): string {
  for (const up of ["../../node_modules", "../../../node_modules", "../../../.."]) {
    const folder = fileURLToPath(new URL(up, import.meta.url));
    if (fs.existsSync(folder)) return folder;
  }
  throw new Error("no node_modules to read text from: run npm install first");
}

export function corpusFiles(folder = packagesFolder()): string[] {
  const found: string[] = [];
  const walk = (at: string) => {
    for (const entry of fs.readdirSync(at, { withFileTypes: true })) {
      const path = `${at}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && ENDINGS.test(entry.name)) found.push(path);
    }
  };
  walk(folder);
  return found.sort();
}

/** Lines until there are `count`; files are read again, under another key, when they hold fewer. */
export function* corpusLines(count: number, files = corpusFiles()): Generator<Line> {
  if (files.length === 0) throw new Error("there are no text files to read");
  let given = 0;
  for (let pass = 1;; pass++) {
    const before = given;
    for (const file of files) {
      if (fs.statSync(file).size > FILE_BYTES_MAX) continue;
      const key = `${pass}:${file.slice(file.indexOf("node_modules"))}`;
      let number = 0;
      for (const text of fs.readFileSync(file, "utf8").split("\n")) {
        if (given >= count) return;
        yield { key, number: number++, text: text.slice(0, LINE_CHARACTERS_MAX) };
        given += 1;
      }
    }
    if (given === before) throw new Error("the text files hold no lines");
  }
}

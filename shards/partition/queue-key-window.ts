/**
 * The open records of a key-ordered queue, as many as it looks at, by their keys: of each key only the first may be given
 * out, whether it is new, comes again, or waits for its time. Keys are known by their hash: two keys with one hash wait for
 * each other, which is in order, too.
 */
import { BatchReader } from "../../src/records/batch-reader.ts";
import type { Entry } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";
import { keyHash } from "../../src/records/key-hash.ts";
import { KEY_WINDOW_RECORDS_MAX } from "./groups/limits.ts";

/** What cannot be read here (a codec this runtime does not know) goes one after the other. */
const UNREADABLE = -1;

export class KeyWindow {
  /** First offset that was not looked at. */
  scannedTo: number;
  /** Open offsets of each key, ascending. */
  readonly #byKey = new Map<number, number[]>();
  /** Records without a key: no order. */
  #keyless: number[] = [];
  #size = 0;

  constructor(from: number) {
    this.scannedTo = from;
  }

  get hasRoom(): boolean {
    return this.#size < KEY_WINDOW_RECORDS_MAX;
  }

  /** The next batch of the log, and which of its records are open. */
  add(batch: Entry, isOver: (offset: number) => boolean): void {
    const put = (offset: number, key: number | undefined) => {
      if (offset < this.scannedTo || isOver(offset)) return;
      this.#size += 1;
      if (key === undefined) return void this.#keyless.push(offset);
      const offsets = this.#byKey.get(key);
      if (offsets === undefined) this.#byKey.set(key, [offset]);
      else offsets.push(offset);
    };
    try {
      const reader = new BatchReader(batch);
      while (reader.next()) {
        const { keyStart, keyEnd, bytes } = reader;
        put(reader.offset, keyStart < 0 ? undefined : keyHash(bytes.subarray(keyStart, keyEnd)));
      }
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error;
      for (let { baseOffset } = batch; baseOffset < batch.nextOffset; baseOffset++) put(baseOffset, UNREADABLE);
    }
    this.scannedTo = batch.nextOffset;
  }

  /** What may be given out now, ascending. */
  free(isOver: (offset: number) => boolean, isFree: (offset: number) => boolean): number[] {
    this.#keyless = this.#keyless.filter((offset) => !isOver(offset));
    const free = this.#keyless.filter(isFree);
    this.#size = this.#keyless.length;
    for (const [key, offsets] of this.#byKey) {
      let over = 0;
      while (over < offsets.length && isOver(offsets[over]!)) over += 1;
      if (over > 0) offsets.splice(0, over);
      this.#size += offsets.length;
      if (offsets.length === 0) this.#byKey.delete(key);
      else if (isFree(offsets[0]!)) free.push(offsets[0]!);
    }
    return free.sort((a, b) => a - b);
  }
}

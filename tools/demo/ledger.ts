/**
 * What was acknowledged and what was read, by key, in constant memory: each line carries its number within its key, so
 * that a loss, a double and a wrong order are told apart; a running checksum tells a changed text.
 */
import { crc32 } from "node:zlib";

interface KeyState {
  lines: number;
  crc: number;
}

export interface Differences {
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  readonly changedKeys: number;
}

export class Ledger {
  readonly #sent = new Map<string, KeyState>();
  readonly #read = new Map<string, KeyState>();
  #duplicated = 0;
  #outOfOrder = 0;
  #lostInside = 0;

  /** In the order of sending within the key; every sending was acknowledged. */
  sent(key: string, text: string): void {
    note(this.#sent, key, text);
  }

  read(key: string, number: number, text: string): void {
    const expected = this.#read.get(key)?.lines ?? 0;
    if (number === expected) {
      note(this.#read, key, text);
      return;
    }
    if (number < expected) {
      // Seen already, or overtaken by a later line that was counted as a gap before it.
      this.#duplicated += 1;
      return;
    }
    this.#lostInside += number - expected;
    this.#outOfOrder += 1;
    const state = note(this.#read, key, text);
    state.lines = number + 1;
  }

  compare(): Differences {
    let lost = this.#lostInside;
    let changedKeys = 0;
    for (const [key, sent] of this.#sent) {
      const read = this.#read.get(key);
      lost += Math.max(0, sent.lines - (read?.lines ?? 0));
      if (read?.lines === sent.lines && read.crc !== sent.crc) changedKeys += 1;
    }
    for (const [key, read] of this.#read) {
      const surplus = read.lines - (this.#sent.get(key)?.lines ?? 0);
      if (surplus > 0) this.#duplicated += surplus;
    }
    return { lost, duplicated: this.#duplicated, outOfOrder: this.#outOfOrder, changedKeys };
  }
}

function note(states: Map<string, KeyState>, key: string, text: string): KeyState {
  let state = states.get(key);
  if (!state) states.set(key, state = { lines: 0, crc: 0 });
  state.lines += 1;
  state.crc = crc32(`${text}\n`, state.crc);
  return state;
}

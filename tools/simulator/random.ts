/** Seeded randomness: the whole simulation is a function of one seed. */
import type { Random } from "../../src/runtime/runtime.ts";

/** sfc32 (PractRand, public domain), seeded through splitmix32; the same on every runtime. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    let state = seed | 0;
    const mix = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = state ^ (state >>> 16);
      z = Math.imul(z, 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = mix();
    this.#b = mix();
    this.#c = mix() ^ Math.floor(seed / 2 ** 32);
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** Another stream, that does not depend on how much is drawn from this one later. */
  fork(): SeededRandom {
    return new SeededRandom(this.u32());
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  next(): number {
    return this.u32() / 2 ** 32;
  }

  integer(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32() & 0xff);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** From `low` to `high`, more often near `low`: most delays are short, some are long. */
  skewed(low: number, high: number): number {
    const share = this.next();
    // Not **: how that rounds is the engine's own affair.
    return low + (high - low) * share * share * share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)]!;
  }
}

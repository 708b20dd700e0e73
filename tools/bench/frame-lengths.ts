/** Length-prefixed frames and nothing else: what the bare pipeline speaks. */
export class LengthReader {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  readonly #onFrame: (frame: Uint8Array) => void;

  constructor(onFrame: (frame: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Uint8Array): void {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    while (this.#pendingBytes >= 4) {
      const head = this.#pending[0]!.length >= 4 ? this.#pending[0]! : this.#join();
      const length = head[0]! | (head[1]! << 8) | (head[2]! << 16) | (head[3]! << 24);
      if (this.#pendingBytes < 4 + length) return;
      const all = this.#join();
      this.#onFrame(all.subarray(4, 4 + length));
      this.#pending = all.length > 4 + length ? [all.subarray(4 + length)] : [];
      this.#pendingBytes = all.length - 4 - length;
    }
  }

  #join(): Uint8Array {
    if (this.#pending.length > 1) this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0]!;
  }
}

export function lengthPrefix(bytes: number): Uint8Array {
  return new Uint8Array([bytes, bytes >>> 8, bytes >>> 16, bytes >>> 24]);
}

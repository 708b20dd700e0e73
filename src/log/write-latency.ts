/** How long the disk takes for a write just now: whoever leads elsewhere waits for it with every batch. */

/** Of the newest write in the average. */
const WEIGHT = 0.1;
/** A disk that nobody has written to for so long may be as good as any. */
const STALE_MS = 30_000;

export class WriteLatency {
  #averageMs = 0;
  #beganMs: number | undefined;
  #endedMs = -Infinity;

  begin(nowMs: number): void {
    this.#beganMs = nowMs;
  }

  end(nowMs: number): void {
    const tookMs = nowMs - (this.#beganMs ?? nowMs);
    this.#averageMs += (tookMs - this.#averageMs) * (nowMs - this.#endedMs > STALE_MS ? 1 : WEIGHT);
    this.#endedMs = nowMs;
    this.#beganMs = undefined;
  }

  /** Of the last writes, or of the one under way if that takes longer; 0 when nothing is known. */
  at(nowMs: number): number {
    if (this.#beganMs !== undefined) return Math.max(this.#averageMs, nowMs - this.#beganMs);
    return nowMs - this.#endedMs > STALE_MS ? 0 : this.#averageMs;
  }
}

/**
 * What a follower promises along with its answer to a read round, where reads are answered under a lease: for an election
 * timeout by its own clock it helps nobody to lead, itself included, whatever it hears of terms and lost leaders (Raft
 * thesis §6.4.1). Only a transfer passes, which the leader itself asked for. A heard leader's own lease (leader-contact.ts)
 * is no such promise: it ends with any doubt.
 */
export class VoteHold {
  /** Monotonic ms until which votes are held. */
  untilMs = -Infinity;
  readonly #holdMs: number;

  /** `holdMs` 0: nothing is ever promised. */
  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** Holds votes from now on; returns for how many ms. */
  promise(nowMs: number): number {
    if (this.#holdMs > 0) this.untilMs = nowMs + this.#holdMs;
    return this.#holdMs;
  }

  /** What it promised before it was stopped it has forgotten: all of a promise may be left. */
  holdUntil(ms: number): void {
    this.untilMs = ms;
  }

  holds(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }
}

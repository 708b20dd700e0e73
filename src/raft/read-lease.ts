/**
 * The leader's lease: while a quorum holds its votes (vote-hold.ts) nobody else can have committed anything, and a read
 * may be served without asking. Each follower's promise counts from when the round was first *asked*, by the leader's
 * clock, which is before the follower's clock began to count; and only the part of it that is over on no clock before it is
 * over here. What quorum means is decided when a read comes, by the configuration of then: a promise is the follower's,
 * whoever takes part.
 */
import type { Core } from "./core.ts";
import type { Progress } from "./progress.ts";
import { hasQuorum } from "./quorum.ts";
import type { NodeId, RaftEntry } from "./types.ts";

/** Part of a lease after which the next round is asked for, so that steady reads never wait for one. */
const RENEW_AT = 0.5;

export class ReadLease<E extends RaftEntry> {
  readonly #core: Core<E>;
  readonly #followers: ReadonlyMap<NodeId, Progress>;
  /** Infinity: there is no lease, ever. */
  readonly #clockDriftMax: number;
  #givenUp = false;

  constructor(core: Core<E>, followers: ReadonlyMap<NodeId, Progress>) {
    this.#core = core;
    this.#followers = followers;
    this.#clockDriftMax = core.clockDriftMax ?? Infinity;
  }

  /** A follower that counts answered a round that was first asked at `askedMs`, and holds its vote for `holdMs`. */
  answered(follower: Progress, askedMs: number, holdMs: number): void {
    follower.heldUntilMs = Math.max(follower.heldUntilMs, askedMs + holdMs / this.#clockDriftMax);
  }

  /**
   * Somebody was told to campaign in spite of all promises. The word may be late, so this leader has no lease in its
   * term any more, even if the transfer comes to nothing.
   */
  giveUp(): void {
    this.#givenUp = true;
  }

  get isValid(): boolean {
    return this.#isHeldAt(this.#core.nowMs);
  }

  /** It ends before long. */
  get isFading(): boolean {
    const { nowMs, electionTimeoutMs } = this.#core;
    return !this.#isHeldAt(nowMs + electionTimeoutMs / this.#clockDriftMax * RENEW_AT);
  }

  #isHeldAt(ms: number): boolean {
    const { configuration, id } = this.#core;
    if (this.#givenUp || this.#clockDriftMax === Infinity) return false;
    const isHeld = (voter: NodeId) => voter === id || ms < (this.#followers.get(voter)?.heldUntilMs ?? -Infinity);
    return hasQuorum(configuration, isHeld);
  }
}

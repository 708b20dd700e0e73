/**
 * Followers that a quiet group's leader can do without: new entries go to a quorum first, and to them once that has
 * committed, with the news of it; or when it takes too long. Whether that is done at all `fan-out.ts` knows. It changes
 * only when a message is made, never what counts as committed.
 */
import { isJoint } from "./configuration.ts";
import type { Core } from "./core.ts";
import type { FanOutPolicy, Way } from "./fan-out.ts";
import type { Progress } from "./progress.ts";
import { hasQuorum } from "./quorum.ts";
import type { NodeId, RaftEntry } from "./types.ts";

interface OpenRound {
  readonly way: Way;
  readonly lastIndex: number;
  readonly sentMs: number;
  /** Until then the spares wait. */
  readonly untilMs: number;
}

export class Spares<E extends RaftEntry> {
  readonly #core: Core<E>;
  readonly #fanOut: FanOutPolicy;
  readonly #followers: ReadonlyMap<NodeId, Progress>;
  /** Those whose acknowledgements made the last round's quorum. */
  #quick: readonly NodeId[] = [];
  /** Those are no quorum any more, or all there are: the next commit tells others. */
  #quickDue = true;
  #round: OpenRound | undefined;

  constructor(core: Core<E>, fanOut: FanOutPolicy, followers: ReadonlyMap<NodeId, Progress>) {
    this.#core = core;
    this.#fanOut = fanOut;
    this.#followers = followers;
  }

  /** When spares that wait are to be asked at the latest, monotonic ms; Infinity while none waits. */
  get untilMs(): number {
    return this.#round?.untilMs ?? Infinity;
  }

  holds({ peer, nudge }: Progress): boolean {
    return this.untilMs !== Infinity && !nudge && !this.#quick.includes(peer);
  }

  /** Before messages are made. A round begins with the first entries after a pause, and is void when more follow. */
  look(): void {
    const { log, commit, nowMs } = this.#core;
    if (this.#round) {
      if (this.#round.lastIndex !== log.lastIndex) this.#round = undefined;
      return;
    }
    if (log.lastIndex === commit || !this.#isQuiet()) return;
    this.#quickDue ||= this.#quick.length >= this.#followers.size || !this.#isQuickEnough();
    if (this.#quickDue) return;
    const way = this.#fanOut.begin();
    const delayMs = Math.min(this.#fanOut.patienceMs, this.#core.limits.spareDelayMsMax);
    const untilMs = way.quorumFirst ? nowMs + delayMs : Infinity;
    this.#round = { way, lastIndex: log.lastIndex, sentMs: nowMs, untilMs };
  }

  /** The commit index moved. */
  committed(): void {
    const { commit, nowMs } = this.#core;
    const round = this.#round;
    if (round ? commit < round.lastIndex : !this.#quickDue) return;
    if (round) this.#fanOut.took(round.way, nowMs - round.sentMs);
    this.#quick = [...this.#followers.values()].filter(({ match }) => match >= commit).map(({ peer }) => peer);
    this.#quickDue = false;
  }

  /** What is committed is applied, and those who waited for it have been answered. Returns whether a round ends. */
  applied(): boolean {
    if (!this.#round || this.#core.applied < this.#round.lastIndex) return false;
    this.#round = undefined;
    return true;
  }

  /** Returns whether spares have waited long enough. */
  tick(): boolean {
    if (this.#core.nowMs < this.untilMs) return false;
    this.#round = { ...this.#round!, untilMs: Infinity };
    return true;
  }

  /** All followers have all there was before, and what is new is little. */
  #isQuiet(): boolean {
    const { log, commit, limits } = this.#core;
    for (const { lost, state, vouched, match, next } of this.#followers.values()) {
      if (!lost && (state !== "replicate" || !vouched || match !== commit || next !== commit + 1)) return false;
    }
    let bytes = 0;
    for (let index = commit + 1; index <= log.lastIndex; index++) {
      bytes += log.entry(index)?.byteLength ?? Infinity;
      if (bytes > limits.quietBytesMax) return false;
    }
    return true;
  }

  /** With the leader's own disk the quick ones are a quorum. */
  #isQuickEnough(): boolean {
    const { id, configuration } = this.#core;
    const isThere = (peer: NodeId) => this.#quick.includes(peer) && this.#followers.get(peer)?.lost === false;
    return !isJoint(configuration) && hasQuorum(configuration, (voter) => voter === id || isThere(voter));
  }
}

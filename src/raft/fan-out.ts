/**
 * Whether a quiet group's leader sends new entries to all its followers at once, or to a quorum first and to the others
 * when that has them ("thrifty": Moraru, Andersen, Kaminsky, "There Is More Consensus in Egalitarian Parliaments", SOSP
 * 2013, §6.2). Which of the two commits sooner depends on what the nodes share: on processors and disks that others use,
 * those who are not needed are in the way; on machines of their own, the quicker of two is worth more than the first. So it
 * is measured, in trials of rounds that go the one way and the other by turns: a way that is taken seldom would be slow for
 * that reason alone. One object serves all groups of a node.
 */

/** Of so many rounds the first are a trial. */
const CYCLE_ROUNDS = 512;
const TRIAL_ROUNDS = 128;
const PAIR_WEIGHT = 1 / 128;
const ROUND_WEIGHT = 1 / 32;
/** A difference of more than so many times the usual says nothing of how entries were sent: a disk stood still. */
const DIFFERENCE_MAX = 2;
/** How much longer than usual a quorum may take before the others are asked, too. */
const PATIENCE = 1.5;

/** How a round goes: what `begin` gave, to be given back with the time it took. */
export interface Way {
  readonly quorumFirst: boolean;
  readonly inTrial: boolean;
}

const AT_ONCE: Way = { quorumFirst: false, inTrial: false };
const QUORUM_FIRST: Way = { quorumFirst: true, inTrial: false };
const TRIAL: readonly Way[] = [{ quorumFirst: false, inTrial: true }, { quorumFirst: true, inTrial: true }];

export class FanOut {
  #rounds = 0;
  /** How long it takes if all are asked at once, ms. */
  readonly #atOnceMs = new Average(ROUND_WEIGHT);
  /** How much longer a quorum first takes, ms. */
  readonly #difference = new Average(PAIR_WEIGHT);
  /** A trial's round that is not yet compared with the next. */
  #pairMs: number | undefined;

  /** How the next round goes. */
  begin(): Way {
    const place = this.#rounds++ % CYCLE_ROUNDS;
    if (place < TRIAL_ROUNDS) return TRIAL[place % 2]!;
    return this.#difference.value < 0 ? QUORUM_FIRST : AT_ONCE;
  }

  /** The round was committed after so many ms. One that other entries came into is not told of. */
  took({ quorumFirst, inTrial }: Way, ms: number): void {
    if (!quorumFirst) this.#atOnceMs.add(ms);
    if (!inTrial) return;
    if (!quorumFirst) this.#pairMs = ms;
    else if (this.#pairMs !== undefined) {
      const most = this.#atOnceMs.value * DIFFERENCE_MAX;
      this.#difference.add(Math.max(-most, Math.min(ms - this.#pairMs, most)));
      this.#pairMs = undefined;
    }
  }

  /** How long those who are not needed wait for the quorum. */
  get patienceMs(): number {
    return this.#atOnceMs.value * PATIENCE;
  }
}

/** What a leader needs of it. */
export type FanOutPolicy = Pick<FanOut, "begin" | "took" | "patienceMs">;

/** Of all values while they are few, then of the last ones. */
class Average {
  value = 0;
  readonly #weightMin: number;
  #count = 0;

  constructor(weightMin: number) {
    this.#weightMin = weightMin;
  }

  add(value: number): void {
    this.#count += 1;
    this.value += (value - this.value) * Math.max(1 / this.#count, this.#weightMin);
  }
}

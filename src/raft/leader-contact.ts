/**
 * When this replica last heard that its leader leads, and when it will wait no longer. Heartbeats are per pair of nodes:
 * that the leader's *node* is heard counts only while the leader is "covered", that is, once it has spoken to this group
 * in its present term and link session. See README.md, "Who is alive".
 */

/** Campaigns in quick succession when there is surely no leader; then the usual patience. */
const QUICK_TRIES = 4;

export interface ContactOptions {
  readonly electionTimeoutMs: number;
  readonly lostLeaderJitterMs: number;
  readonly random: () => number;
}

export class LeaderContact {
  readonly #options: ContactOptions;
  /** From when on patience is counted. */
  #startMs: number;
  /** How long is waited, for a leader or for votes: the usual patience, but after a campaign in a hurry. */
  #timeoutMs: number;
  #patienceMs: number;
  #covered = false;
  #lost = false;
  #quickTries = 0;
  #hurryAtMs = Infinity;

  constructor(options: ContactOptions, nowMs: number) {
    this.#options = options;
    this.#startMs = nowMs;
    this.#timeoutMs = this.#patienceMs = this.#draw();
  }

  /** The leader of the present term spoke to this group. */
  heard(nowMs: number): void {
    this.#startMs = nowMs;
    this.#timeoutMs = this.#patienceMs;
    this.#covered = true;
    this.#lost = false;
    this.#quickTries = 0;
    this.#hurryAtMs = Infinity;
  }

  /** A vote was granted, or this replica stopped leading: patience begins anew, and nobody is waited for. */
  restart(nowMs: number): void {
    this.#startMs = nowMs;
    this.#covered = false;
    this.#hurryAtMs = Infinity;
    this.#timeoutMs = this.#patienceMs = this.#draw();
  }

  /** A campaign begins: how long until the next one. */
  campaigns(nowMs: number): void {
    this.restart(nowMs);
    if (this.#quickTries === 0) return;
    this.#quickTries -= 1;
    this.#timeoutMs = this.#options.lostLeaderJitterMs * 2 * (1 + this.#options.random());
  }

  /** There is no leader any more, as far as this replica knows; patience goes on from when it last heard. */
  forget(heardMs: number): void {
    this.#startMs = this.lastMs(heardMs);
    this.#covered = false;
  }

  /**
   * Somebody else asks for votes. If this group has not heard its leader lately, only its node, the cover ends here, and
   * the leader is to be asked: one that still leads will say so. Returns whether that is the case.
   */
  doubt(nowMs: number, heardMs: number): boolean {
    if (!this.#covered || nowMs - this.#startMs < this.#options.electionTimeoutMs) return false;
    this.forget(heardMs);
    return true;
  }

  /** The leader is surely gone: soon, but not all at once, somebody should ask for votes. */
  lose(nowMs: number): void {
    this.#covered = false;
    this.#lost = true;
    this.hurry();
    this.#hurryAtMs = nowMs + this.#options.random() * this.#options.lostLeaderJitterMs;
  }

  /** The next campaigns follow one another quickly: the others may only not be there yet. */
  hurry(): void {
    this.#quickTries = QUICK_TRIES;
  }

  /** `heardMs`: when the leader's node was last heard. */
  lastMs(heardMs: number): number {
    return this.#covered ? Math.max(this.#startMs, heardMs) : this.#startMs;
  }

  dueMs(heardMs: number): number {
    return Math.min(this.lastMs(heardMs) + this.#timeoutMs, this.#hurryAtMs);
  }

  /** Within it a vote is refused to others: the leader that was heard may well be alive (Raft thesis §4.2.3). */
  inLease(nowMs: number, heardMs: number): boolean {
    return !this.#lost && nowMs < this.lastMs(heardMs) + this.#options.electionTimeoutMs;
  }

  #draw(): number {
    return this.#options.electionTimeoutMs * (1 + this.#options.random());
  }
}

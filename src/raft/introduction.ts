/**
 * How a replica that forgot what it promised makes itself known. A leader that takes it for the one it was, and has
 * nothing to tell, would never speak to it again, so it would never be vouched for (README.md, "Vouching").
 *
 * It is said at once, and again whenever no leader has spoken for an election timeout: a word may be lost, be older than
 * the leader's term, or meet nobody who leads. Index 0 is never refused otherwise, and no match is below it: so the leader forgets
 * whatever it took this replica to have.
 */
import type { Core } from "./core.ts";
import type { NodeId, RaftEntry } from "./types.ts";

/** What an introduction says. */
export const NOTHING = { index: 0, reject: true, hintIndex: 0, hintTerm: 0 } as const;

export class Introduction<E extends RaftEntry> {
  readonly #core: Core<E>;
  #dueMs: number;

  constructor(core: Core<E>) {
    this.#core = core;
    this.#dueMs = core.nowMs + core.electionTimeoutMs;
  }

  /** When it is to be said again; Infinity for never. */
  get dueMs(): number {
    return this.#core.vouched ? Infinity : this.#dueMs;
  }

  /** A leader spoke, or will be waited for from now on. */
  wait(): void {
    this.#dueMs = this.#core.nowMs + this.#core.electionTimeoutMs;
  }

  say(peers: Iterable<NodeId>): void {
    this.wait();
    const { id: from, term, commit, vouched, messages } = this.#core;
    for (const to of peers) {
      if (to !== from) messages.push({ type: "append-response", from, to, term, ...NOTHING, commit, vouched });
    }
  }
}

/** One campaign's votes. A pre-vote asks whether a campaign would have a chance, and changes nothing (thesis §9.6). */
import { type VoteResult, voteResult } from "./quorum.ts";
import type { Configuration, NodeId } from "./types.ts";

export class Ballot {
  readonly preVote: boolean;
  readonly #votes = new Map<NodeId, boolean>();

  constructor(preVote: boolean) {
    this.preVote = preVote;
  }

  /** Only the first answer of a voter counts. */
  record(voter: NodeId, granted: boolean): void {
    if (!this.#votes.has(voter)) this.#votes.set(voter, granted);
  }

  result(configuration: Configuration): VoteResult {
    return voteResult(configuration, this.#votes);
  }
}

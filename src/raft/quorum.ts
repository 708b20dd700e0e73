/**
 * Majorities, also of joint configurations, where both halves must agree (Raft §6). Pure arithmetic: it is checked by
 * property against the naive definition, because a fast path that errs here commits without a quorum.
 */
import type { Configuration, NodeId } from "./types.ts";

/** How far each voter is known to have the log. */
export interface MatchSource {
  matchOf(voter: NodeId): number;
}

export type VoteResult = "won" | "lost" | "pending";

/** Highest index that a majority of the voters (of each half) has; 0 if there are no voters. */
export function quorumIndex(configuration: Configuration, source: MatchSource): number {
  const { voters, outgoing } = configuration;
  if (voters.length === 0) return 0;
  const index = majorityIndex(voters, source);
  return outgoing.length === 0 ? index : Math.min(index, majorityIndex(outgoing, source));
}

function majorityIndex(voters: readonly NodeId[], source: MatchSource): number {
  if (voters.length === 3) {
    return median(source.matchOf(voters[0]!), source.matchOf(voters[1]!), source.matchOf(voters[2]!));
  }
  const matches = voters.map((voter) => source.matchOf(voter)).sort((a, b) => b - a);
  return matches[majority(voters.length) - 1]!;
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** What the votes cast so far decide. A vote of someone who is no voter counts for nothing. */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const { voters, outgoing } = configuration;
  if (voters.length === 0) return "lost";
  const result = halfResult(voters, votes);
  if (outgoing.length === 0 || result === "lost") return result;
  const other = halfResult(outgoing, votes);
  return other === "won" ? result : other;
}

function halfResult(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted += 1;
    else if (vote === false) refused += 1;
  }
  if (granted >= majority(voters.length)) return "won";
  return voters.length - refused < majority(voters.length) ? "lost" : "pending";
}

/** Whether those for whom `holds` form a quorum. */
export function hasQuorum(configuration: Configuration, holds: (voter: NodeId) => boolean): boolean {
  const { voters, outgoing } = configuration;
  if (voters.length === 0) return false;
  return halfHolds(voters, holds) && (outgoing.length === 0 || halfHolds(outgoing, holds));
}

function halfHolds(voters: readonly NodeId[], holds: (voter: NodeId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (holds(voter)) count += 1;
  return count >= majority(voters.length);
}

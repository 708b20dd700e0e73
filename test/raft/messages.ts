/** Messages as tests write them, and as golden text shows them. */
import type { AppendRequest, Message, NodeId, VoteRequest } from "../../src/raft/types.ts";
import { placed, type TestEntry } from "./test-entry.ts";

/** The fields every message has, for a receiver that is node 1. */
interface Head {
  readonly from: NodeId;
  readonly term: number;
  readonly to?: NodeId;
}

/** An append after `[index, term]`, of entries with these terms. */
export function append(
  { from, term, to = 1 }: Head,
  [previousIndex, previousTerm]: readonly [number, number],
  terms: readonly number[],
  commit = 0,
): AppendRequest<TestEntry> {
  const entries = terms.map((entryTerm, at) => placed(entryTerm, previousIndex + 1 + at));
  return { type: "append", from, to, term, previousIndex, previousTerm, commit, entries };
}

export function voteRequest(
  { from, term, to = 1 }: Head,
  [lastIndex, lastTerm]: readonly [number, number],
  options: { readonly preVote?: boolean; readonly transfer?: boolean } = {},
): VoteRequest {
  const { preVote = false, transfer = false } = options;
  return { type: "vote", from, to, term, preVote, lastIndex, lastTerm, transfer };
}

export function voteResponse(
  { from, term, to = 1 }: Head,
  reject: boolean,
  options: { readonly preVote?: boolean; readonly commit?: number; readonly commitTerm?: number } = {},
): Message<TestEntry> {
  const { preVote = false, commit = 0, commitTerm = 0 } = options;
  return { type: "vote-response", from, to, term, preVote, reject, commit, commitTerm };
}

/** An acknowledgement up to `index`. */
export function accepted({ from, term, to = 1 }: Head, index: number, commit = 0, vouched = true): Message<TestEntry> {
  return { type: "append-response", from, to, term, index, reject: false, hintIndex: 0, hintTerm: 0, commit, vouched };
}

/** Answers a read round; with `holdMs`, and promises its vote. */
export function confirmed({ from, term, to = 1 }: Head, readRound: number, holdMs = 0): Message<TestEntry> {
  return { type: "heartbeat-response", from, to, term, readRound, holdMs };
}

export function rejected(
  { from, term, to = 1 }: Head,
  index: number,
  [hintIndex, hintTerm]: readonly [number, number],
  vouched = true,
): Message<TestEntry> {
  return {
    type: "append-response",
    from,
    to,
    term,
    index,
    reject: true,
    hintIndex,
    hintTerm,
    commit: 0,
    vouched,
  };
}

/** One line: `1>2 append t2 after 4@1: 5@2 6@2, commit 4`. */
export function describe(message: Message<TestEntry>): string {
  return `${message.from}>${message.to} ${describeBody(message)}`;
}

function describeBody(message: Message<TestEntry>): string {
  const { term } = message;
  switch (message.type) {
    case "append": {
      const entries = message.entries.map((entry) => `${entry.index}@${entry.term}`).join(" ") || "nothing";
      return `append t${term} after ${message.previousIndex}@${message.previousTerm}: ${entries}, commit ${message.commit}`;
    }
    case "append-response":
      return message.reject
        ? `reject t${term} ${message.index}, try ${message.hintIndex}@${message.hintTerm}`
        : `accept t${term} ${message.index}${message.vouched ? "" : " unvouched"}`;
    case "vote":
      return `${message.preVote ? "pre-vote?" : "vote?"} t${term} last ${message.lastIndex}@${message.lastTerm}${
        message.transfer ? " transfer" : ""
      }`;
    case "vote-response":
      return `${message.preVote ? "pre-vote" : "vote"} t${term} ${message.reject ? "no" : "yes"}`;
    case "heartbeat":
      return `heartbeat t${term} round ${message.readRound}, commit ${message.commit}${message.vouch ? " vouch" : ""}`;
    case "heartbeat-response":
      return `heartbeat-response t${term} round ${message.readRound}${
        message.holdMs > 0 ? ` holds ${message.holdMs}` : ""
      }`;
    case "snapshot":
      return `snapshot t${term} ${message.snapshot.index}@${message.snapshot.term}`;
    case "transfer":
      return `transfer t${term} to ${message.target}`;
    case "timeout-now":
      return `timeout-now t${term}`;
  }
}

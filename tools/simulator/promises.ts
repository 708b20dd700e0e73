/**
 * What replicas told each other that is on their disks: votes, and entries acknowledged. It must be there after a
 * restart, unless the replica knows that its disk was damaged and asks to be vouched for.
 */
import type { Message } from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Replica } from "../../shards/host/replica.ts";
import type { Violation } from "./history.ts";

interface Promised {
  /** The newest term in which it gave a vote, and to whom. */
  voteTerm: number;
  vote: number;
  /** The newest term in which it did either, on the disk that it has now. */
  durableTerm: number;
  /** The newest term in which it acknowledged entries, and up to where. */
  term: number;
  index: number;
}

export class Promises {
  readonly #promised = new Map<string, Promised>();
  readonly #fail: (violation: Violation) => void;

  constructor(fail: (violation: Violation) => void) {
    this.#fail = fail;
  }

  /** A message leaves the node. */
  sent(nodeId: number, group: number, message: Message<Entry>): void {
    if (message.type === "vote-response" && !message.reject && !message.preVote) {
      const promised = this.#of(nodeId, group);
      if (promised.voteTerm === message.term && promised.vote !== message.to) {
        const detail = `term ${message.term}: for ${promised.vote} and for ${message.to}`;
        this.#broken("two votes in one term", nodeId, group, detail);
      }
      promised.voteTerm = message.term;
      promised.vote = message.to;
      promised.durableTerm = Math.max(promised.durableTerm, message.term);
    } else if (message.type === "append-response" && !message.reject) {
      const promised = this.#of(nodeId, group);
      promised.index = message.term > promised.term ? message.index : Math.max(promised.index, message.index);
      promised.term = message.term;
      promised.durableTerm = Math.max(promised.durableTerm, message.term);
    }
  }

  /** The replica starts with what its disk has. */
  started(nodeId: number, { group, raft }: Replica): void {
    const promised = this.#promised.get(`${nodeId}.${group}`);
    if (!promised || !raft.vouched) return;
    const { term, lastIndex } = raft;
    if (term < promised.durableTerm) {
      const detail = `${promised.durableTerm}, starts with ${term}`;
      this.#broken("a term that was said to be durable is gone", nodeId, group, detail);
    }
    // A leader of a later term may have cut off what this one acknowledged to an earlier leader.
    if (term === promised.term && lastIndex < promised.index) {
      this.#broken("acknowledged entries are gone", nodeId, group, `up to ${promised.index}, starts with ${lastIndex}`);
    }
  }

  /** Its entries and terms are not asked for any more; its votes still bind it. */
  diskReplaced(nodeId: number): void {
    for (const [key, promised] of this.#promised) {
      if (key.startsWith(`${nodeId}.`)) Object.assign(promised, { durableTerm: 0, term: 0, index: 0 });
    }
  }

  #of(nodeId: number, group: number): Promised {
    const key = `${nodeId}.${group}`;
    let promised = this.#promised.get(key);
    if (!promised) this.#promised.set(key, promised = { voteTerm: 0, vote: 0, durableTerm: 0, term: 0, index: 0 });
    return promised;
  }

  #broken(invariant: string, nodeId: number, group: number, detail: string): void {
    this.#fail({ invariant, detail: `node ${nodeId}, group ${group}: ${detail}` });
  }
}

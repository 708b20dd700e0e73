/** What must hold among the replicas after every event. */
import type { Replica } from "../../shards/host/replica.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";

interface GroupHistory {
  readonly leaderOfTerm: Map<number, number>;
  /** Committed entries as first seen applied: by index, term and checksums. */
  readonly committed: Map<number, string>;
  /** A term in which the entry was known to be committed: leaders of later terms have it. */
  readonly committedInTerm: Map<number, number>;
  /** Highest index that was applied anywhere. */
  newest: number;
}

interface ReplicaView {
  applied: number;
  term: number;
  commit: number;
  highWatermark: number;
}

export interface ObservedNode {
  readonly nodeId: number;
  readonly replicas: Iterable<Replica>;
}

export interface InvariantEvents {
  /** With each entry when it is applied anywhere for the first time. */
  readonly onCommitted: (group: number, entry: Entry) => void;
  /** With each replica when it is seen first after a start of its node. */
  readonly onStarted: (nodeId: number, replica: Replica) => void;
}

export class Invariants {
  readonly #groups = new Map<number, GroupHistory>();
  readonly #views = new WeakMap<Replica, ReplicaView>();
  readonly #fail: (violation: Violation) => void;
  /** Runs over everything that was ever committed: the same seed gives the same one. */
  hash = 0;
  committedEntries = 0;

  readonly #say: (text: string) => void;
  readonly #onCommitted: (group: number, entry: Entry) => void;
  readonly #onStarted: (nodeId: number, replica: Replica) => void;

  constructor(
    fail: (violation: Violation) => void,
    say: (text: string) => void,
    { onCommitted, onStarted }: InvariantEvents,
  ) {
    this.#fail = fail;
    this.#say = say;
    this.#onCommitted = onCommitted;
    this.#onStarted = onStarted;
  }

  newestApplied(group: number): number {
    return this.#history(group).newest;
  }

  check(nodes: Iterable<ObservedNode>): void {
    for (const { nodeId, replicas } of nodes) {
      for (const replica of replicas) this.#checkReplica(nodeId, replica);
    }
  }

  /** What a restart may set back is looked at anew: it makes new replicas. */
  #checkReplica(nodeId: number, replica: Replica): void {
    const { raft, group } = replica;
    let view = this.#views.get(replica);
    if (!view) {
      this.#onStarted(nodeId, replica);
      this.#views.set(replica, view = { applied: raft.applied, term: 0, commit: 0, highWatermark: 0 });
    }
    if (raft.term < view.term) this.#broken("a term went back", nodeId, group, `${view.term} to ${raft.term}`);
    if (raft.commit < view.commit) {
      this.#broken("a commit index went back", nodeId, group, `${view.commit} to ${raft.commit}`);
    }
    if (replica.highWatermark < view.highWatermark) {
      this.#broken("a high watermark fell", nodeId, group, `${view.highWatermark} to ${replica.highWatermark}`);
    }
    if (raft.role === "leader") this.#checkLeader(nodeId, replica);
    if (raft.applied > view.applied) this.#checkApplied(nodeId, replica, view.applied + 1);
    view.applied = raft.applied;
    view.term = raft.term;
    view.commit = raft.commit;
    view.highWatermark = replica.highWatermark;
  }

  #history(group: number): GroupHistory {
    let history = this.#groups.get(group);
    if (!history) {
      this.#groups.set(
        group,
        history = { leaderOfTerm: new Map(), committed: new Map(), committedInTerm: new Map(), newest: 0 },
      );
    }
    return history;
  }

  #checkLeader(nodeId: number, { raft, group }: Replica): void {
    const { leaderOfTerm } = this.#history(group);
    const known = leaderOfTerm.get(raft.term);
    if (known === nodeId) return;
    if (known !== undefined) {
      this.#broken("two leaders in one term", nodeId, group, `node ${known} led term ${raft.term}, too`);
    }
    leaderOfTerm.set(raft.term, nodeId);
    const { commit, lastIndex } = raft;
    this.#say(`node ${nodeId} leads group ${group} in term ${raft.term}: committed ${commit}, last ${lastIndex}`);
    this.#checkLeaderLog(nodeId, raft, group);
  }

  /** Leader completeness: whatever is committed is in the log of whoever leads later. */
  #checkLeaderLog(nodeId: number, raft: Replica["raft"], group: number): void {
    const { committed, committedInTerm } = this.#history(group);
    for (const [index, mark] of committed) {
      if (index < raft.log.firstIndex || committedInTerm.get(index)! >= raft.term) continue;
      const term = raft.log.term(index);
      if (term === undefined || !mark.startsWith(`${term}:`)) {
        this.#broken("a leader lacks a committed entry", nodeId, group, `index ${index}: ${mark}, has term ${term}`);
      }
    }
  }

  #checkApplied(nodeId: number, { raft, group }: Replica, from: number): void {
    const history = this.#history(group);
    const { committed, committedInTerm } = history;
    history.newest = Math.max(history.newest, raft.applied);
    for (let index = from; index <= raft.applied; index++) {
      const entry = raft.log.entry(index);
      if (!entry) continue;
      const mark = `${entry.term}:${entry.headerCrc}:${entry.payloadCrc}`;
      const known = committed.get(index);
      if (known === undefined) {
        committed.set(index, mark);
        committedInTerm.set(index, raft.term);
        this.committedEntries += 1;
        this.#onCommitted(group, entry);
        this.hash = (Math.imul(this.hash, 31) + entry.headerCrc + index * 7 + group) | 0;
      } else if (known !== mark) {
        this.#broken("replicas differ", nodeId, group, `index ${index}: ${mark}, elsewhere ${known}`);
      }
    }
  }

  #broken(invariant: string, nodeId: number, group: number, detail: string): void {
    this.#fail({ invariant, detail: `node ${nodeId}, group ${group}: ${detail}` });
  }
}

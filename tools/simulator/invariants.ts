/** What must hold among the replicas after every event. */
import type { Replica } from "../../shards/host/replica.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";

/** A committed entry as it was first seen applied. */
interface Committed {
  readonly term: number;
  readonly headerCrc: number;
  readonly payloadCrc: number;
  /** A term in which it was known to be committed: leaders of later terms have it. */
  readonly inTerm: number;
}

interface GroupHistory {
  readonly leaderOfTerm: Map<number, number>;
  /** By index. */
  readonly committed: Map<number, Committed>;
  /** Highest index that was applied anywhere. */
  newest: number;
}

/** What was seen of a replica the last time. */
interface ReplicaView {
  readonly replica: Replica;
  applied: number;
  term: number;
  commit: number;
  highWatermark: number;
  /** Newest term in which it was seen to lead. */
  ledTerm: number;
}

interface NodeView {
  /** Those that `views` are of, as the node gave them. */
  replicas: readonly Replica[];
  views: readonly ReplicaView[];
}

export interface InvariantEvents {
  /** With each entry when it is applied anywhere for the first time. */
  readonly onCommitted: (group: number, entry: Entry) => void;
  /** With each replica when it is seen first after a start of its node. */
  readonly onStarted: (nodeId: number, replica: Replica) => void;
}

export class Invariants {
  readonly #groups = new Map<number, GroupHistory>();
  readonly #nodes = new Map<number, NodeView>();
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

  /** Of a node whose code ran. `replicas`: the same array as long as they are the same. */
  check(nodeId: number, replicas: readonly Replica[]): void {
    for (const view of this.#viewsOf(nodeId, replicas)) this.#checkReplica(nodeId, view);
  }

  /** What a restart may set back is looked at anew: it makes new replicas. */
  #viewsOf(nodeId: number, replicas: readonly Replica[]): readonly ReplicaView[] {
    let node = this.#nodes.get(nodeId);
    if (!node) this.#nodes.set(nodeId, node = { replicas: [], views: [] });
    if (node.replicas === replicas) return node.views;
    const before = new Map(node.views.map((view) => [view.replica, view]));
    node.replicas = replicas;
    node.views = replicas.map((replica) => before.get(replica) ?? this.#begin(nodeId, replica));
    return node.views;
  }

  #begin(nodeId: number, replica: Replica): ReplicaView {
    this.#onStarted(nodeId, replica);
    return { replica, applied: replica.raft.applied, term: 0, commit: 0, highWatermark: 0, ledTerm: -1 };
  }

  /** After every event: most replicas are what they were, and that must be found out cheaply. */
  #checkReplica(nodeId: number, view: ReplicaView): void {
    const { replica } = view;
    const { raft, group, highWatermark } = replica;
    const { term, commit, applied } = raft;
    if (term < view.term) this.#broken("a term went back", nodeId, group, `${view.term} to ${term}`);
    if (commit < view.commit) this.#broken("a commit index went back", nodeId, group, `${view.commit} to ${commit}`);
    if (highWatermark < view.highWatermark) {
      this.#broken("a high watermark fell", nodeId, group, `${view.highWatermark} to ${highWatermark}`);
    }
    if (raft.role === "leader" && view.ledTerm !== term) this.#checkLeader(nodeId, view);
    if (applied > view.applied) this.#checkApplied(nodeId, replica, view.applied + 1);
    view.applied = applied;
    view.term = term;
    view.commit = commit;
    view.highWatermark = highWatermark;
  }

  #history(group: number): GroupHistory {
    let history = this.#groups.get(group);
    if (!history) {
      this.#groups.set(
        group,
        history = { leaderOfTerm: new Map(), committed: new Map(), newest: 0 },
      );
    }
    return history;
  }

  #checkLeader(nodeId: number, view: ReplicaView): void {
    const { raft, group } = view.replica;
    const { leaderOfTerm } = this.#history(group);
    const known = leaderOfTerm.get(raft.term);
    view.ledTerm = raft.term;
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
    for (const [index, known] of this.#history(group).committed) {
      if (index < raft.log.firstIndex || known.inTerm >= raft.term) continue;
      const term = raft.log.term(index);
      if (term !== known.term) {
        const detail = `index ${index}: ${markOf(known)}, has term ${term}`;
        this.#broken("a leader lacks a committed entry", nodeId, group, detail);
      }
    }
  }

  #checkApplied(nodeId: number, { raft, group }: Replica, from: number): void {
    const history = this.#history(group);
    const { committed } = history;
    history.newest = Math.max(history.newest, raft.applied);
    for (let index = from; index <= raft.applied; index++) {
      const entry = raft.log.entry(index);
      if (!entry) continue;
      const { term, headerCrc, payloadCrc } = entry;
      const known = committed.get(index);
      if (known === undefined) {
        committed.set(index, { term, headerCrc, payloadCrc, inTerm: raft.term });
        this.committedEntries += 1;
        this.#onCommitted(group, entry);
        this.hash = (Math.imul(this.hash, 31) + headerCrc + index * 7 + group) | 0;
      } else if (known.term !== term || known.headerCrc !== headerCrc || known.payloadCrc !== payloadCrc) {
        this.#broken("replicas differ", nodeId, group, `index ${index}: ${markOf(entry)}, elsewhere ${markOf(known)}`);
      }
    }
  }

  #broken(invariant: string, nodeId: number, group: number, detail: string): void {
    this.#fail({ invariant, detail: `node ${nodeId}, group ${group}: ${detail}` });
  }
}

function markOf({ term, headerCrc, payloadCrc }: Pick<Committed, "term" | "headerCrc" | "payloadCrc">): string {
  return `${term}:${headerCrc}:${payloadCrc}`;
}

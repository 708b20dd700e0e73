/**
 * Who may drop a damaged replica, and when: one of a group at a time, and not before every other voter has what it has. For a
 * replica that begins anew answers no round, and its leader vouches for it when all others have answered one; two of them at
 * once would wait for each other for ever, though a third has everything.
 *
 * The leader permits it, for its term: a follower that has answered a later leader as whole has no permit any more, and
 * that leader takes it for whole only when it has answered.
 */
import type { GroupId } from "../log/types.ts";
import { isVoter } from "../raft/configuration.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { Host } from "../../shards/host/host.ts";
import type { PeerRequests } from "../../shards/host/peer-requests.ts";
import type { Replica } from "../../shards/host/replica.ts";

/** Under this name a node asks the leader of a group whether it may drop its replica. */
const DROP = "repair-drop";
/** … and another holder whether it could lead instead. */
const LEAD = "repair-lead";
/** … and its leader all others whether they take part: one that is just being dropped does not, and nobody hears of that. */
const PART = "repair-part";
const ASK_MS_MAX = 1_000;
/** A permit is used within `ASK_MS_MAX` or not at all; then the leader hears of the replica that begins anew. */
const PERMIT_MS = 5_000;

export interface RepairPermitsOptions {
  readonly runtime: Runtime;
  readonly host: Host;
  readonly requests: PeerRequests;
  readonly isAlive: (node: NodeId) => boolean;
  /** This node's own replica of the group is damaged. */
  readonly isDamaged: (group: GroupId) => boolean;
}

type DropRequest = readonly [group: GroupId, node: NodeId, lastIndex: number];

export class RepairPermits {
  readonly #options: RepairPermitsOptions;
  /** The last one of each group that is led here, while it may be in use. */
  readonly #given = new Map<GroupId, { readonly node: NodeId; readonly untilMs: number }>();

  constructor(options: RepairPermitsOptions) {
    this.#options = options;
    options.requests.handle(DROP, (args) => this.#permit(args as DropRequest));
    options.requests.handle(LEAD, async (args) => this.#whole(args as GroupId).raft.term);
    options.requests.handle(PART, async (args) => this.#takingPart(args as GroupId).raft.term);
  }

  /**
   * Asks the leader whether this node may drop its replica, which has entries up to `lastIndex`. The leader's term, to be
   * used in the same turn; undefined: not now.
   */
  async mayDrop(group: GroupId, leader: NodeId, lastIndex: number): Promise<number | undefined> {
    const { runtime, host, requests } = this.#options;
    const askedMs = runtime.clock.monotonicMs();
    const request: DropRequest = [group, host.nodeId, lastIndex];
    const { code, result } = await requests.ask(leader, DROP, request, ASK_MS_MAX);
    return code === "" && runtime.clock.monotonicMs() - askedMs <= ASK_MS_MAX ? result as number : undefined;
  }

  /** Asks another holder whether it could lead the group: its own replica is whole. */
  async couldLead(group: GroupId, node: NodeId): Promise<boolean> {
    return (await this.#options.requests.ask(node, LEAD, group, ASK_MS_MAX)).code === "";
  }

  /** @throws {RaftlineError} `NOT_LEADER`, `UNAVAILABLE`: not now */
  async #permit([group, node, lastIndex]: DropRequest): Promise<number> {
    const { runtime, requests } = this.#options;
    const { term, others } = this.#judge(group, node, lastIndex);
    const answers = await Promise.all(others.map((peer) => requests.ask(peer, PART, group, ASK_MS_MAX / 2)));
    if (answers.some(({ code }) => code !== "")) throw notNow(group, "another replica takes no part");
    if (this.#judge(group, node, lastIndex).term !== term) throw notNow(group, "its leader has changed");
    this.#given.set(group, { node, untilMs: runtime.clock.monotonicMs() + PERMIT_MS });
    return term;
  }

  /**
   * As far as it can be told from here: this leader's term, and the other voters, who have all that `node` has.
   * @throws {RaftlineError} `NOT_LEADER`, `UNAVAILABLE`: not now
   */
  #judge(group: GroupId, node: NodeId, lastIndex: number): { readonly term: number; readonly others: NodeId[] } {
    const nowMs = this.#options.runtime.clock.monotonicMs();
    for (const [other, { untilMs }] of this.#given) if (untilMs < nowMs) this.#given.delete(other);
    const replica = this.#whole(group);
    if (!replica.isLeading) throw new RaftlineError("NOT_LEADER", `group ${group} is led elsewhere`);
    const given = this.#given.get(group);
    if (given !== undefined && given.node !== node) throw notNow(group, `node ${given.node} is repaired first`);
    const { term, commit, configuration } = replica.raft;
    const others = replica.raft.followers().filter(({ peer }) => peer !== node && isVoter(configuration, peer));
    const index = Math.min(lastIndex, commit);
    for (const { peer, vouched, match } of others) {
      if (vouched && match >= index && this.#options.isAlive(peer)) continue;
      throw notNow(group, `node ${peer} lacks some of it`);
    }
    return { term, others: others.map(({ peer }) => peer) };
  }

  #takingPart(group: GroupId): Replica {
    const replica = this.#options.host.replica(group);
    if (!replica || replica.closed || !replica.raft.vouched) throw notNow(group, "the replica here takes no part");
    return replica;
  }

  #whole(group: GroupId): Replica {
    if (this.#options.isDamaged(group)) throw notNow(group, "it is damaged here");
    return this.#takingPart(group);
  }
}

function notNow(group: GroupId, why: string): RaftlineError {
  return new RaftlineError("UNAVAILABLE", `group ${group}: ${why}`);
}

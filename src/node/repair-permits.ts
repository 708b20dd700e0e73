/**
 * Who may drop a damaged replica, and when: one of a group at a time, and not before every other voter has what it has. For a
 * replica that begins anew has no vote, and its leader vouches for it when all others have answered; two of them at once
 * would wait for each other for ever, though a third has everything.
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
    options.requests.handle(LEAD, async (args) => this.#mayLead(args as GroupId));
    options.requests.handle(PART, async (args) => this.#takesPart(args as GroupId));
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
    const { term } = this.#judge(group, node, lastIndex);
    const others = this.#othersOf(group, node);
    const answers = await Promise.all(
      others.map((peer) => this.#options.requests.ask(peer, PART, group, ASK_MS_MAX / 2)),
    );
    if (answers.some(({ code }) => code !== "")) throw notNow(group, "another replica takes no part");
    const raft = this.#judge(group, node, lastIndex);
    if (raft.term !== term) throw notNow(group, "its leader has changed");
    this.#given.set(group, { node, untilMs: this.#options.runtime.clock.monotonicMs() + PERMIT_MS });
    return term;
  }

  /** @throws {RaftlineError} `NOT_LEADER`, `UNAVAILABLE`: not now */
  #judge(group: GroupId, node: NodeId, lastIndex: number): Replica["raft"] {
    const nowMs = this.#options.runtime.clock.monotonicMs();
    for (const [other, { untilMs }] of this.#given) if (untilMs < nowMs) this.#given.delete(other);
    const replica = this.#whole(group);
    if (!replica.isLeading) throw new RaftlineError("NOT_LEADER", `group ${group} is led elsewhere`);
    const given = this.#given.get(group);
    if (given !== undefined && given.node !== node) throw notNow(group, `node ${given.node} is repaired first`);
    this.#assertOthersHave(replica, node, lastIndex);
    return replica.raft;
  }

  #othersOf(group: GroupId, node: NodeId): NodeId[] {
    const { raft } = this.#whole(group);
    return raft.followers().map(({ peer }) => peer).filter((peer) =>
      peer !== node && isVoter(raft.configuration, peer)
    );
  }

  #takesPart(group: GroupId): null {
    const replica = this.#options.host.replica(group);
    if (!replica || replica.closed || !replica.raft.vouched) throw notNow(group, "the replica here takes no part");
    return null;
  }

  #assertOthersHave({ group, raft }: Replica, node: NodeId, lastIndex: number): void {
    const { configuration, commit } = raft;
    const index = Math.min(lastIndex, commit);
    for (const { peer, vouched, match } of raft.followers()) {
      if (peer === node || !isVoter(configuration, peer)) continue;
      if (!vouched || match < index || !this.#options.isAlive(peer)) {
        throw notNow(group, `node ${peer} lacks some of it`);
      }
    }
  }

  #mayLead(group: GroupId): null {
    if (!this.#whole(group).raft.vouched) throw notNow(group, "the replica here begins anew");
    return null;
  }

  #whole(group: GroupId): Replica {
    const { host, isDamaged } = this.#options;
    const replica = host.replica(group);
    if (!replica || replica.closed || isDamaged(group)) throw notNow(group, "it is not whole here");
    return replica;
  }
}

function notNow(group: GroupId, why: string): RaftlineError {
  return new RaftlineError("UNAVAILABLE", `group ${group}: ${why}`);
}

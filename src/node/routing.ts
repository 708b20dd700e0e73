/** Who leads which shard, as far as this node has heard: from its own replicas and from what the others claim. */
import type { NodeId } from "../raft/types.ts";
import type { LeadershipClaim } from "../wire/peer-protocol.ts";

export interface Leader {
  /** 0: not known. */
  readonly node: NodeId;
  readonly term: number;
}

const UNKNOWN: Leader = { node: 0, term: 0 };

export class Routing {
  readonly #self: NodeId;
  readonly #leaders = new Map<number, Leader>();
  /** The newest that another node said of itself: what is left when a replica here knew no better, and goes. */
  readonly #claims = new Map<number, Leader>();
  readonly #onOwn: (claim: LeadershipClaim) => void;

  /** `onOwn` is called when this node begins or ceases to lead a shard: the others are to hear of it. */
  constructor(self: NodeId, onOwn: (claim: LeadershipClaim) => void) {
    this.#self = self;
    this.#onOwn = onOwn;
  }

  leaderOf(shard: number): Leader {
    return this.#leaders.get(shard) ?? UNKNOWN;
  }

  /** What a replica on this node sees. */
  observe(shard: number, term: number, node: NodeId): void {
    const before = this.leaderOf(shard);
    if (term < before.term) return;
    this.#leaders.set(shard, { node, term });
    if (node === this.#self) this.#onOwn({ shard, term, leading: true });
    else if (before.node === this.#self) this.#onOwn({ shard, term: before.term, leading: false });
  }

  /** What another node says of itself; a newer term wins, whoever tells it. */
  claimed(node: NodeId, claims: readonly LeadershipClaim[]): void {
    for (const { shard, term, leading } of claims) {
      take(this.#leaders, shard, { node, term }, leading);
      take(this.#claims, shard, { node, term }, leading);
    }
  }

  /** All that this node leads. */
  own(): LeadershipClaim[] {
    const claims: LeadershipClaim[] = [];
    for (const [shard, { node, term }] of this.#leaders) {
      if (node === this.#self) claims.push({ shard, term, leading: true });
    }
    return claims;
  }

  /** This node's replica is gone, and with it what only it could say; what others claim stays. */
  left(shard: number): void {
    const { node, term } = this.leaderOf(shard);
    if (node === this.#self) this.observe(shard, term, 0);
    const claim = this.#claims.get(shard);
    if (claim && claim.term >= term) this.#leaders.set(shard, claim);
  }

  forget(shard: number): void {
    this.#leaders.delete(shard);
    this.#claims.delete(shard);
  }
}

function take(leaders: Map<number, Leader>, shard: number, { node, term }: Leader, leading: boolean): void {
  const before = leaders.get(shard) ?? UNKNOWN;
  if (leading && term >= before.term) leaders.set(shard, { node, term });
  else if (!leading && before.node === node && before.term === term) leaders.set(shard, { node: 0, term });
}

/**
 * A replica whose disk gave back what was not written is repaired while the cluster serves: it hands its leadership over,
 * drops what it has, and begins anew without a vote (`Log.drop`); its leader brings it up and vouches for it.
 *
 * It goes only when another one leads and no holder is away: until then what it has may be what nobody else has.
 */
import type { Checkpoint, GroupId, Log } from "../log/types.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { Host } from "../../shards/host/host.ts";
import { termOf } from "./damage.ts";
import type { Routing } from "./routing.ts";

const POLL_MS = 100;

export interface RepairsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly log: Log;
  readonly routing: Routing;
  readonly isAlive: (node: NodeId) => boolean;
  /** Who holds the group besides this node; empty if this node is not to hold it any more, or nobody else does. */
  readonly othersOf: (group: GroupId) => readonly NodeId[];
  /** What of the group is in memory, and goes on; undefined: nothing. */
  readonly kept: (group: GroupId) => Checkpoint | undefined;
  /** Ends what runs of the group on this node, without giving its bytes back. */
  readonly retire: (group: GroupId) => void;
  /**
   * The group's log is empty, or begins behind what was kept, and may begin; or there is nothing to repair any more: this node
   * holds it no longer.
   */
  readonly repaired: (group: GroupId) => void;
}

export class Repairs {
  readonly #options: RepairsOptions;
  readonly #underWay = new Set<GroupId>();
  #stopped = false;
  /** Replicas that were found to be damaged since the start, and those of them that began anew. */
  damaged = 0;
  begun = 0;

  constructor(options: RepairsOptions) {
    this.#options = options;
  }

  /** How many are waited for or dropped just now. */
  get underWay(): number {
    return this.#underWay.size;
  }

  isUnderWay(group: GroupId): boolean {
    return this.#underWay.has(group);
  }

  /** False: nobody else has it, so it stays as it is. */
  start(group: GroupId, reason: string): boolean {
    if (this.#stopped || this.#underWay.has(group)) return true;
    const { runtime, othersOf } = this.#options;
    if (othersOf(group).length === 0) return false;
    this.#underWay.add(group);
    this.damaged += 1;
    runtime.log.write("error", "a replica is damaged: it will be repaired by the others", { group, reason });
    this.#repair(group).finally(() => this.#underWay.delete(group)).catch((error) => {
      if (!this.#stopped) runtime.fatal("a damaged replica cannot be repaired", error);
    });
    return true;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #repair(group: GroupId): Promise<void> {
    const { runtime, host, log, routing, kept, retire, repaired, othersOf } = this.#options;
    while (!this.#mayGo(group)) {
      await sleep(runtime, POLL_MS);
      if (this.#stopped) return;
      // Deleted meanwhile, or moved away.
      if (othersOf(group).length === 0) {
        this.#underWay.delete(group);
        return repaired(group);
      }
    }
    const found = log.group(group);
    const { node: leader, term } = routing.leaderOf(group);
    const checkpoint = kept(group);
    retire(group);
    await log.drop(group, Math.max(found ? termOf(found) : 0, term), checkpoint);
    this.begun += 1;
    this.#underWay.delete(group);
    runtime.log.write("info", "a damaged replica begins anew", { group });
    repaired(group);
    const replica = host.replica(group);
    if (!replica) return;
    replica.raft.introduce(leader, host.nowMs());
    host.wake(replica);
  }

  #mayGo(group: GroupId): boolean {
    const { nodeId, host, routing, isAlive, othersOf } = this.#options;
    const others = othersOf(group);
    if (!others.every(isAlive)) return false;
    const replica = host.replica(group);
    if (replica && !replica.closed && replica.raft.role === "leader") {
      const { raft } = replica;
      const [best] = raft.followers().filter(({ peer, vouched }) => vouched && isAlive(peer))
        .sort((a, b) => b.match - a.match);
      if (best) raft.transfer(best.peer, host.nowMs());
      host.wake(replica);
      return false;
    }
    const leader = routing.leaderOf(group).node;
    return leader !== 0 && leader !== nodeId;
  }
}

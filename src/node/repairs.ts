/**
 * A replica whose disk gave back what was not written is repaired while the cluster serves: it hands its leadership over,
 * drops what it has, and begins anew (`Log.drop`), voting by what it had; its leader brings it up and vouches for it.
 *
 * It goes only when no holder is away and the leader, another one, permits it (`repair-permits.ts`): until then what it has
 * may be what nobody else has.
 */
import type { Checkpoint, GroupId, Log } from "../log/types.ts";
import type { LogEnd, NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { Host } from "../../shards/host/host.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { termOf } from "./damage.ts";
import type { RepairPermits } from "./repair-permits.ts";
import type { Routing } from "./routing.ts";

const POLL_MS = 100;

export interface RepairsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly log: Log;
  readonly routing: Routing;
  readonly permits: RepairPermits;
  readonly isAlive: (node: NodeId) => boolean;
  /** Who holds the group besides this node; empty if this node is not to hold it any more, or nobody else does. */
  readonly othersOf: (group: GroupId) => readonly NodeId[];
  /** What of the group is in memory, and goes on; undefined: nothing. */
  readonly kept: (group: GroupId) => Checkpoint | undefined;
  /** Ends what runs of the group on this node, without giving its bytes back. */
  readonly retire: (group: GroupId) => void;
  /**
   * The group's log is empty, or begins behind what was kept, and may begin, with what it had in mind; or there is nothing to
   * repair any more: this node holds it no longer.
   */
  readonly repaired: (group: GroupId, had: LogEnd | undefined) => void;
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
    while (!await this.#mayGo(group)) {
      await sleep(runtime, POLL_MS);
      if (this.#stopped) return;
      // Deleted meanwhile, or moved away.
      if (othersOf(group).length === 0) {
        this.#underWay.delete(group);
        return repaired(group, undefined);
      }
    }
    const found = log.group(group);
    const { node: leader, term } = routing.leaderOf(group);
    const checkpoint = kept(group);
    // One that does not run may have lost the end of its log: nobody knows what it had.
    const raft = host.replica(group)?.raft;
    const had = raft?.vouched ? raft.log.end : undefined;
    retire(group);
    await log.drop(group, Math.max(found ? termOf(found) : 0, term, raft?.term ?? 0), checkpoint);
    this.begun += 1;
    this.#underWay.delete(group);
    runtime.log.write("info", "a damaged replica begins anew", { group });
    repaired(group, had);
    const replica = host.replica(group);
    if (!replica) return;
    replica.raft.introduce(leader, host.nowMs());
    host.wake(replica);
  }

  /** True: it is to go now, within this turn. */
  async #mayGo(group: GroupId): Promise<boolean> {
    const { nodeId, host, log, routing, permits, isAlive, othersOf } = this.#options;
    if (!othersOf(group).every(isAlive)) return false;
    const replica = host.replica(group);
    if (replica && !replica.closed && replica.raft.role === "leader") {
      await this.#handOver(replica);
      return false;
    }
    const { node: leader } = routing.leaderOf(group);
    if (leader === 0 || leader === nodeId) return false;
    const term = await permits.mayDrop(group, leader, log.group(group)?.lastIndex ?? 0);
    if (this.#stopped || term === undefined) return false;
    const now = routing.leaderOf(group);
    const here = host.replica(group);
    return now.node === leader && now.term === term && (!here || here.closed || here.raft.term === term);
  }

  /** To the one that has most of those that are whole. If none is, this one goes on with what can be read. */
  async #handOver(replica: Replica): Promise<void> {
    const { group, raft } = replica;
    const { host, permits, isAlive } = this.#options;
    const followers = raft.followers().filter(({ peer, vouched }) => vouched && isAlive(peer));
    for (const { peer } of followers.sort((a, b) => b.match - a.match)) {
      if (!await permits.couldLead(group, peer)) continue;
      if (replica.closed) return;
      raft.transfer(peer, host.nowMs());
      return host.wake(replica);
    }
  }
}

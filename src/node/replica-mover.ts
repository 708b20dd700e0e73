/**
 * Moves the replicas of partitions led here to where the metadata wants them: newcomers join as learners, catch up, and
 * take the place of those who leave through a joint configuration (Raft §6). Whoever leads goes on where the last leader
 * was: what has been done is in the group's configuration.
 */
import type { Configuration, NodeId } from "../raft/types.ts";
import { hasQuorum } from "../raft/quorum.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Replica } from "../../shards/host/replica.ts";
import type { MetadataService } from "../../shards/metadata/service.ts";
import { holdersOf, type MetadataState, type PartitionRecord } from "../../shards/metadata/state.ts";
import type { Partitions } from "./partitions.ts";
import { Watch } from "./watch.ts";

const LOOK_MS = 100;
/** How many partitions of one node may take in newcomers at a time: each is sent a whole log. */
const MOVES_MAX = 8;
/** Under load every newcomer stays a little behind. */
const ENTRIES_BEHIND_MAX = 64;

export interface ReplicaMoverOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly partitions: Partitions;
  readonly peers: { isAlive(peer: NodeId): boolean };
  /** See `HostLimits`. */
  readonly awayMsMax: number;
}

export class ReplicaMover {
  readonly #options: ReplicaMoverOptions;
  /** By shard: the index that the members must have on their disks, and know to be committed, before the move is done. */
  readonly #settling = new Map<number, number>();
  /** Shards whose end is being told to the metadata. */
  readonly #telling = new Set<number>();
  /** When each member that is away now was first seen to be. */
  readonly #awaySinceMs = new Map<NodeId, number>();
  readonly #watch: Watch;

  constructor(options: ReplicaMoverOptions) {
    this.#options = options;
    const { runtime, metadata } = options;
    const isDue = () => metadata.moving.size > 0;
    this.#watch = new Watch({ runtime, everyMs: LOOK_MS, isDue, look: () => this.#look() });
  }

  /** From now on: looks again and again while anything moves. */
  start(): void {
    this.#watch.start();
  }

  metadataChanged(): void {
    this.#watch.wake();
  }

  stop(): void {
    this.#watch.stop();
  }

  #look(): void {
    const { metadata, partitions } = this.#options;
    this.#watchAway();
    let moves = 0;
    for (const record of metadata.moving.values()) {
      const replica = partitions.get(record.shard)?.replica;
      if (!replica?.isLeading) this.#settling.delete(record.shard);
      // It waits for a node that is away, and shall hold up no other.
      else if (record.target.some((node) => this.#awaySinceMs.has(node))) this.#advance(replica, record);
      else if (moves < MOVES_MAX) {
        moves += 1;
        this.#advance(replica, record);
      }
    }
  }

  #watchAway(): void {
    const { metadata, peers, runtime } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    const members = new Set([...metadata.moving.values()].flatMap((record) => [...holdersOf(record)]));
    for (const node of this.#awaySinceMs.keys()) if (!members.has(node)) this.#awaySinceMs.delete(node);
    for (const node of members) {
      if (peers.isAlive(node)) this.#awaySinceMs.delete(node);
      else if (!this.#awaySinceMs.has(node)) this.#awaySinceMs.set(node, nowMs);
    }
  }

  /** One step: the next look sees what came of it. */
  #advance(replica: Replica, record: PartitionRecord): void {
    const { configuration } = replica.raft;
    const { voters, outgoing, learners } = configuration;
    const { shard, target } = record;
    if (outgoing.length > 0) return;
    if (voters.join() === target.join()) {
      if (learners.length > 0) replica.reconfigure({ voters: target, learners: [] });
      else this.#settle(replica, record);
      return;
    }
    this.#settling.delete(shard);
    const newcomers = target.filter((node) => !voters.includes(node));
    const asked = newcomers.every((node) => learners.includes(node)) && learners.length === newcomers.length;
    if (!asked) replica.reconfigure({ voters, learners: newcomers });
    else if (newcomers.every((node) => this.#isReady(replica, node))) {
      replica.reconfigure({ voters: target, learners: [] });
    } else this.#dropGone(replica, configuration, record);
  }

  /**
   * Has what the leader has, near enough, and its leader has vouched for it: a voter that is not vouched for and another
   * that loses its disk would be two, and a majority of three could never vote again.
   */
  #isReady({ raft }: Replica, node: NodeId): boolean {
    const follower = raft.followers().find(({ peer }) => peer === node);
    if (!follower?.vouched || follower.state !== "replicate") return false;
    return raft.commit - follower.match <= ENTRIES_BEHIND_MAX;
  }

  /**
   * A newcomer that was here before is vouched for when every voter has answered. One that stays away and shall leave anyway (it
   * may be the reason for the move) leaves first; not at once, for without it one more disk that is lost leaves no majority. One that
   * is no holder any more has given its replica up and answers no more.
   */
  #dropGone(replica: Replica, { voters, learners }: Configuration, record: PartitionRecord): void {
    const { nodeId, runtime, awayMsMax } = this.#options;
    const holders = holdersOf(record);
    const awayUntilMs = runtime.clock.monotonicMs() - awayMsMax;
    const isHere = (node: NodeId) => holders.has(node) && (this.#awaySinceMs.get(node) ?? Infinity) > awayUntilMs;
    const isGone = (node: NodeId) => node !== nodeId && !record.target.includes(node) && !isHere(node);
    const left = voters.filter((node) => !isGone(node));
    if (left.length < voters.length) replica.reconfigure({ voters: left, learners });
  }

  /**
   * The group has its new members. Those who left may forget it when a majority of those who stay know that it is committed,
   * and will know it after a restart: before, they could still need the others' votes. (What came after the change, and is on
   * a disk, came with a commit index past the change.)
   */
  #settle({ raft }: Replica, { shard, target }: PartitionRecord): void {
    const { nodeId } = this.#options;
    if (!this.#settling.has(shard)) this.#settling.set(shard, raft.lastIndex);
    const index = this.#settling.get(shard)!;
    const followers = new Map(raft.followers().map((follower) => [follower.peer, follower]));
    const knows = (voter: NodeId) => {
      if (voter === nodeId) return raft.durable >= index;
      const { match = 0, commit = 0 } = followers.get(voter) ?? {};
      return match >= index && commit >= index;
    };
    if (!hasQuorum(raft.configuration, knows)) return;
    this.#settling.delete(shard);
    this.#tell(shard, target);
  }

  /** If that fails, the next look begins again. */
  #tell(shard: number, replicas: readonly NodeId[]): void {
    if (this.#telling.has(shard)) return;
    this.#telling.add(shard);
    const told = this.#options.metadataService.execute({ type: "finishMove", shard, replicas });
    told.catch(() => {}).finally(() => this.#telling.delete(shard));
  }
}

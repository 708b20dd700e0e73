/** Gives leadership back to where a partition's leader should be, and away before a planned stop or from a slow disk. */
import { isVoter } from "../raft/configuration.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { Host } from "../../shards/host/host.ts";
import type { Peers } from "../../shards/host/peers.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { DiskHealth } from "./disk-health.ts";

const LOOK_MS = 1_000;
const TRANSFERS_PER_LOOK_MAX = 64;
/** Under load every follower is a little behind. */
const ENTRIES_BEHIND_MAX = 64;
/** When all nodes stop at once they hand to and fro: not for longer than this. */
const HAND_OVER_MS_MAX = 1_000;
const HAND_OVER_POLL_MS = 20;

export interface BalanceOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly peers: Peers;
  /** How long the preferred node must have been up before it is given anything. */
  readonly delayMs: number;
}

export class Balance {
  readonly #options: BalanceOptions;
  /** Monotonic ms since when each peer has been alive at every look. */
  readonly #aliveSinceMs = new Map<NodeId, number>();
  readonly #disks = new DiskHealth();
  #wasSlow = false;
  #timer: Timer | undefined;

  constructor(options: BalanceOptions) {
    this.#options = options;
  }

  /** Whether this node's disk is so slow, or full, that it leads nothing. */
  get hasSlowDisk(): boolean {
    return this.#wasSlow;
  }

  start(): void {
    this.#timer = this.#options.runtime.timers.after(LOOK_MS, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Hands every leadership to another replica that is alive; what could not be handed over after a while stays. */
  async handOver(): Promise<void> {
    const { runtime, host } = this.#options;
    const deadlineMs = runtime.clock.monotonicMs() + HAND_OVER_MS_MAX;
    for (;;) {
      const led = host.replicas().filter(({ raft }) => raft.role === "leader");
      const handed = led.filter((replica) => this.#transferAway(replica));
      if (handed.length === 0 || runtime.clock.monotonicMs() > deadlineMs) return;
      await sleep(runtime, HAND_OVER_POLL_MS);
    }
  }

  /** False: there is nobody to hand it to. */
  #transferAway(replica: Replica): boolean {
    const { peers } = this.#options;
    const alive = replica.raft.followers().filter(({ peer, vouched }) => {
      return vouched && isVoter(replica.raft.configuration, peer) && peers.isAlive(peer) && !this.#disks.isSlow(peer);
    });
    const [best] = alive.sort((a, b) => b.match - a.match);
    if (best === undefined) return false;
    this.#transfer(replica, best.peer);
    return true;
  }

  #look(): void {
    const { runtime, nodeId, host, peers, delayMs } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    this.#disks.look(peers.diskWriteMs());
    const isSlow = this.#disks.isSlow(nodeId);
    if (isSlow !== this.#wasSlow) this.#tellSlow(isSlow);
    let transfers = 0;
    for (const replica of host.replicas()) {
      if (!replica.isLeading || transfers >= TRANSFERS_PER_LOOK_MAX) continue;
      if (isSlow) {
        if (this.#transferAway(replica)) transfers += 1;
        continue;
      }
      const preferred = replica.raft.configuration.voters[0];
      if (preferred === undefined || preferred === nodeId || this.#disks.isSlow(preferred)) continue;
      if (nowMs - this.#aliveSince(preferred, peers.isAlive(preferred), nowMs) < delayMs) continue;
      if (!hasCaughtUp(replica, preferred)) continue;
      this.#transfer(replica, preferred);
      transfers += 1;
    }
  }

  #tellSlow(isSlow: boolean): void {
    this.#wasSlow = isSlow;
    const { log } = this.#options.runtime;
    const writeMs = Object.fromEntries(this.#options.peers.diskWriteMs());
    if (isSlow) {
      log.write("warn", "the disk is much slower than the other nodes', or full: the leaders here go to them", writeMs);
    } else log.write("info", "the disk is as quick as the other nodes' again", writeMs);
  }

  #aliveSince(peer: NodeId, alive: boolean, nowMs: number): number {
    if (!alive) {
      this.#aliveSinceMs.delete(peer);
      return nowMs;
    }
    const since = this.#aliveSinceMs.get(peer);
    if (since === undefined) this.#aliveSinceMs.set(peer, nowMs);
    return since ?? nowMs;
  }

  #transfer(replica: Replica, target: NodeId): void {
    replica.raft.transfer(target, this.#options.runtime.clock.monotonicMs());
    this.#options.host.wake(replica);
  }
}

/** A transfer to one that is far behind would hold up all proposals until it is given up. */
function hasCaughtUp({ raft }: Replica, node: NodeId): boolean {
  const follower = raft.followers().find(({ peer }) => peer === node);
  return follower?.state === "replicate" && raft.commit - follower.match <= ENTRIES_BEHIND_MAX;
}

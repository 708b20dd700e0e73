/**
 * What follows from the metadata's word on nodes. Everywhere: links to those that were added. Where the metadata is led: they
 * are its learners, and what is on nodes that are drained moves elsewhere. Looks again while anything is to be done.
 */
import type { NodeId } from "../raft/types.ts";
import type { Address } from "../runtime/network.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { MetadataService } from "../../shards/metadata/service.ts";
import type { MetadataState } from "../../shards/metadata/state.ts";
import type { Members } from "./members.ts";
import { Watch } from "./watch.ts";

const LOOK_MS = 200;
/** One that was removed is told so, if it is up: until then it is a learner, and has its links. */
const FAREWELL_MS = 5_000;

export interface MembershipKeeperOptions {
  readonly runtime: Runtime;
  readonly members: Members;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly peers: { follow(peer: NodeId, address: Address): void; forget(peer: NodeId): void };
}

export class MembershipKeeper {
  readonly #options: MembershipKeeperOptions;
  /** Added nodes that there are links to; until when, of those that were removed. */
  readonly #linked = new Map<NodeId, number | undefined>();
  readonly #watch: Watch;
  #moving = false;

  constructor(options: MembershipKeeperOptions) {
    this.#options = options;
    const look = () => {
      this.#look();
      this.#link();
    };
    this.#watch = new Watch({ runtime: options.runtime, everyMs: LOOK_MS, isDue: () => this.#isDue(), look });
  }

  start(): void {
    this.#link();
    this.#watch.start();
  }

  /** Cheap where no node was ever added or drained. */
  metadataChanged(): void {
    if (!this.#watch.running) return;
    this.#link();
    this.#watch.wake();
  }

  stop(): void {
    this.#watch.stop();
  }

  #isDue(): boolean {
    const { metadata } = this.#options;
    return this.#isAnyLeaving() || metadata.draining.size > 0 || this.#learnersDue() !== undefined;
  }

  #isAnyLeaving(): boolean {
    for (const untilMs of this.#linked.values()) if (untilMs !== undefined) return true;
    return false;
  }

  #link(): void {
    const { members, peers, runtime } = this.#options;
    const addresses = members.addresses();
    for (const [node, address] of addresses) {
      this.#linked.set(node, undefined);
      peers.follow(node, address);
    }
    const nowMs = runtime.clock.monotonicMs();
    for (const [node, untilMs] of this.#linked) {
      if (addresses.has(node)) continue;
      if (untilMs === undefined) this.#linked.set(node, nowMs + FAREWELL_MS);
      else if (nowMs >= untilMs) {
        this.#linked.delete(node);
        peers.forget(node);
      }
    }
  }

  #look(): void {
    const { metadata, metadataService } = this.#options;
    const { replica } = metadataService;
    if (!replica.isLeading) return;
    const learners = this.#learnersDue();
    if (learners) replica.reconfigure({ voters: replica.raft.configuration.voters, learners });
    if (metadata.draining.size === 0 || this.#moving) return;
    this.#moving = true;
    // If that fails, the next look begins again.
    metadataService.execute({ type: "moveDrained" }).catch(() => {}).finally(() => this.#moving = false);
  }

  /** Whom the metadata's group should teach, if it is not those whom it teaches now. */
  #learnersDue(): NodeId[] | undefined {
    const { learners, outgoing } = this.#options.metadataService.replica.raft.configuration;
    const due = [...this.#linked.keys()].sort((a, b) => a - b);
    return outgoing.length > 0 || due.join() === [...learners].sort((a, b) => a - b).join() ? undefined : due;
  }
}

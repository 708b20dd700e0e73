/**
 * Repairs of the groups whose state in memory is all there is to them (metadata, coordinators). What of their log is
 * applied need not be read again: the state is made durable anew, and what was damaged is trimmed away behind it. That
 * takes nothing from what the replica knows: it votes on and leads on, and nobody else is needed.
 *
 * Only what a restart had not applied yet can be lost with the disk. Then the replica has stopped; it keeps what it has
 * applied, begins anew behind that, without a vote, and its leader gives it the rest (repairs.ts).
 */
import { type GroupId, type Log, LogError } from "../log/types.ts";
import type { LogEnd, NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { Host } from "../../shards/host/host.ts";
import { FIRST_PARTITION_SHARD } from "../../shards/metadata/state.ts";
import { canBeRead, type Damages } from "./damage.ts";
import type { RepairPermits } from "./repair-permits.ts";
import { Repairs } from "./repairs.ts";
import type { Routing } from "./routing.ts";

const POLL_MS = 100;

export interface StateRepairsOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly log: Log;
  readonly routing: Routing;
  readonly damages: Damages;
  readonly permits: RepairPermits;
  readonly isAlive: (node: NodeId) => boolean;
  /** Who else holds the group. */
  readonly othersOf: (group: GroupId) => readonly NodeId[];
  /** Begins the group on this node from what the log has of it: it runs no more. */
  readonly begin: (group: GroupId, had: LogEnd | undefined) => void;
}

export class StateRepairs {
  readonly #options: StateRepairsOptions;
  readonly #anew: Repairs;
  readonly #rewriting = new Set<GroupId>();
  #stopped = false;
  #damaged = 0;
  #rewritten = 0;

  constructor(options: StateRepairsOptions) {
    const { host, damages } = options;
    this.#options = options;
    this.#anew = new Repairs({
      ...options,
      kept: (group) => host.replica(group)?.checkpoint().checkpoint,
      retire: (group) => void host.retire(group),
      repaired: (group, had) => this.#begin(group, had),
    });
    damages.listen((group, reason) => this.#noticed(group, reason));
  }

  /** Replicas that were found to be damaged since the start, and those of them that are whole again. */
  get damaged(): number {
    return this.#damaged;
  }

  get repaired(): number {
    return this.#rewritten + this.#anew.begun;
  }

  /** What it lost with its disk is to be given to it by the others. */
  beginsAnew(group: GroupId): boolean {
    return this.#anew.isUnderWay(group);
  }

  get underWay(): number {
    return this.#rewriting.size + this.#anew.underWay;
  }

  /** Takes care of what was found before the groups were here. */
  start(): void {
    const { host, damages } = this.#options;
    for (const { group } of host.replicas()) {
      const reason = damages.reasonOf(group);
      if (reason !== undefined) this.#noticed(group, reason);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#anew.stop();
  }

  #noticed(group: GroupId, reason: string): void {
    const { runtime } = this.#options;
    if (group >= FIRST_PARTITION_SHARD || this.#stopped) return;
    if (this.#rewriting.has(group) || this.#anew.isUnderWay(group)) return;
    this.#rewriting.add(group);
    this.#damaged += 1;
    runtime.log.write("error", "a state's log is damaged: the state is written again", { group, reason });
    this.#rewrite(group, reason).finally(() => this.#rewriting.delete(group)).catch((error) => {
      if (!this.#stopped) runtime.fatal("a damaged state cannot be written again", error);
    });
  }

  async #rewrite(group: GroupId, reason: string): Promise<void> {
    const { host, runtime, damages } = this.#options;
    while (!this.#stopped) {
      const replica = host.replica(group);
      if (!replica) return;
      if (replica.closed) return this.#beginAnew(group, reason);
      await host.checkpoint(replica);
      if (await this.#isWhole(group)) {
        this.#rewritten += 1;
        damages.forget(group);
        runtime.log.write("info", "a damaged state is whole again", { group });
        return;
      }
      // What is not applied yet is still in memory, and here soon; or it could not be read to be applied.
      await sleep(runtime, POLL_MS);
    }
  }

  async #isWhole(group: GroupId): Promise<boolean> {
    const { log } = this.#options;
    try {
      const found = log.group(group);
      return found !== undefined && await canBeRead(log, found);
    } catch (error) {
      // Trimmed or cut while it was read.
      if (error instanceof LogError && error.code !== "CLOSED") return false;
      throw error;
    }
  }

  #beginAnew(group: GroupId, reason: string): void {
    if (this.#anew.start(group, reason)) return;
    this.#options.runtime.log.write("error", "a damaged state has no other copy", { group, reason });
  }

  #begin(group: GroupId, had: LogEnd | undefined): void {
    const { damages, begin } = this.#options;
    damages.forget(group);
    begin(group, had);
  }
}

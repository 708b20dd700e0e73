/** Finds out whether this node's folder is what it was, and has its groups keep still until that is clear (README.md). */
import type { GroupId } from "../log/types.ts";
import type { NodeId } from "../raft/types.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { Host } from "../../shards/host/host.ts";
import type { Memory, Past } from "./memory.ts";

const RETRY_MS = 1_000;
const TURN_MS = 25;

export interface RecollectionOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  readonly host: Host;
  readonly memory: Memory;
  readonly others: readonly NodeId[];
}

export class Recollection {
  readonly #options: RecollectionOptions;
  /** Nodes that let this run in: they know of no other folder of this node, and of no later run. */
  readonly #know = new Set<NodeId>();
  #lost = false;
  #timer: Timer | undefined;
  #closed = false;
  /** All groups that this node is a member of have begun. */
  #groupsAreKnown = false;

  constructor(options: RecollectionOptions) {
    this.#options = options;
    const { memory, others, runtime } = options;
    this.#lost = memory.past === "lost";
    if (memory.past === "whole") return;
    const what = this.#lost
      ? "this node has forgotten what it promised: it does not vote before its leaders vouch for it"
      : "this node's folder is new: it takes part when all others have said that they never met it";
    runtime.log.write(this.#lost ? "warn" : "info", what, { others });
  }

  /** A peer let this node in. */
  peerKnows(peer: NodeId): void {
    const { memory, others, host, runtime } = this.#options;
    this.#know.add(peer);
    if (memory.past !== "unproven" || this.#lost || !others.every((node) => this.#know.has(node))) return;
    this.#write("whole", () => {
      if (this.#lost) return;
      host.trustAll((group) => memory.isDoubted(group));
      this.#timer = runtime.timers.after(this.#turnMs(), () => host.campaignWhereNobodyLeads());
    });
  }

  /** A new cluster's nodes take turns: those that asked all at once would split the votes. */
  #turnMs(): number {
    const { others, nodeId } = this.#options;
    return others.filter((node) => node < nodeId).length * TURN_MS;
  }

  /** A peer has met this node with another folder, or in a later run. */
  peerRemembers(): void {
    const { host, runtime } = this.#options;
    if (!this.#lost) {
      this.#lost = true;
      runtime.log.write("warn", "this node's folder is not what it was: its leaders must vouch for it", {});
      host.doubtAll();
      this.#write("lost");
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** A group of this node takes part again. */
  vouched(group: GroupId): void {
    this.#options.memory.trust(group).catch((error: unknown) => this.#failed(error));
    this.#recover();
  }

  /** The metadata is current here, and all groups that it asks for were begun. */
  groupsAreKnown(): void {
    this.#groupsAreKnown = true;
    this.#recover();
  }

  /** Once all groups are vouched for, there is nothing left that was forgotten. */
  #recover(): void {
    const { host, memory, runtime } = this.#options;
    if (memory.past !== "lost" || !this.#groupsAreKnown || host.unvouched > 0) return;
    this.#write("whole", () => {
      this.#lost = false;
      runtime.log.write("info", "all that this node forgot was given again", {});
    });
  }

  #write(past: Past, then: () => void = () => {}): void {
    const { memory, runtime } = this.#options;
    memory.setPast(past).then(then, (error: unknown) => {
      this.#failed(error);
      if (!this.#closed) this.#timer = runtime.timers.after(RETRY_MS, () => this.#write(past, then));
    });
  }

  /** Until then it stays as it was, which is safe. */
  #failed(error: unknown): void {
    this.#options.runtime.log.write("warn", "what this node remembers could not be written", { reason: String(error) });
  }
}

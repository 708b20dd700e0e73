/**
 * How a node comes to be one of the cluster, each time that it starts: it reads the metadata, and says there where clients reach it.
 * One that was added and is removed hears of nothing more, and sends clients elsewhere; unless it is added again.
 */
import type { NodeId } from "../raft/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import type { MetadataService } from "../../shards/metadata/service.ts";
import type { MetadataState, NodeRecord } from "../../shards/metadata/state.ts";
import { ConfigError } from "./errors.ts";
import type { Members } from "./members.ts";
import type { Memory } from "./memory.ts";

const RETRY_MS = 200;

export interface RegistrationOptions {
  readonly runtime: Runtime;
  readonly nodeId: NodeId;
  /** It was added to a cluster that was there. */
  readonly joins: boolean;
  readonly memory: Memory;
  readonly members: Members;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly peers: { isAlive(peer: NodeId): boolean };
  /** Where it is reached; known when it listens. */
  readonly record: () => NodeRecord;
  /** Once: the metadata here is as new as any was when this node began. */
  readonly onCurrent: () => void;
  readonly onRemoved: () => void;
}

export class Registration {
  readonly #options: RegistrationOptions;
  #isCurrent = false;
  #removed = false;
  #toldOfStranger = false;
  #stopped = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get isDone(): boolean {
    const { metadata, nodeId, record } = this.#options;
    const known = metadata.nodes.get(nodeId);
    return known !== undefined && JSON.stringify(known) === JSON.stringify(record()) && this.#isCurrent;
  }

  async start(): Promise<void> {
    const { runtime, joins, metadataService, record, onCurrent } = this.#options;
    while (!this.#stopped) {
      try {
        await metadataService.execute({ type: "barrier" });
        if (joins) this.#checkFounders();
        if (!this.#isCurrent) onCurrent();
        this.#isCurrent = true;
        if (joins) await this.#proven();
        if (!this.isDone) await metadataService.execute({ type: "registerNode", node: record() });
        return;
      } catch (error) {
        runtime.log.write("info", "not registered yet", { reason: String(error) });
        await sleep(runtime, RETRY_MS);
      }
    }
  }

  metadataChanged(): void {
    const { joins, members, nodeId, runtime, onRemoved } = this.#options;
    if (!joins || !this.#isCurrent) return;
    const wasRemoved = this.#removed;
    this.#removed = !members.has(nodeId);
    if (wasRemoved && !this.#removed) void this.start();
    else if (!wasRemoved && this.#removed) {
      runtime.log.write("warn", "this node was removed from the cluster: it may be stopped", {});
      onRemoved();
    }
  }

  /** A node that is not known here dials this one. Before it has the metadata, one that joins may have been told too few. */
  strangerCame(from: NodeId): void {
    const { joins, members: { founders }, runtime } = this.#options;
    if (!joins || this.#isCurrent || this.#toldOfStranger) return;
    this.#toldOfStranger = true;
    const what = "a node dials this one that is none of nodes: are they those that the cluster was made with?";
    runtime.log.write("warn", what, { from, nodes: founders });
  }

  stop(): void {
    this.#stopped = true;
  }

  /** What it believed of others rests on them; it could have been given some other cluster's. */
  #checkFounders(): void {
    const { members: { founders }, metadataService, runtime } = this.#options;
    const { voters } = metadataService.replica.raft.configuration;
    const sorted = (nodes: readonly NodeId[]) => [...nodes].sort((a, b) => a - b).join(", ");
    if (sorted(voters) === sorted(founders)) return;
    const made = `nodes: the cluster was made with nodes ${sorted(voters)}`;
    const why = `${made}, and the configuration has ${sorted(founders)}: correct it, and begin with an empty folder`;
    runtime.fatal("this node was not told who votes", new ConfigError("INVALID_CONFIG", "nodes", why));
  }

  /**
   * Until all founders have let it in, it cannot know whether it was here before, and would not vote: nobody may count on it.
   * Told once, for one of them may be away for long.
   */
  async #proven(): Promise<void> {
    const { memory, members: { founders }, peers, runtime } = this.#options;
    for (let told = false; memory.past === "unproven" && !this.#stopped; await sleep(runtime, RETRY_MS)) {
      const away = founders.filter((id) => !peers.isAlive(id));
      if (told || away.length === 0) continue;
      runtime.log.write("warn", "this node joins when all that the cluster was made with have let it in", { away });
      told = true;
    }
  }
}

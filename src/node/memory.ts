/**
 * What this node knows of its own past, and of the others' runs. A node that comes back with an empty folder, or with an
 * old copy of it, has forgotten votes and acknowledgements, and does not know. The others do: every node keeps the last
 * run of each other that it met, durably before it lets it in; and every folder keeps the runs begun on it (README.md).
 */
import type { GroupId } from "../log/types.ts";
import type { NodeId } from "../raft/types.ts";
import { DiskError } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type NodeRun, type PeerHello, RUNS_MAX } from "../wire/peer-protocol.ts";
import { type NodeFileContent, writeNodeFile } from "./node-file.ts";

/**
 * unproven: the folder is new, and not all others have said yet that they never met this node.
 * lost: it was here before, or later, and does not remember; its groups do not vote before they are vouched for.
 */
export type Past = NodeFileContent["past"];

export class Memory {
  /** Rises with every start on this folder. */
  readonly incarnation: number;
  readonly #runtime: Runtime;
  readonly #folder: string;
  /** As long as this run lasts. */
  readonly #fixed: Pick<NodeFileContent, "clusterId" | "nodeId" | "nodes" | "holdsVotes">;
  /** The runs on this folder that spoke to anyone. */
  readonly #runs: number[];
  #hasRun = false;
  /** The last run of each other node that was let in. */
  readonly #met: Map<NodeId, number>;
  /** Groups that came back to this node after it had given them up: not vouched for yet. */
  readonly #doubted: Set<GroupId>;
  /** As it is on the disk, and as the next write will make it. */
  #past: Past;
  #nextPast: Past;
  #changes = 0;
  #changesSaved = 0;
  #writing: Promise<void> | undefined;
  #saidFull = false;

  constructor(runtime: Runtime, folder: string, content: NodeFileContent) {
    const { clusterId, nodeId, nodes, holdsVotes, incarnation, runs, met, doubted, past } = content;
    this.#runtime = runtime;
    this.#folder = folder;
    this.#fixed = { clusterId, nodeId, nodes, holdsVotes };
    this.incarnation = incarnation;
    this.#runs = [...runs];
    this.#met = new Map(met.map(({ id, run }) => [id, run]));
    this.#doubted = new Set(doubted);
    this.#past = past;
    this.#nextPast = past;
  }

  /** The last run that spoke to anyone; undefined before the first. */
  get lastRun(): number | undefined {
    return this.#runs.at(-1);
  }

  /** As it is on the disk. */
  get past(): Past {
    return this.#past;
  }

  /** Whether this node may have forgotten what it promised as a member of the group; from the moment it is known. */
  doubts(group: GroupId): boolean {
    return this.#past !== "whole" || this.#nextPast !== "whole" || this.#doubted.has(group);
  }

  isDoubted(group: GroupId): boolean {
    return this.#doubted.has(group);
  }

  /**
   * This run, as the others are told of it; it is drawn when one of them listens. What starts again and again and reaches
   * nobody has promised nothing, and must not push out of memory what they met.
   * @throws {DiskError} `DISK_FULL`
   */
  async run(): Promise<NodeRun> {
    if (!this.#hasRun) {
      this.#hasRun = true;
      this.#runs.push(Math.floor(this.#runtime.random.next() * Number.MAX_SAFE_INTEGER));
      this.#runs.splice(0, this.#runs.length - RUNS_MAX);
      this.#changes += 1;
    }
    await this.#saved();
    return { incarnation: this.incarnation, runs: this.#runs };
  }

  /**
   * A run of another node says hello. Gives "" when it is known here, durably; or `FORGOT`: that node was met in a run
   * that this one does not remember, and it does not say that it knows.
   */
  async meet({ from, runs, forgot }: PeerHello): Promise<"" | "FORGOT"> {
    const known = this.#met.get(from);
    const run = runs.at(-1)!;
    if (known === run) {
      await this.#saved();
      return "";
    }
    if (known !== undefined && !forgot && !runs.includes(known)) return "FORGOT";
    this.#met.set(from, run);
    await this.#save();
    return "";
  }

  /** @throws {DiskError} `DISK_FULL`, as all changes: it is in memory then, and goes with the next one */
  async setPast(past: Past): Promise<void> {
    if (this.#past === past && this.#nextPast === past) return;
    this.#nextPast = past;
    await this.#save();
  }

  async doubt(group: GroupId): Promise<void> {
    this.#doubted.add(group);
    try {
      await this.#save();
    } catch (error) {
      this.#doubted.delete(group);
      throw error;
    }
  }

  async trust(group: GroupId): Promise<void> {
    if (this.#doubted.delete(group)) await this.#save();
  }

  async #save(): Promise<void> {
    this.#changes += 1;
    await this.#saved();
  }

  /** Resolves when all that was changed before is durable. One write at a time: it takes along what waited for it. */
  async #saved(): Promise<void> {
    const changes = this.#changes;
    while (this.#changesSaved < changes) {
      this.#writing ??= this.#write();
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    const changes = this.#changes;
    const past = this.#nextPast;
    const met = [...this.#met].map(([id, run]) => ({ id, run }));
    const { incarnation } = this;
    const content = { ...this.#fixed, incarnation, runs: [...this.#runs], past, doubted: [...this.#doubted], met };
    try {
      await writeNodeFile(this.#runtime.disk, this.#folder, content);
      this.#changesSaved = changes;
      this.#past = past;
      this.#saidFull = false;
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "DISK_FULL")) {
        this.#runtime.fatal("cannot write what this node must remember", error);
      }
      this.#sayFull(error);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  /** Once, as long as it lasts. */
  #sayFull({ message }: DiskError): void {
    if (this.#saidFull) return;
    this.#saidFull = true;
    this.#runtime.log.write("error", "a node that is started again is refused here until there is room", {
      reason: message,
    });
  }
}

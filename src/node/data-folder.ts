/** A node's folder: locked while the node runs, and marked with whose it is. */
import { type DiskLock } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { NodeId } from "../raft/types.ts";
import { ConfigError, NodeError } from "./errors.ts";
import { Memory } from "./memory.ts";
import { readNodeFile, writeNodeFile } from "./node-file.ts";

export interface DataFolder {
  readonly path: string;
  readonly memory: Memory;
  /** In an earlier run. */
  readonly mayHavePromised: boolean;
  readonly lock: DiskLock;
}

export interface FolderOwner {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Those that the cluster was made with. */
  readonly nodes: readonly NodeId[];
  /** Votes are promised from now on: it reads under leases. */
  readonly holdsVotes: boolean;
}

/**
 * Takes the folder for this node; makes it if there is none.
 * @throws {DiskError} `LOCKED` another process has it
 * @throws {ConfigError} `INVALID_CONFIG` the cluster was made with other nodes
 * @throws {NodeError} `FOREIGN_DATA_FOLDER` it belongs to another node or cluster; `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export async function openDataFolder(runtime: Runtime, path: string, owner: FolderOwner): Promise<DataFolder> {
  const { disk } = runtime;
  const { clusterId, nodeId, holdsVotes } = owner;
  const nodes = [...owner.nodes].sort((a, b) => a - b);
  const lock = await disk.lock(path);
  try {
    const before = await readNodeFile(disk, path);
    if (before && (before.nodeId !== nodeId || before.clusterId !== clusterId)) {
      throw new NodeError(
        "FOREIGN_DATA_FOLDER",
        `${path} belongs to node ${before.nodeId} of cluster "${before.clusterId}", not to node ${nodeId} of "${clusterId}"`,
      );
    }
    if (before?.nodes && before.nodes.join() !== nodes.join()) throw otherNodes(path, before.nodes, nodes);
    const content = {
      clusterId,
      nodeId,
      nodes,
      incarnation: (before?.incarnation ?? 0) + 1,
      runs: before?.runs ?? [],
      // Nobody else can know of a node that is alone.
      past: before?.past ?? (isAlone(nodes, nodeId) ? "whole" : "unproven"),
      // For good: when the last promise is over, only somebody who was not stopped could say.
      holdsVotes: holdsVotes || before?.holdsVotes === true,
      doubted: before?.doubted ?? [],
      met: before?.met ?? [],
    };
    await writeNodeFile(disk, path, content);
    const mayHavePromised = before?.holdsVotes === true;
    return { path, memory: new Memory(runtime, path, content), mayHavePromised, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** There is nobody else to remember its past; not so of one that is added to another. */
export function isAlone(founders: readonly NodeId[], nodeId: NodeId): boolean {
  return founders.length === 1 && founders[0] === nodeId;
}

/** Who votes on the metadata is agreed on in the metadata: a configuration cannot change it, and nodes would disagree. */
function otherNodes(path: string, made: readonly NodeId[], given: readonly NodeId[]): ConfigError {
  const message = `nodes: the cluster of ${path} was made with nodes ${made.join(", ")}, and the configuration has ` +
    `${
      given.join(", ")
    }. Give the ids that it was made with; their addresses may change. More nodes join it: raftline cluster add`;
  return new ConfigError("INVALID_CONFIG", "nodes", message);
}

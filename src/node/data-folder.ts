/** A node's folder: locked while the node runs, and marked with whose it is. */
import { type DiskLock } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { NodeError } from "./errors.ts";
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
  readonly nodeId: number;
  /** Nobody else can know of a node that is alone. */
  readonly isAlone: boolean;
  /** Votes are promised from now on: it reads under leases. */
  readonly holdsVotes: boolean;
}

/**
 * Takes the folder for this node; makes it if there is none.
 * @throws {DiskError} `LOCKED` another process has it
 * @throws {NodeError} `FOREIGN_DATA_FOLDER` it belongs to another node or cluster; `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export async function openDataFolder(runtime: Runtime, path: string, owner: FolderOwner): Promise<DataFolder> {
  const { disk } = runtime;
  const { clusterId, nodeId, isAlone, holdsVotes } = owner;
  const lock = await disk.lock(path);
  try {
    const before = await readNodeFile(disk, path);
    if (before && (before.nodeId !== nodeId || before.clusterId !== clusterId)) {
      throw new NodeError(
        "FOREIGN_DATA_FOLDER",
        `${path} belongs to node ${before.nodeId} of cluster "${before.clusterId}", not to node ${nodeId} of "${clusterId}"`,
      );
    }
    const content = {
      clusterId,
      nodeId,
      incarnation: (before?.incarnation ?? 0) + 1,
      runs: before?.runs ?? [],
      past: before?.past ?? (isAlone ? "whole" : "unproven"),
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

/** A node's folder: locked while the node runs, and marked with whose it is. */
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { type Disk, DiskError, type DiskLock } from "../runtime/disk.ts";
import { NodeError } from "./errors.ts";

const IDENTITY_FILE = "node.json";
const FORMAT_VERSION = 1;

const IdentitySchema = Type.Object({
  formatVersion: Type.Integer(),
  clusterId: Type.String(),
  nodeId: Type.Integer(),
  incarnation: Type.Integer(),
});
const identityChecker = TypeCompiler.Compile(IdentitySchema);

export interface DataFolder {
  readonly path: string;
  /** Number of this run, rising with every start. */
  readonly incarnation: number;
  readonly lock: DiskLock;
}

/**
 * Takes the folder for this node; makes it if there is none.
 * @throws {DiskError} `LOCKED` another process has it
 * @throws {NodeError} `FOREIGN_DATA_FOLDER` it belongs to another node or cluster
 */
export async function openDataFolder(
  disk: Disk,
  path: string,
  owner: { readonly clusterId: string; readonly nodeId: number },
): Promise<DataFolder> {
  const lock = await disk.lock(path);
  try {
    const before = await readIdentity(disk, path);
    if (before && (before.nodeId !== owner.nodeId || before.clusterId !== owner.clusterId)) {
      throw new NodeError(
        "FOREIGN_DATA_FOLDER",
        `${path} belongs to node ${before.nodeId} of cluster "${before.clusterId}", not to node ${owner.nodeId} of "${owner.clusterId}"`,
      );
    }
    const incarnation = (before?.incarnation ?? 0) + 1;
    await writeIdentity(disk, path, { formatVersion: FORMAT_VERSION, ...owner, incarnation });
    return { path, incarnation, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface Identity {
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly nodeId: number;
  readonly incarnation: number;
}

async function readIdentity(disk: Disk, folder: string): Promise<Identity | undefined> {
  const path = `${folder}/${IDENTITY_FILE}`;
  let text: string;
  try {
    const file = await disk.open(path, "read");
    const bytes = new Uint8Array(await file.sizeBytes());
    await file.read(bytes, 0);
    await file.close();
    text = new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof DiskError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
  const identity = parseIdentity(path, text);
  if (identity.formatVersion > FORMAT_VERSION) {
    throw new NodeError(
      "UNSUPPORTED_VERSION",
      `${path}: format version ${identity.formatVersion} is newer than this program`,
    );
  }
  return identity;
}

function parseIdentity(path: string, text: string): Identity {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NodeError("CORRUPT", `${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
  if (!identityChecker.Check(value)) throw new NodeError("CORRUPT", `${path} is damaged: it does not name its node`);
  return value;
}

/**
 * Written beside, then renamed: a crash leaves the old one or the new one. That the new file has its name is made durable
 * first: else the rename could take hold of one that an earlier start left behind, empty.
 */
async function writeIdentity(disk: Disk, folder: string, identity: Identity): Promise<void> {
  const path = `${folder}/${IDENTITY_FILE}`;
  await disk.remove(`${path}.new`);
  const file = await disk.open(`${path}.new`, "create");
  await file.write([new TextEncoder().encode(`${JSON.stringify(identity, null, 2)}\n`)], 0);
  await file.sync();
  await file.close();
  await disk.syncFolder(folder);
  await disk.rename(`${path}.new`, path);
  await disk.syncFolder(folder);
}

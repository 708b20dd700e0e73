/**
 * `node.json`: whose folder it is, and what this node must not forget of its own runs and of those of the others.
 *
 * It is written over, in place, in room that it has already: a full disk takes it, too. First `node.json.copy`, then itself,
 * each made durable: whatever a crash leaves, one of them is whole, and holds all that anybody was told is there.
 */
import { crc32 } from "node:zlib";
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { type Disk, DiskError, type DiskFile } from "../runtime/disk.ts";
import { NodeError } from "./errors.ts";

const FILE = "node.json";
const COPY = "node.json.copy";
const FORMAT_VERSION = 3;
/** Had no copy, and no checksum. */
const FORMAT_VERSION_BEFORE = 2;
/** What each takes of the disk from its first start on: all that a node remembers, in all but very large clusters. */
const ROOM_BYTES = 32 * 1024;
const SPACE = 0x20;

const ContentSchema = Type.Object({
  clusterId: Type.String(),
  nodeId: Type.Integer(),
  /** Those that the cluster was made with, ascending; absent in a folder from before they were kept. */
  nodes: Type.Optional(Type.Array(Type.Integer())),
  incarnation: Type.Integer(),
  runs: Type.Array(Type.Integer()),
  past: Type.Union([Type.Literal("unproven"), Type.Literal("lost"), Type.Literal("whole")]),
  /** Votes were promised from this folder, in this run or an earlier one: a restart does not know until when. */
  holdsVotes: Type.Optional(Type.Boolean()),
  doubted: Type.Array(Type.Integer()),
  met: Type.Array(Type.Object({ id: Type.Integer(), run: Type.Integer() })),
});
const checker = TypeCompiler.Compile(ContentSchema);

/** What is in the file, beside the version of its format. See {@link Memory} for what it means. */
export type NodeFileContent = Static<typeof ContentSchema>;

/** Undefined if there is none. @throws {NodeError} `CORRUPT`, `UNSUPPORTED_VERSION` @throws {DiskError} */
export async function readNodeFile(disk: Disk, folder: string): Promise<NodeFileContent | undefined> {
  const path = `${folder}/${FILE}`;
  const [text, copy] = [await readText(disk, path), await readText(disk, `${folder}/${COPY}`)];
  try {
    if (text !== undefined) return parse(path, text);
  } catch (error) {
    if (copy === undefined || !isCorrupt(error)) throw error;
  }
  if (copy === undefined) return undefined;
  try {
    return parse(`${folder}/${COPY}`, copy);
  } catch (error) {
    // The first start on the folder did not get as far as the file itself.
    if (text === undefined && isCorrupt(error)) return undefined;
    throw error;
  }
}

/** @throws {DiskError} `DISK_FULL`, if it has to grow and cannot */
export async function writeNodeFile(disk: Disk, folder: string, content: NodeFileContent): Promise<void> {
  const rest = { formatVersion: FORMAT_VERSION, ...content };
  const text = new TextEncoder().encode(JSON.stringify({ checksum: crc32(JSON.stringify(rest)), ...rest }));
  // The one that is whole is written last.
  const order = await isDamaged(disk, `${folder}/${FILE}`) ? [FILE, COPY] : [COPY, FILE];
  try {
    for (const name of order) await writeOver(disk, folder, name, text);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "DISK_FULL")) throw error;
    const message =
      `the disk has no room for what this node must remember, ${2 * text.length} bytes in ${folder}/${FILE} ` +
      `and beside it: make some (${error.message})`;
    throw new DiskError("DISK_FULL", error.path, message, { cause: error });
  }
}

/** There, and not what was written. */
async function isDamaged(disk: Disk, path: string): Promise<boolean> {
  try {
    const text = await readText(disk, path);
    if (text !== undefined) parse(path, text);
    return false;
  } catch (error) {
    if (isCorrupt(error)) return true;
    throw error;
  }
}

async function writeOver(disk: Disk, folder: string, name: string, text: Uint8Array): Promise<void> {
  const path = `${folder}/${name}`;
  const file = await openOrMake(disk, path);
  try {
    // Never shorter than before: nothing of what was there is left behind it.
    const room = Math.max(await file.sizeBytes(), Math.ceil(text.length / ROOM_BYTES) * ROOM_BYTES);
    const bytes = new Uint8Array(room).fill(SPACE);
    bytes.set(text);
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncFolder(folder);
}

async function openOrMake(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, "write");
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "NOT_FOUND")) throw error;
    return await disk.open(path, "create");
  }
}

async function readText(disk: Disk, path: string): Promise<string | undefined> {
  try {
    const file = await disk.open(path, "read");
    const bytes = new Uint8Array(await file.sizeBytes());
    await file.read(bytes, 0);
    await file.close();
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof DiskError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

function parse(path: string, text: string): NodeFileContent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NodeError("CORRUPT", `${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
  const { checksum, ...rest } = (typeof value === "object" ? value ?? {} : {}) as Record<string, unknown>;
  const { formatVersion, ...content } = rest;
  const isOlder = formatVersion === FORMAT_VERSION_BEFORE && checksum === undefined;
  if (!isOlder && checksum !== crc32(JSON.stringify(rest))) {
    throw new NodeError("CORRUPT", `${path} is damaged: it is not what was written`);
  }
  if (!isOlder && formatVersion !== FORMAT_VERSION) {
    const message = `${path}: format version ${String(formatVersion)}, and this program has ${FORMAT_VERSION}`;
    throw new NodeError("UNSUPPORTED_VERSION", message);
  }
  if (!checker.Check(content)) throw new NodeError("CORRUPT", `${path} is damaged: it does not name its node`);
  return content;
}

function isCorrupt(error: unknown): boolean {
  return error instanceof NodeError && error.code === "CORRUPT";
}

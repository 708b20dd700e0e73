/** `node.json`: whose folder it is, and what this node must not forget of its own runs and of those of the others. */
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { type Disk, DiskError } from "../runtime/disk.ts";
import { NodeError } from "./errors.ts";

const FILE = "node.json";
const FORMAT_VERSION = 2;

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
  return parse(path, text);
}

function parse(path: string, text: string): NodeFileContent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NodeError("CORRUPT", `${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
  const { formatVersion = 0 } = (typeof value === "object" ? value ?? {} : {}) as { formatVersion?: unknown };
  if (typeof formatVersion === "number" && formatVersion > 0 && formatVersion !== FORMAT_VERSION) {
    const message = `${path}: format version ${formatVersion}, and this program has ${FORMAT_VERSION}`;
    throw new NodeError("UNSUPPORTED_VERSION", message);
  }
  if (!checker.Check(value)) throw new NodeError("CORRUPT", `${path} is damaged: it does not name its node`);
  return value;
}

/**
 * Written beside, then renamed: a crash leaves the old one or the new one. That the new file has its name is made durable
 * first: else the rename could take hold of one that an earlier start left behind, empty.
 */
export async function writeNodeFile(disk: Disk, folder: string, content: NodeFileContent): Promise<void> {
  const path = `${folder}/${FILE}`;
  await disk.remove(`${path}.new`);
  const file = await disk.open(`${path}.new`, "create");
  await file.write([new TextEncoder().encode(`${JSON.stringify({ formatVersion: FORMAT_VERSION, ...content })}\n`)], 0);
  await file.sync();
  await file.close();
  await disk.syncFolder(folder);
  await disk.rename(`${path}.new`, path);
  await disk.syncFolder(folder);
}

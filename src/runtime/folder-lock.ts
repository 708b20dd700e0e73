/**
 * One process per folder. Neither runtime offers flock, and a process id says nothing in another container. So the holder
 * listens on a Unix socket in the folder: any process of this machine can connect to it, and it ends with its process.
 *
 * `lock/N` is a symbolic link to the holder's socket: made whole or not at all, and on a full disk too. The highest N counts.
 * A holder that is gone is overtaken by N + 1, which one process alone can make. The highest is never removed: who finds a
 * higher one than the one it made was slow, and gives it up.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import { DiskError, type DiskLock } from "./disk.ts";
import { toDiskError } from "./disk-errors.ts";

/** A socket's path has 108 bytes on Linux, 104 elsewhere, and its name here at most so many. */
const SOCKET_PATH_BYTES_MAX = 100;
const SOCKET_NAME_BYTES_MAX = 40;

/** File systems that one machine has to itself (statfs): ext4, XFS, Btrfs, ZFS, tmpfs, overlay, F2FS, bcachefs. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53,
  0x58465342,
  0x9123683e,
  0x2fc12fc1,
  0x01021994,
  0x794c7630,
  0xf2f52010,
  0xca451a4e,
]);

/** @throws {DiskError} `LOCKED`; others where the file system takes no link, or no socket */
export async function lockFolder(folder: string): Promise<DiskLock> {
  const path = `${folder}/lock`;
  const opened: Socket[] = [];
  try {
    fs.mkdirSync(path, { recursive: true });
    for (;;) {
      const last = highest(path);
      if (last > 0) {
        const holder = linkTo(path, last);
        if (holder === undefined) continue;
        await refuseIfHeld(folder, path, holder);
      }
      const socket = opened[0] ?? await Socket.listen(path);
      opened[0] = socket;
      if (!claim(path, last + 1, socket.name)) continue;
      if (highest(path) === last + 1) {
        tidy(path, last);
        return { release: () => socket.close() };
      }
      fs.rmSync(`${path}/${last + 1}`, { force: true });
    }
  } catch (error) {
    await opened[0]?.close();
    throw error instanceof DiskError ? error : toDiskError(folder, "lock", error as NodeJS.ErrnoException);
  }
}

/** 0 if there is none. */
function highest(path: string): number {
  return Math.max(0, ...claims(path));
}

function claims(path: string): number[] {
  return fs.readdirSync(path).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** False: another process was first. */
function claim(path: string, number: number, socketName: string): boolean {
  try {
    fs.symlinkSync(socketName, `${path}/${number}`);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined: it was overtaken, and removed. */
function linkTo(path: string, number: number): string | undefined {
  try {
    return fs.readlinkSync(`${path}/${number}`).split("/").at(-1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The last one that was overtaken stays: whoever lists the folder meanwhile sees it or the holder's. */
function tidy(path: string, overtaken: number): void {
  for (const number of claims(path)) {
    if (number >= overtaken) continue;
    const socketName = linkTo(path, number);
    fs.rmSync(`${path}/${number}`, { force: true });
    if (socketName) fs.rmSync(`${path}/${socketName}`, { force: true });
  }
}

/** @throws {DiskError} `LOCKED`, also if it cannot be told */
async function refuseIfHeld(folder: string, path: string, socketName: string): Promise<void> {
  const failure = await connectTo(path, socketName);
  // Released: the holder itself removed its socket.
  if (failure === "ENOENT") return;
  const [pid, boot] = socketName.split("-");
  const holder = `process ${pid} (as it is numbered where it runs)`;
  if (failure === "") throw new DiskError("LOCKED", folder, `the data folder ${folder} is in use by ${holder}`);
  // Nobody listens: on this machine, since it was started. Of another machine on the same files that says nothing.
  if (failure === "ECONNREFUSED" && (boot === bootId() || LOCAL_FILE_SYSTEMS.has(fs.statfsSync(path).type))) return;
  throw new DiskError(
    "LOCKED",
    folder,
    `the data folder ${folder} may be in use by ${holder}, perhaps of another machine, and that cannot be told from here ` +
      `(${failure}). If it is certain that no node runs on it, remove ${path}`,
  );
}

/** Empty if somebody listens, else the system's code. */
function connectTo(path: string, socketName: string): Promise<string> {
  const at = new SocketFolder(path);
  return new Promise<string>((resolve) => {
    const socket = net.connect({ path: at.pathOf(socketName) });
    socket.once("connect", () => resolve(""));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"));
    socket.once("close", () => at.close());
    socket.once("connect", () => socket.destroy());
  });
}

/** Of the running system: the same in all its containers, and another one on any other machine. */
function bootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").replaceAll("-", "").slice(0, 12);
  } catch {
    return "0";
  }
}

/** The holder's. */
class Socket {
  readonly name: string;
  readonly #server: net.Server;
  readonly #folder: SocketFolder;

  private constructor(name: string, server: net.Server, folder: SocketFolder) {
    this.name = name;
    this.#server = server;
    this.#folder = folder;
  }

  static async listen(path: string): Promise<Socket> {
    const name = `${process.pid}-${bootId()}-${randomBytes(4).toString("hex")}`;
    const folder = new SocketFolder(path);
    const server = net.createServer((socket) => socket.destroy());
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ path: folder.pathOf(name) }, resolve);
      });
    } catch (error) {
      folder.close();
      throw error;
    }
    server.unref();
    return new Socket(name, server, folder);
  }

  /** Removes it, too. */
  async close(): Promise<void> {
    await new Promise<void>((closed) => this.#server.close(() => closed()));
    this.#folder.close();
  }
}

/** Reaches the sockets of a folder whose path is too long for them through a descriptor of the folder (proc(5)). */
class SocketFolder {
  readonly #path: string;
  readonly #fd: number | undefined;

  constructor(path: string) {
    const isLong = Buffer.byteLength(path) + 1 + SOCKET_NAME_BYTES_MAX > SOCKET_PATH_BYTES_MAX;
    this.#fd = isLong ? fs.openSync(path, "r") : undefined;
    this.#path = this.#fd === undefined ? path : `/proc/self/fd/${this.#fd}`;
  }

  pathOf(socketName: string): string {
    return `${this.#path}/${socketName}`;
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
  }
}

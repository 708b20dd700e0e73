/** The bare pipeline as its client sees it: three processes of limit-node.ts, frames sent, frames acknowledged. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { spawnProgram } from "../processes/self.ts";
import { freePorts } from "../processes/ports.ts";
import { lengthPrefix } from "./frame-lengths.ts";
import type { Send } from "./pace.ts";

/**
 * `send` sends one frame of that size, and calls back when it is on a majority's disks. Everything is stopped and removed
 * when `measure` ends, or a process or connection of the pipeline does.
 */
export async function withBarePipeline<T>(frameBytes: number, measure: (send: Send) => Promise<T>): Promise<T> {
  const folder = temporaryFolder("raftline-limit-");
  const children: ChildProcess[] = [];
  let socket: net.Socket | undefined;
  let fail: (error: Error) => void = () => {};
  const failure = new Promise<never>((_, reject) => fail = reject);
  failure.catch(() => {});
  const run = async () => {
    const ports = await freePorts(3);
    for (const position of [1, 2]) {
      children.push(await startNode([`${folder}/follower-${position}`, `${ports[position]}`], fail));
    }
    children.push(await startNode([`${folder}/leader`, ...ports.map(String)], fail));
    socket = net.connect({ port: ports[0]!, host: "127.0.0.1", noDelay: true });
    socket.on("error", fail);
    await once(socket, "connect");
    return await measure(sender(socket, frameBytes));
  };
  try {
    return await Promise.race([run(), failure]);
  } finally {
    socket?.destroy();
    for (const child of children) child.stdin?.end();
    await Promise.all(
      children.map((child) => hasEnded(child) ? undefined : once(child, "exit")),
    );
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function startNode(args: readonly string[], fail: (error: Error) => void): Promise<ChildProcess> {
  const child = spawnProgram("bench/limit-node", args, { stdio: ["pipe", "pipe", "inherit"] });
  child.once("error", fail);
  child.once("exit", (code) => fail(new Error(`a process of the bare pipeline ended with code ${code}`)));
  return new Promise((resolve) => child.stdout!.once("data", () => resolve(child)));
}

/** Answers are counted: each byte acknowledges one more frame, in order. */
function sender(socket: net.Socket, frameBytes: number): Send {
  const frame = new Uint8Array(frameBytes).fill(7);
  const prefix = lengthPrefix(frameBytes);
  let waiting: (() => void)[] = [];
  let acknowledged = 0;
  socket.on("data", (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) waiting[acknowledged++]!();
    if (acknowledged * 2 < waiting.length) return;
    waiting = waiting.slice(acknowledged);
    acknowledged = 0;
  });
  return (done) => {
    waiting.push(done);
    socket.cork();
    socket.write(prefix);
    socket.write(frame);
    socket.uncork();
  };
}

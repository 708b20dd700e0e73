/** The bare pipeline as its client sees it: three processes of limit-node.ts, frames sent, frames acknowledged. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { spawnProgram } from "../processes/self.ts";
import { freePorts } from "../processes/ports.ts";
import { lengthPrefix } from "./frame-lengths.ts";

export class BarePipeline {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #frame: Uint8Array;
  readonly #prefix: Uint8Array;
  /** Of frames not yet acknowledged, in their order. */
  #waiting: (() => void)[] = [];
  #acknowledged = 0;
  #socket: net.Socket | undefined;

  private constructor(frameBytes: number) {
    this.#folder = temporaryFolder("raftline-limit-");
    this.#frame = new Uint8Array(frameBytes).fill(7);
    this.#prefix = lengthPrefix(frameBytes);
  }

  static async start(frameBytes: number): Promise<BarePipeline> {
    const pipeline = new BarePipeline(frameBytes);
    try {
      await pipeline.#start();
      return pipeline;
    } catch (error) {
      await pipeline.stop();
      throw error;
    }
  }

  /** `done` is called when the frame is on a majority's disks. */
  send(done: () => void): void {
    const socket = this.#socket!;
    this.#waiting.push(done);
    socket.cork();
    socket.write(this.#prefix);
    socket.write(this.#frame);
    socket.uncork();
  }

  async stop(): Promise<void> {
    this.#socket?.destroy();
    for (const child of this.#children) child.stdin?.end();
    await Promise.all(
      this.#children.map((child) =>
        new Promise((gone) => child.exitCode === null ? child.once("exit", gone) : gone(0))
      ),
    );
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const ports = await freePorts(3);
    for (const position of [1, 2]) await this.#startNode(`follower-${position}`, [ports[position]!]);
    await this.#startNode("leader", ports);
    this.#socket = net.connect({ port: ports[0]!, host: "127.0.0.1", noDelay: true });
    await once(this.#socket, "connect");
    this.#socket.on("data", (bytes: Uint8Array) => this.#onAcknowledged(bytes.length));
  }

  async #startNode(name: string, ports: readonly number[]): Promise<void> {
    const args = [`${this.#folder}/${name}`, ...ports.map(String)];
    const child = spawnProgram("bench/limit-node", args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`a process of the bare pipeline ended with code ${code}`)));
      child.stdout!.once("data", () => resolve());
    });
  }

  #onAcknowledged(frames: number): void {
    for (let i = 0; i < frames; i++) this.#waiting[this.#acknowledged++]!();
    if (this.#acknowledged * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#acknowledged);
    this.#acknowledged = 0;
  }
}

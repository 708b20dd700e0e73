/** Programs of others: started, watched, stopped with this process. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const STOP_MS_MAX = 15_000;
const POLL_MS = 200;

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #exited: Promise<void>;
  #gone = false;

  /** Its output goes to `log`. In a group of its own: what it starts ends with it. */
  constructor(
    name: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    log: string,
  ) {
    this.name = name;
    this.#log = log;
    const output = fs.openSync(log, "a");
    this.#child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output],
      detached: true,
    });
    fs.closeSync(output);
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        this.#gone = true;
        resolve();
      };
      this.#child.once("exit", gone);
      this.#child.once("error", gone);
    });
    process.on("exit", () => this.#signal("SIGKILL"));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when something listens on the port. @throws with the program's last words, if it ends or is too slow */
  async listens(port: number, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (performance.now() < deadlineMs) {
      if (this.#gone) throw new Error(`${this.name} ended: ${this.#lastWords()}`);
      if (await accepts(port)) return;
      await delay(POLL_MS);
    }
    throw new Error(`${this.name} does not listen on port ${port} after ${withinMs / 1000} s: ${this.#lastWords()}`);
  }

  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const late = setTimeout(() => this.#signal("SIGKILL"), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(late);
    // What it started and left behind.
    this.#signal("SIGKILL");
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  #lastWords(): string {
    return fs.readFileSync(this.#log, "utf8").trim().split("\n").slice(-4).join(" | ");
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** What a command prints; undefined if it is not there. */
export function outputOf(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string | undefined {
  const { status, stdout, error } = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env } });
  return error || status !== 0 ? undefined : stdout.trim();
}

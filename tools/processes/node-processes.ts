/** A cluster of real node processes on this machine: started, killed, started again, stopped. */
import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import readline from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { spawnProgram } from "./self.ts";
import { freePorts } from "./ports.ts";

const READY_MS_MAX = 60_000;
const POLL_MS = 25;
const STOP_MS_MAX = 20_000;

export interface NodePorts {
  readonly client: number;
  readonly peer: number;
  readonly admin: number;
}

export interface ProcessesOptions {
  /** Each node's data goes to `FOLDER/node-N`, its configuration to `FOLDER/node-N.yaml`. */
  readonly folder: string;
  readonly nodes?: number;
  /** Chosen among the free ones if left out. */
  readonly ports?: readonly NodePorts[];
  readonly logLevel?: "debug" | "info" | "warn" | "error";
  /** Default: the real one. */
  readonly program?: NodeProgram;
  /** Ends a start that is not done yet. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a node with the configuration that it is given the path of, and ends with its standard input. Says one JSON line
 * when it listens, or `{"error":{"code":…,"message":…}}` when it cannot.
 */
export interface NodeProgram {
  /** Relative to tools/, without its ending. */
  readonly name: string;
  readonly args: (config: string, id: number) => readonly string[];
}

const REAL_NODE: NodeProgram = {
  name: "cli/main",
  args: (config) => ["node", "--config", config, "--with-parent", "--json"],
};

/** A node that did not start: with its own code and words, where it had any. */
export class NodeStartError extends Error {
  /** As the node says it; `NODE_ENDED`: it said nothing, `TIMED_OUT`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "NodeStartError";
    this.code = code;
  }
}

/** Where it listens, or why it does not. */
interface FirstLine {
  readonly error?: { readonly code: string; readonly message: string };
}

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

export class NodeProcesses {
  readonly folder: string;
  readonly ports: readonly NodePorts[];
  readonly #program: NodeProgram;
  readonly #running = new Map<number, Running>();
  readonly #expected = new Set<number>();
  /** Each one's first line, since it was started last. */
  readonly #said = new Map<number, FirstLine>();
  /** Called when a node ends that nobody stopped or killed here. */
  onUnexpectedExit: (id: number) => void = () => {};

  private constructor(folder: string, ports: readonly NodePorts[], program: NodeProgram) {
    this.#program = program;
    this.folder = folder;
    this.ports = ports;
    // However this process ends short of a kill, its nodes end with it; after a kill, by their standard input.
    process.on("exit", () => {
      for (const { child } of this.#running.values()) if (child.pid !== undefined) process.kill(child.pid, "SIGKILL");
    });
  }

  /** Resolves when all nodes serve. @throws {NodeStartError} After those that had started were stopped. */
  static async start(options: ProcessesOptions): Promise<NodeProcesses> {
    const ports = options.ports ?? await choosePorts(options.nodes ?? 3);
    fs.mkdirSync(options.folder, { recursive: true });
    const processes = new NodeProcesses(options.folder, ports, options.program ?? REAL_NODE);
    for (const id of processes.ids) processes.#configure(id, options.logLevel ?? "warn");
    try {
      for (const id of processes.ids) processes.#spawn(id);
      await Promise.all(processes.ids.map((id) => processes.whenReady(id, options.signal)));
    } catch (error) {
      await processes.stop();
      throw error;
    }
    return processes;
  }

  get ids(): number[] {
    return this.ports.map((_, position) => position + 1);
  }

  /** Client addresses; of all nodes, or of those named. */
  bootstrap(ids = this.ids): string[] {
    return ids.map((id) => `127.0.0.1:${this.#portsOf(id).client}`);
  }

  adminUrl(id: number): string {
    return `http://127.0.0.1:${this.#portsOf(id).admin}`;
  }

  /** Process id, undefined when the node does not run. */
  pidOf(id: number): number | undefined {
    return this.#running.get(id)?.child.pid;
  }

  dataFolder(id: number): string {
    return `${this.folder}/node-${id}`;
  }

  /** SIGKILL: nothing is finished, nothing is said. */
  async kill(id: number): Promise<void> {
    await this.#end(id, "SIGKILL");
  }

  /** Starts a node that was killed or stopped; resolves when it serves. */
  async restart(id: number): Promise<void> {
    this.#spawn(id);
    await this.whenReady(id);
  }

  /** Asks all nodes to stop, and waits until they have. */
  async stop(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.#end(id, "SIGTERM")));
  }

  async whenReady(id: number, signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + READY_MS_MAX;
    while (performance.now() < deadline) {
      signal?.throwIfAborted();
      if (!this.#running.has(id)) throw this.#whyEnded(id);
      const said = this.#said.get(id);
      // Before it listens, and if it cannot, somebody else may answer there.
      if (said && !said.error && await isReady(this.adminUrl(id))) return;
      await delay(POLL_MS);
    }
    throw new NodeStartError("TIMED_OUT", `node ${id} does not serve after ${READY_MS_MAX} ms`);
  }

  #whyEnded(id: number): NodeStartError {
    const { error } = this.#said.get(id) ?? {};
    if (error) return new NodeStartError(error.code, `node ${id}: ${error.message}`);
    return new NodeStartError("NODE_ENDED", `node ${id} ended before it served; its own message is above`);
  }

  #portsOf(id: number): NodePorts {
    const ports = this.ports[id - 1];
    if (!ports) throw new RangeError(`there is no node ${id}`);
    return ports;
  }

  #configure(id: number, logLevel: string): void {
    const { client, peer: peerPort, admin } = this.#portsOf(id);
    const config = {
      clusterId: "raftline",
      nodeId: id,
      dataFolder: this.dataFolder(id),
      clientPort: client,
      peerPort,
      adminPort: admin,
      nodes: this.ports.map(({ peer }, position) => ({ id: position + 1, host: "127.0.0.1", port: peer })),
      logLevel,
    };
    fs.writeFileSync(`${this.folder}/node-${id}.yaml`, stringify(config));
  }

  #spawn(id: number): void {
    // The pipe on standard input is how a child hears that its parent is gone, however it went.
    const { name, args } = this.#program;
    const child = spawnProgram(name, args(`${this.folder}/node-${id}.yaml`, id), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin?.on("error", () => {});
    this.#said.delete(id);
    readline.createInterface({ input: child.stdout! }).once("line", (line) => this.#said.set(id, JSON.parse(line)));
    const exited = new Promise<void>((resolve) => {
      // Not "exit": what it said comes before "close".
      child.once("close", () => {
        if (this.#running.get(id)?.child === child) this.#running.delete(id);
        if (!this.#expected.has(id)) this.onUnexpectedExit(id);
        resolve();
      });
    });
    this.#expected.delete(id);
    this.#running.set(id, { child, exited });
  }

  async #end(id: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const running = this.#running.get(id);
    if (running?.child.pid === undefined) return;
    this.#expected.add(id);
    // Not child.kill(): under Deno 2.9 that works once only.
    process.kill(running.child.pid, signal);
    const late = setTimeout(() => process.kill(running.child.pid!, "SIGKILL"), STOP_MS_MAX);
    await running.exited;
    clearTimeout(late);
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/ready`, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function choosePorts(nodes: number): Promise<NodePorts[]> {
  const ports = await freePorts(nodes * 3);
  return Array.from(
    { length: nodes },
    (_, i) => ({ client: ports[i * 3]!, peer: ports[i * 3 + 1]!, admin: ports[i * 3 + 2]! }),
  );
}

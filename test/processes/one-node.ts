/** A node in a process of its own, alone or of a cluster that is there, started as a test wants it: in a container, with few descriptors. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { programPath } from "../../tools/processes/self.ts";

const SAID_MS_MAX = 20_000;

/** Gives the path of its configuration. */
export function configure(folder: string, name: string): string {
  const path = `${folder}/${name}.yaml`;
  const ports = "clientPort: 0\npeerPort: 0\nadminPort: 0";
  const nodes = "nodes: [{ id: 1, host: 127.0.0.1, port: 0 }]";
  fs.writeFileSync(path, `nodeId: 1\ndataFolder: ${folder}/${name}\n${ports}\n${nodes}\n`);
  return path;
}

/** One that joins another's cluster. Gives the path of its configuration. */
export function configureJoining(folder: string, nodeId: number, peerPort: number, nodes: readonly object[]): string {
  const path = `${folder}/joining.yaml`;
  const ports = `clientPort: 0\npeerPort: ${peerPort}\nadminPort: 0`;
  const cluster = `clusterId: raftline-test\nnodes: ${JSON.stringify(nodes)}\njoin: true`;
  fs.writeFileSync(path, `nodeId: ${nodeId}\ndataFolder: ${folder}/joining\n${ports}\n${cluster}\n`);
  return path;
}

export function commandOf(config: string): string[] {
  const prefix = "Deno" in globalThis ? ["run", "-A"] : process.execArgv.filter((arg) => arg !== "--expose-gc");
  return [process.execPath, ...prefix, programPath("cli/main"), "node", "--config", config];
}

export interface Started {
  readonly pid: number;
  /** The first match in what it prints. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** SIGKILL, if it runs. Resolves when it is gone. */
  kill(): Promise<void>;
}

export function start([program, ...args]: readonly string[]): Started {
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => text += chunk);
  let runs = true;
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => {
      runs = false;
      resolve();
    });
  });
  return {
    pid: child.pid!,
    async said(pattern) {
      for (const deadline = performance.now() + SAID_MS_MAX; performance.now() < deadline; await delay(10)) {
        const found = pattern.exec(text);
        if (found) return found;
      }
      throw new Error(`nothing like ${pattern} in: ${text}`);
    },
    kill() {
      if (runs) process.kill(child.pid!, "SIGKILL");
      return gone;
    },
  };
}

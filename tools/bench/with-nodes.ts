/** Three fresh node processes and a client, for the time of one measurement. */
import fs from "node:fs";
import { type Client, connect } from "../../src/client/client.ts";
import { NodeProcesses, type NodeProgram } from "../processes/node-processes.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";

export interface BenchCluster {
  readonly processes: NodeProcesses;
  readonly client: Client;
}

/** Everything is stopped and removed when `measure` ends, however it ends. `program`: other nodes than the real ones. */
export async function withNodes<T>(
  measure: (cluster: BenchCluster) => Promise<T>,
  program?: NodeProgram,
): Promise<T> {
  const folder = temporaryFolder("raftline-bench-");
  const processes = await NodeProcesses.start({ folder, logLevel: "error", ...(program && { program }) });
  try {
    await using client = await connect(processes.bootstrap());
    return await measure({ processes, client });
  } finally {
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** `bench restart`: a node with a full log is killed and started again: how long until it serves? */
import fs from "node:fs";
import { connect } from "../../src/client/client.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { NodeProcesses } from "../processes/node-processes.ts";

const CHUNK_RECORDS = 200;
const RECORD_BYTES = 10_000;
const CHUNKS_IN_FLIGHT = 8;

export interface RestartOptions {
  readonly bytes: number;
  readonly onProgress: (stage: string) => void;
}

export interface RestartResult {
  readonly logBytes: number;
  readonly restartReadyMs: number;
}

export async function runRestart({ bytes, onProgress }: RestartOptions): Promise<RestartResult> {
  const folder = temporaryFolder("raftline-bench-");
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  try {
    const client = await connect(processes.bootstrap());
    await client.admin.createTopic("bench", { partitions: 16, replicas: 3 });
    const producer = client.producer();
    const value = new Uint8Array(RECORD_BYTES).fill(120);
    const chunk = Array.from({ length: CHUNK_RECORDS }, () => ({ value }));
    let left = Math.ceil(bytes / (CHUNK_RECORDS * RECORD_BYTES));
    onProgress(`publishing ${Math.round(bytes / 1e6)} MB`);
    await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, async () => {
      while (left-- > 0) await producer.sendAll("bench", chunk);
    }));
    await producer.close();
    await client.close();
    const logBytes = folderBytes(`${processes.dataFolder(1)}/log`);
    onProgress("killing and starting node 1");
    await processes.kill(1);
    const startedMs = performance.now();
    await processes.restart(1);
    return { logBytes, restartReadyMs: Math.round(performance.now() - startedMs) };
  } finally {
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function folderBytes(folder: string): number {
  return fs.readdirSync(folder).reduce((total, name) => total + fs.statSync(`${folder}/${name}`).size, 0);
}

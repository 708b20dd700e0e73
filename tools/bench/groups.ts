/** `bench groups`: a topic of many partitions: how long to create, what it costs idle, how long a restart takes. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "../../src/client/client.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { NodeProcesses } from "../processes/node-processes.ts";
import { cpuSeconds, rssBytes } from "../processes/usage.ts";
import { round } from "./statistics.ts";

const SETTLE_MS = 5_000;
const IDLE_MS = 10_000;

export interface GroupsOptions {
  readonly groups: number;
  readonly onProgress: (stage: string) => void;
}

export interface GroupsResult {
  readonly groups: number;
  readonly createMs: number;
  /** Of one core, the highest of the nodes. */
  readonly idleCpuPercentPerNode: number;
  readonly bytesPerGroup: number;
  readonly restartReadyMs: number;
}

export async function runGroups({ groups, onProgress }: GroupsOptions): Promise<GroupsResult> {
  const folder = temporaryFolder("raftline-bench-");
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  const rss = () => Math.max(...processes.ids.map((id) => rssBytes(processes.pidOf(id)!) ?? 0));
  try {
    const client = await connect(processes.bootstrap());
    const rssBefore = rss();
    onProgress(`creating ${groups} partitions`);
    const startedMs = performance.now();
    const { partitions } = await client.admin.createTopic("bench", { partitions: groups, replicas: 3 });
    const createMs = performance.now() - startedMs;
    const leaderless = partitions.filter(({ leader }) => leader === 0).length;
    if (leaderless > 0) throw new Error(`${leaderless} of ${groups} partitions have no leader after ${createMs} ms`);
    await client.close();
    onProgress("idle");
    await delay(SETTLE_MS);
    const cpuBefore = processes.ids.map((id) => cpuSeconds(processes.pidOf(id)!) ?? 0);
    await delay(IDLE_MS);
    const cpuUsed = processes.ids.map((id, i) => (cpuSeconds(processes.pidOf(id)!) ?? 0) - cpuBefore[i]!);
    const bytesPerGroup = Math.round((rss() - rssBefore) / groups);
    onProgress("restarting one node");
    await processes.kill(1);
    const restartedMs = performance.now();
    await processes.restart(1);
    return {
      groups,
      createMs: Math.round(createMs),
      idleCpuPercentPerNode: round((Math.max(...cpuUsed) / (IDLE_MS / 1000)) * 100),
      bytesPerGroup,
      restartReadyMs: Math.round(performance.now() - restartedMs),
    };
  } finally {
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Worker processes: a core runs one simulation, and a simulation that hangs can be ended. */
import type { ChildProcess } from "node:child_process";
import os from "node:os";
import { createInterface } from "node:readline";
import { spawnProgram } from "../processes/self.ts";
import type { Job, WorkerLine } from "./job.ts";

/** Real time without a word from a worker after which it hangs: a run takes less than a second. */
const SILENT_MS_MAX = 120_000;

/** More workers than that gain nothing for the seeds of one command. */
const WORKERS_MAX = 2;

export function defaultWorkers(): number {
  return Math.max(1, Math.min(WORKERS_MAX, os.availableParallelism()));
}

/** Does each job in a process of its own. Rejects when one fails or hangs, with what it was at. */
export async function runJobs(jobs: readonly Job[], onLine: (line: WorkerLine) => void): Promise<void> {
  const children: ChildProcess[] = [];
  try {
    await Promise.all(jobs.map((job) => runJob(job, onLine, children)));
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
  }
}

async function runJob(job: Job, onLine: (line: WorkerLine) => void, children: ChildProcess[]): Promise<void> {
  const child = spawnProgram("simulator/worker", [JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  let at = "the start";
  let hangs = false;
  const watch = () =>
    setTimeout(() => {
      hangs = true;
      child.kill("SIGKILL");
    }, SILENT_MS_MAX);
  let timer = watch();
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  createInterface({ input: child.stdout! }).on("line", (text) => {
    clearTimeout(timer);
    timer = watch();
    const line = JSON.parse(text) as WorkerLine;
    if ("starts" in line) at = line.starts;
    else onLine(line);
  });
  const code = await ended;
  clearTimeout(timer);
  if (hangs) throw new Error(`${at}: no progress, nothing heard of it for ${SILENT_MS_MAX / 1000} s of real time`);
  if (code !== 0) throw new Error(`${at}: the worker ended with code ${code}`);
}

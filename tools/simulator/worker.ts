/** A process that does one {@link Job}, given as JSON in its first argument. */
import process from "node:process";
import { CANARIES } from "./canaries.ts";
import { catchCanary } from "./canary-run.ts";
import type { CanariesJob, Job, SeedsJob, WorkerLine } from "./job.ts";
import { simulate } from "./simulation.ts";

const TIMELINE_LINES = 80;

function tell(line: WorkerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function runSeeds({ first, stride, count, seconds, faults }: SeedsJob): Promise<void> {
  for (let i = 0; i < count; i++) {
    const seed = first + i * stride;
    tell({ starts: `seed ${seed}` });
    const outcome = await simulate({ seed, seconds, ...(faults && { faults }) });
    const timeline = outcome.violation ? outcome.timeline.slice(-TIMELINE_LINES) : [];
    tell({ outcome: { ...outcome, timeline } });
  }
}

async function runCanaries({ names, seconds, seedsMax }: CanariesJob): Promise<void> {
  for (const canary of CANARIES) {
    if (!names.includes(canary.name)) continue;
    const canaryResult = await catchCanary(canary, {
      seconds,
      seedsMax,
      onSeed: (seed) => tell({ starts: `canary "${canary.name}", seed ${seed}` }),
    });
    tell({ canary: canaryResult });
  }
}

const job = JSON.parse(process.argv[2]!) as Job;
await (job.kind === "seeds" ? runSeeds(job) : runCanaries(job));

import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SeedsJob, WorkerLine } from "../../tools/simulator/job.ts";
import { enterSimulation, guardRealWorld, leaveSimulation } from "../../tools/simulator/real-world.ts";
import { simulate } from "../../tools/simulator/simulation.ts";

const SEEDS = 6;
const FIRST = 4;
const root = fileURLToPath(new URL("../..", import.meta.url));

const determinism = suite("determinism");

async function hashesHere(): Promise<string[]> {
  const hashes: string[] = [];
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { hash, events, violation } = await simulate({ seed, seconds: 10 });
    assert.is(violation, undefined);
    hashes.push(`${seed}: ${hash} after ${events} events`);
  }
  return hashes;
}

/** The same seeds in the runtime that this is not. */
function hashesThere(): Promise<string[]> {
  const [program, flags] = "Deno" in globalThis
    ? ["node", ["--import", "./tools/ts.mjs"]]
    : [process.execPath, ["node_modules/deno/bin.cjs", "run", "-A"]];
  const job: SeedsJob = { kind: "seeds", first: FIRST, stride: 1, count: SEEDS, seconds: 10 };
  const child = spawn(program!, [...flags!, "tools/simulator/worker.ts", JSON.stringify(job)], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (chunk) => said += chunk);
    child.on("error", reject);
    child.on("close", () => {
      const lines = said.trim().split("\n").map((line) => JSON.parse(line) as WorkerLine);
      resolve(lines.flatMap((line) => {
        if (!("outcome" in line)) return [];
        const { seed, hash, events } = line.outcome;
        return [`${seed}: ${hash} after ${events} events`];
      }));
    });
  });
}

determinism("a seed gives the same running hash twice, on Node and on Deno", async () => {
  const here = await hashesHere();
  assert.is(here.length, SEEDS);
  assert.is(new Set(here).size, SEEDS);
  assert.equal(await hashesHere(), here, "twice in this process");
  assert.equal(await hashesThere(), here, "in the other runtime");
});

determinism("the real clock, timers and randomness throw inside the simulation, and work outside", () => {
  guardRealWorld();
  const uses: (() => unknown)[] = [
    () => Date.now(),
    () => new Date(),
    () => Math.random(),
    () => performance.now(),
    () => setTimeout(() => {}, 0),
    () => setInterval(() => {}, 1_000),
    () => crypto.randomUUID(),
    () => crypto.getRandomValues(new Uint8Array(4)),
  ];
  for (const use of uses) {
    let thrown: unknown;
    enterSimulation();
    try {
      use();
    } catch (error) {
      thrown = error;
    } finally {
      leaveSimulation();
    }
    assert.is((thrown as { code?: string } | undefined)?.code, "REAL_WORLD", use.toString());
  }
  assert.ok(Date.now() > 0 && Math.random() < 1 && new Date(0).getTime() === 0);
});

determinism.run();

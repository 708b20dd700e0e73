import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineLog } from "../../src/log/examine.ts";
import { openLog } from "../../src/log/log.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { contentOf } from "./entries.ts";

const test = suite("a log whose process is killed with SIGKILL");

const ROUNDS = 8;
const LIFE_MS_MIN = 300;
const LIFE_MS_MAX = 1_200;
const isDeno = "Deno" in globalThis;

/** Lets it write for a while; what it said to be durable, by group. */
function lifeOf(folder: string, seed: number, lifeMs: number): Promise<Map<number, number>> {
  const program = fileURLToPath(new URL("./kill-writer.ts", import.meta.url));
  const prefix = isDeno ? ["run", "-A"] : process.execArgv;
  const child = spawn(process.execPath, [...prefix, program, folder, `${seed}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = new Map<number, number>();
  let rest = "";
  return new Promise((resolve, reject) => {
    child.stdout.on("data", (data: Uint8Array) => {
      if (said.size === 0 && rest === "") setTimeout(() => process.kill(child.pid!, "SIGKILL"), lifeMs);
      const lines = (rest + new TextDecoder().decode(data)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [group, last] = line.split(" ").map(Number);
        said.set(group!, last!);
      }
    });
    child.once("error", reject);
    child.once("close", () => resolve(said));
  });
}

test("has all that was durable, again and again, while files are sealed, compacted and freed", async () => {
  const folder = mkdtempSync(`${tmpdir()}/raftline-kill-`);
  const runtime = createNodeRuntime({ logLevel: "error" });
  const random = new SeededRandom(7);
  const durable = new Map<number, number>();
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      const lifeMs = LIFE_MS_MIN + random.integer(LIFE_MS_MAX - LIFE_MS_MIN);
      for (const [group, last] of await lifeOf(folder, round, lifeMs)) durable.set(group, last);
      const { findings } = await examineLog(runtime.disk, folder);
      assert.equal(findings.filter(({ code }) => code !== "TORN"), [], `round ${round}`);
      const log = await openLog(runtime, folder, { limits: { fileBytes: 256 * 1024, reserveBytes: 0 } });
      assert.equal(log.report.damage, [], `round ${round}`);
      for (const [group, last] of durable) {
        const found = log.group(group)!;
        assert.ok(
          found.lastIndex >= last,
          `round ${round}: group ${group} ends at ${found.lastIndex}, said was ${last}`,
        );
        if (group === 1) assert.is(found.firstIndex, 1);
        // Reads everything, and compares it.
        const content = await contentOf(log, group);
        assert.is(content.split(" ").length, found.lastIndex - found.firstIndex + 1);
      }
      await log.close();
    }
    assert.is(durable.size, 5);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();

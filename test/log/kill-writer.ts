/**
 * A process that writes to a log until it is killed: appends to several groups, trims, removes and checkpoints, so that
 * files are sealed, compacted and freed meanwhile. Says on standard output what is durable, one line `GROUP LAST` each.
 * Arguments: folder, seed.
 */
import process from "node:process";
import { openLog } from "../../src/log/log.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { checkpointOf, durable, entriesOf, writeOf } from "./entries.ts";

const GROUPS = 5;
const KEPT = 200;

const [folder = "", seed = "1"] = process.argv.slice(2);
const random = new SeededRandom(Number(seed));
const log = await openLog(createNodeRuntime({ logLevel: "error" }), folder, {
  limits: { fileBytes: 256 * 1024, reserveBytes: 0, compactFreesBytesMin: 32 * 1024, compactFilesMin: 3 },
});

for (;;) {
  const group = 1 + random.integer(GROUPS);
  const last = log.group(group)?.lastIndex ?? 0;
  const count = 1 + random.integer(8);
  const entries = entriesOf(group, last + 1, last + count, 1, 100 + random.integer(4_000));
  const checkpoint = random.chance(0.1) && last > 0 ? checkpointOf(last, 1) : undefined;
  await durable(log, writeOf(group, { entries, checkpoint, hardState: { term: 1, vote: 1, commit: last } }));
  process.stdout.write(`${group} ${last + count}\n`);
  // Group 1 keeps everything: it is what the others' dead bytes lie between.
  if (group > 1 && last > KEPT && random.chance(0.2)) log.trim(group, last - KEPT, last - KEPT - 1);
}

/** One node on a disk that is slowed: `slowed-node CONFIG BYTES_PER_SECOND`. Ends with its standard input. */
import fs from "node:fs";
import process from "node:process";
import { adminService } from "../../src/admin/app.ts";
import { loadConfig } from "../../src/node/config.ts";
import { startNode } from "../../src/node/node.ts";
import { runtimeOf } from "../../src/node/runtime-of.ts";
import { parentStops } from "../cli/stop-signal.ts";
import { withSlowedDisk } from "./slowed-disk.ts";

const [file, bytesPerSecond] = process.argv.slice(2);
const config = loadConfig({ yaml: fs.readFileSync(file!, "utf8"), env: process.env, flags: {} });
const runtime = runtimeOf(config, "error");
const stops = parentStops();
const started = await startNode(config, { runtime: withSlowedDisk(runtime, Number(bytesPerSecond)) }, [adminService]);
console.log(JSON.stringify({ nodeId: config.nodeId }));
await stops;
await started.stop();
process.exit(0);

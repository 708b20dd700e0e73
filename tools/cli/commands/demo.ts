import process from "node:process";
import type { CAC } from "cac";
import progressBar from "cli-progress";
import Table from "cli-table3";
import { type DemoResult, runDemo } from "../../demo/demo.ts";
import { UsageError } from "../errors.ts";
import { stopSignal } from "../stop-signal.ts";
import { wholeNumber } from "../whole-number.ts";

interface DemoFlags {
  readonly records: string;
  readonly json?: boolean;
}

export function demoCommand(cli: CAC): void {
  cli.command("demo", "A million real lines, a node killed in the middle, everything checked")
    .option("--records <n>", "How many lines", { default: "1000000" })
    .option("--json", "The last line is one JSON object")
    .example("raftline demo")
    .example("raftline demo --records 100000 --json")
    .action(runDemoCommand);
}

async function runDemoCommand({ json, ...flags }: DemoFlags): Promise<void> {
  const records = wholeNumber("--records", flags.records);
  if (records < 1) throw new UsageError("--records wants a whole number from 1 on, not 0");
  const bar = createBar(json === true);
  const result = await Promise.race([
    runDemo({ records, onProgress: (stage, part) => bar.show(stage, part) }),
    stopSignal().then(() => undefined),
  ]);
  bar.end();
  // Ctrl-C: the nodes hear it too, and stop with us.
  if (result === undefined) process.exit(130);
  if (json) console.log(JSON.stringify(result));
  else console.log(inWords(result));
  process.exit(isClean(result) ? 0 : 1);
}

function isClean({ lost, duplicated, outOfOrder, changedKeys, replicasIdentical }: DemoResult): boolean {
  return lost === 0 && duplicated === 0 && outOfOrder === 0 && changedKeys === 0 && replicasIdentical;
}

interface Bar {
  show(stage: string, part: number): void;
  end(): void;
}

function createBar(quiet: boolean): Bar {
  if (quiet || !process.stderr.isTTY) {
    let last = "";
    return {
      show(stage) {
        if (stage !== last) process.stderr.write(`${stage} …\n`);
        last = stage;
      },
      end: () => {},
    };
  }
  const format = "{bar} {percentage} %  {stage}";
  const bar = new progressBar.SingleBar({ format, hideCursor: true, clearOnComplete: true, stream: process.stderr });
  bar.start(1, 0, { stage: "" });
  return {
    show: (stage, part) => bar.update(Math.min(1, part), { stage }),
    end: () => bar.stop(),
  };
}

function inWords(result: DemoResult): string {
  const table = new Table({ style: { head: [], border: [] } });
  const mebibytes = (result.bytes / 1024 / 1024).toFixed(1);
  table.push(
    ["records published and acknowledged", String(result.records)],
    ["text", `${mebibytes} MiB`],
    ["rate", `${result.recordsPerSecond} records/s over ${result.publishSeconds.toFixed(1)} s`],
    [
      "longest gap without acknowledgements",
      `${result.ackGapMsMax} ms (node ${result.killedNode} killed with SIGKILL)`,
    ],
    ["read back", `${result.consumedRecords} records, ${result.consumedRecordsPerSecond} records/s`],
    ["lost", String(result.lost)],
    ["duplicated", String(result.duplicated)],
    ["out of order within a file", String(result.outOfOrder)],
    ["files with changed text", String(result.changedKeys)],
    ["replicas", result.replicasIdentical ? `identical, ${result.entriesPerReplica} entries each` : "DIFFERENT"],
  );
  return [table.toString(), ...result.replicaDifferences].join("\n");
}

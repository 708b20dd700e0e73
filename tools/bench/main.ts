/** `npm run bench -- NAME`: the benchmarks. Progress on standard error, the result on standard output. */
import process from "node:process";
import { cac } from "cac";
import { reportFailure } from "../cli/failure.ts";
import { UsageError } from "../cli/errors.ts";
import { runBacklog } from "./backlog.ts";
import { runDrain } from "./drain.ts";
import { runFailover } from "./failover.ts";
import { runGroups } from "./groups.ts";
import { runLatency } from "./latency.ts";
import { runLimit } from "./limit.ts";
import { type PeersResult, runPeers } from "./peers/run.ts";
import { writeReport } from "./peers/report.ts";
import { runPartitions } from "./partitions.ts";
import { runPublish } from "./publish.ts";
import { runQueue } from "./queue.ts";
import { runRepair } from "./repair.ts";
import { runRebalance } from "./rebalance.ts";
import { runRestart } from "./restart.ts";
import { runSimulator } from "./simulator.ts";
import { runSlowDisk } from "./slow-disk.ts";

interface BenchFlags {
  readonly frameBytes: number;
  readonly recordBytes: number;
  readonly partitions: number;
  readonly seconds: number;
  readonly rate?: number;
  readonly records: number;
  readonly kills: number;
  readonly groups: number;
  readonly members: number;
  readonly bytes: number;
  readonly queueRecords: number;
  readonly backlog: number;
  readonly gib: number;
  readonly flips: number;
  readonly rounds: number;
  readonly seeds: number;
  readonly diskMb: number;
  readonly slowed: number;
  readonly times: number;
  readonly only?: string;
  readonly work?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const onProgress = (stage: string) => process.stderr.write(`${stage} …\n`);

/** Three files of a log, about. */
const REPAIR_RECORDS = 300_000;
/** A backlog that a queue fills within half a minute. */
const PEERS_RECORDS_MAX = 100_000;

const BENCHES: Readonly<Record<string, (flags: BenchFlags) => Promise<object>>> = {
  limit: (flags) => runLimit({ ...flags, framesInFlight: 64 }),
  publish: (flags) => runPublish({ ...flags, onProgress }),
  partitions: (flags) => runPartitions({ ...flags, seconds: flags.seconds * 3, onProgress }),
  latency: (flags) => runLatency({ ...flags, rate: flags.rate ?? 200, onProgress }),
  backlog: (flags) => runBacklog({ ...flags, onProgress }),
  drain: (flags) => runDrain({ ...flags, onProgress }),
  peers: benchPeers,
  failover: (flags) => runFailover({ ...flags, rate: flags.rate ?? 2_000, onProgress }),
  groups: (flags) => runGroups({ ...flags, onProgress }),
  queue: (flags) => runQueue({ ...flags, records: flags.queueRecords, onProgress }),
  repair: (flags) => runRepair({ ...flags, records: REPAIR_RECORDS, onProgress }),
  rebalance: (flags) =>
    runRebalance({ ...flags, partitions: Math.max(flags.partitions, flags.members * 4), onProgress }),
  restart: (flags) => runRestart({ ...flags, onProgress }),
  simulator: (flags) => runSimulator({ ...flags, onProgress }),
  "slow-disk": (flags) => runSlowDisk({ ...flags, diskBytesPerSecond: flags.diskMb * 1e6, onProgress }),
};

const cli = cac("bench");
cli.command("<name>", `one of ${Object.keys(BENCHES).join(", ")}`)
  .option("--frame-bytes <n>", "limit: bytes of a frame", { default: 65_536 })
  .option("--record-bytes <n>", "Bytes of a record's value", { default: 100 })
  .option("--partitions <n>", "publish, partitions: of the topic", { default: 16 })
  .option("--seconds <n>", "How long each is measured", { default: 10 })
  .option("--rate <n>", "latency (200), failover (2000): records a second")
  .option("--records <n>", "drain: records of the backlog", { default: 8_000_000 })
  .option("--kills <n>", "failover: how many", { default: 20 })
  .option("--groups <n>", "groups: partitions to create", { default: 1_000 })
  .option("--members <n>", "rebalance: of the group, before one more joins; four partitions each", { default: 100 })
  .option("--bytes <n>", "restart: bytes to publish before", { default: 1_000_000_000 })
  .option("--queue-records <n>", "queue: for each rate", { default: 1_000_000 })
  .option("--backlog <n>", "queue: waiting records, of which every second one is acked first", { default: 1_000_000 })
  .option("--gib <n>", "backlog: how much waits; three times that goes to the disk", { default: 8 })
  .option("--flips <n>", "repair: bytes of one node's log that are flipped", { default: 200 })
  .option("--seeds <n>", "simulator: how many, after 25 that are not measured", { default: 60 })
  .option("--disk-mb <n>", "slow-disk: megabytes a second that a slowed node's disk takes", { default: 20 })
  .option("--slowed <n>", "slow-disk: how many of the three nodes", { default: 3 })
  .option("--times <n>", "slow-disk: of that, so much is offered", { default: 10 })
  .option("--rounds <n>", "peers: how often each is measured", { default: 3 })
  .option("--only <names>", "peers: raftline, rabbitmq, nats, kafka; comma between them")
  .option("--work <kinds>", "peers: publish, latency, drain; comma between them, all if not given")
  .option("--out <folder>", "peers: where peers.json and the charts go")
  .option("--json", "The last line is one JSON object")
  .example("npm run bench -- publish --partitions 16 --record-bytes 100 --seconds 10")
  .example("npm run bench -- latency --rate 200 --json")
  .example("npm run bench -- slow-disk --disk-mb 20 --times 10 --record-bytes 1000")
  .action(runBench);
cli.help();

/** Its backlog is one that every system can fill; what is known when it is cut short goes to the files as well. */
async function benchPeers(flags: BenchFlags): Promise<object> {
  const { records, rounds, recordBytes, seconds, only, work, out } = flags;
  const chosen = [["only", only], ["work", work]].map(([flag, value]) =>
    value === undefined ? "" : ` --${flag} ${value}`
  );
  const command = `npm run bench -- peers --rounds ${rounds} --seconds ${seconds} --record-bytes ${recordBytes}` +
    chosen.join("");
  const keep = (result: PeersResult) => {
    if (out === undefined) return;
    for (const name of writeReport(out, result, command)) onProgress(`wrote ${out}/${name}`);
  };
  let partial: PeersResult | undefined;
  const keepPartial = () => partial && keep(partial);
  process.on("exit", keepPartial);
  const result = await runPeers({
    rounds,
    recordBytes,
    seconds,
    records: Math.min(records, PEERS_RECORDS_MAX),
    ...(only !== undefined && { only }),
    ...(work !== undefined && { work }),
    onProgress,
    onResults: (results) => partial = { recordBytes, skipped: [], results },
  });
  process.off("exit", keepPartial);
  keep(result);
  return result;
}

async function runBench(name: string, flags: BenchFlags): Promise<void> {
  const bench = BENCHES[name];
  if (!bench) throw new UsageError(`there is no benchmark "${name}": ${Object.keys(BENCHES).join(", ")}`);
  const result = await bench(flags);
  if (flags.json) console.log(JSON.stringify(result));
  else for (const [field, value] of Object.entries(result)) console.log(`${field.padEnd(24)} ${JSON.stringify(value)}`);
}

// Every program and folder of a run has a listener for its end.
process.setMaxListeners(0);
// What was started is stopped, and what was written removed, as the process exits.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

try {
  cli.parse(process.argv, { run: false });
  await cli.runMatchedCommand();
  process.exit(0);
} catch (error) {
  process.exit(await reportFailure(error, cli.options.json === true));
}

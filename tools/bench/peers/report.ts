/** A run of `bench peers` as files: the figures as JSON, and a chart for each kind of work. */
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { barChart } from "../chart.ts";
import type { PeerResult, PeersResult } from "./run.ts";

const TITLES: Readonly<Record<string, string>> = {
  "publish 1": "Publish, one topic of one partition: records a second",
  "publish 16": "Publish, sixteen topics or partitions: records a second",
  "latency 200/s": "From send to acknowledgement at 200 records a second: p50 and p99, ms",
  drain: "Read a backlog, one consumer: records a second",
};

/** Machine, date and command go with the figures. Returns the names of the files. */
export function writeReport(folder: string, result: PeersResult, command: string): string[] {
  fs.mkdirSync(folder, { recursive: true });
  const machine = `${os.cpus().length} cores, ${
    Math.round(os.totalmem() / 2 ** 30)
  } GiB, ${os.type()} ${process.arch}, ${runtime()}`;
  const date = new Date().toISOString().slice(0, 10);
  const names = ["peers.json"];
  fs.writeFileSync(`${folder}/peers.json`, `${JSON.stringify({ date, machine, command, ...result }, null, 2)}\n`);
  for (const [work, title] of Object.entries(TITLES)) {
    const rows = result.results.filter((row) => row.work === work);
    if (rows.length === 0) continue;
    const name = `peers-${work.replaceAll(/[^a-z0-9]+/g, "-")}.svg`;
    const subtitle = `${result.recordBytes} bytes, three nodes on one machine; median of ${
      rows[0]!.rounds
    }. ${date}, ${machine}`;
    fs.writeFileSync(`${folder}/${name}`, barChart(title, subtitle, rows.map(barOf)));
    names.push(name);
  }
  return names;
}

function barOf(row: PeerResult): Parameters<typeof barChart>[2][number] {
  const label = `${row.system}${row.fsyncBeforeAck ? "" : " (no fsync)"}`;
  const strong = row.system === "Raftline";
  const { recordsPerSecond, ackMsP50 = 0, ackMsP99 = 0 } = row;
  return recordsPerSecond === undefined
    ? { label, value: ackMsP50, text: `${ackMsP50} / ${ackMsP99}`, strong }
    : { label, value: recordsPerSecond, text: recordsPerSecond.toLocaleString("en"), strong };
}

function runtime(): string {
  return "Deno" in globalThis ? "Deno" : `Node ${process.version.slice(1)}`;
}

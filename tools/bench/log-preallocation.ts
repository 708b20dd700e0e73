/**
 * `node dist/tools/bench/log-preallocation.js [folder]`: how a file should be written that every write must be durable in:
 * growing, sparse (its length set before), filled with zeros before, or with a lead of zeros that each write which
 * passes it brings along; followed by fdatasync, or opened with O_DSYNC. Decides what writer.ts and file-set.ts do.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { AlignedMemory } from "../../src/runtime/aligned-memory.ts";

const parent = process.argv[2] ?? tmpdir();
const FILE_BYTES = 128 * 1024 * 1024;
const TURN_MS = 300;
const ROUNDS = 7;
const ZEROS = new Uint8Array(1024 * 1024);

interface Way {
  readonly name: string;
  readonly length: "grows" | "sparse" | "zeros";
  readonly dsync: boolean;
  /** Around the page cache, copied into aligned memory first. */
  readonly direct?: boolean;
  readonly leadBytes: number;
}

interface Result {
  readonly mbPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const WAYS: readonly Way[] = [
  { name: "growing, fdatasync", length: "grows", dsync: false, leadBytes: 0 },
  { name: "growing, O_DSYNC", length: "grows", dsync: true, leadBytes: 0 },
  { name: "sparse, fdatasync", length: "sparse", dsync: false, leadBytes: 0 },
  { name: "sparse, O_DSYNC", length: "sparse", dsync: true, leadBytes: 0 },
  { name: "sparse, O_DSYNC, 128 KiB of zeros ahead", length: "sparse", dsync: true, leadBytes: 128 * 1024 },
  { name: "zeros, fdatasync", length: "zeros", dsync: false, leadBytes: 0 },
  { name: "zeros, O_DSYNC", length: "zeros", dsync: true, leadBytes: 0 },
  { name: "sparse, O_DSYNC, O_DIRECT", length: "sparse", dsync: true, direct: true, leadBytes: 0 },
  {
    name: "sparse, O_DSYNC, O_DIRECT, 128 KiB ahead",
    length: "sparse",
    dsync: true,
    direct: true,
    leadBytes: 128 * 1024,
  },
  { name: "zeros, O_DSYNC, O_DIRECT", length: "zeros", dsync: true, direct: true, leadBytes: 0 },
];

async function turn(way: Way, bytes: number): Promise<Result> {
  const path = `${parent}/log-preallocation-${process.pid}`;
  const fd = openFile(path, way);
  const buffer = new Uint8Array(bytes).fill(1);
  const times: number[] = [];
  let position = 0;
  let leadEnd = 0;
  const start = performance.now();
  while (performance.now() - start < TURN_MS && position + bytes + way.leadBytes <= FILE_BYTES) {
    const before = performance.now();
    const chunks = [buffer];
    if (way.leadBytes > 0 && position + bytes > leadEnd) {
      chunks.push(ZEROS.subarray(0, way.leadBytes));
      leadEnd = position + bytes + way.leadBytes;
    }
    const out = way.direct ? [together(chunks)] : chunks;
    await call((done) => fs.writev(fd, out, position, done));
    if (!way.dsync) await call((done) => fs.fdatasync(fd, done));
    times.push(performance.now() - before);
    position += bytes;
  }
  const elapsed = performance.now() - start;
  fs.closeSync(fd);
  fs.rmSync(path);
  times.sort((a, b) => a - b);
  return {
    mbPerSecond: position / 1e3 / elapsed,
    p50Ms: times[times.length >> 1]!,
    p99Ms: times[Math.floor(times.length * 0.99)]!,
  };
}

const aligned = new AlignedMemory(8 * 1024 * 1024);

function together(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let at = 0;
  for (const chunk of chunks) {
    aligned.bytes.set(chunk, at);
    at += chunk.length;
  }
  return aligned.bytes.subarray(0, at);
}

function openFile(path: string, { length, dsync, direct }: Way): number {
  const { O_CREAT, O_RDWR, O_DSYNC, O_DIRECT } = fs.constants;
  const flags = O_CREAT | O_RDWR | (dsync ? O_DSYNC : 0);
  const fd = fs.openSync(path, flags);
  if (length === "sparse") fs.ftruncateSync(fd, FILE_BYTES);
  for (let at = 0; length === "zeros" && at < FILE_BYTES; at += ZEROS.length) {
    fs.writeSync(fd, ZEROS, 0, ZEROS.length, at);
  }
  fs.fsyncSync(fd);
  if (!direct) return fd;
  fs.closeSync(fd);
  return fs.openSync(path, flags | O_DIRECT);
}

function call(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => error ? reject(error) : resolve()));
}

for (const bytes of [512, 4096, 65_536, 1_048_576, 4_194_304]) {
  const results = WAYS.map(() => [] as Result[]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, way] of WAYS.entries()) results[at]!.push(await turn(way, bytes));
  }
  for (const [at, { name }] of WAYS.entries()) {
    const median = (of: (result: Result) => number) => results[at]!.map(of).sort((a, b) => a - b)[ROUNDS >> 1]!;
    console.log(
      `${String(bytes).padStart(8)} bytes  ${name.padEnd(40)} ${
        median((r) => r.mbPerSecond).toFixed(1).padStart(7)
      } MB/s` +
        `  p50 ${median((r) => r.p50Ms).toFixed(3)} ms  p99 ${median((r) => r.p99Ms).toFixed(3)} ms`,
    );
  }
}

/** `bench limit`: the machine's own bound, by the bare pipeline of limit-node.ts. */
import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { spawnProgram } from "../processes/self.ts";
import { freePorts } from "../processes/ports.ts";
import { lengthPrefix } from "./frame-lengths.ts";
import { round, Samples } from "./statistics.ts";

export interface LimitOptions {
  readonly frameBytes: number;
  readonly recordBytes: number;
  readonly seconds: number;
  readonly framesInFlight: number;
  /** Frames a second; as fast as it goes if left out. */
  readonly rate?: number;
}

export interface LimitResult {
  readonly frameBytes: number;
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
}

const WARM_UP_MS = 2_000;
/** Of the rate that is measured. */
const WARM_UP_FACTOR = 10;

export async function runLimit(options: LimitOptions): Promise<LimitResult> {
  const folder = temporaryFolder("raftline-limit-");
  const ports = await freePorts(3);
  const children: ChildProcess[] = [];
  try {
    for (const position of [1, 2]) children.push(await startNode(`${folder}/follower-${position}`, [ports[position]!]));
    children.push(await startNode(`${folder}/leader`, ports));
    return await drive(ports[0]!, options);
  } finally {
    for (const child of children) child.stdin?.end();
    await Promise.all(
      children.map((child) => new Promise((gone) => child.exitCode === null ? child.once("exit", gone) : gone(0))),
    );
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function startNode(file: string, ports: readonly number[]): Promise<ChildProcess> {
  const child = spawnProgram("bench/limit-node", [file, ...ports.map(String)], { stdio: ["pipe", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`a process of the bare pipeline ended with code ${code}`)));
    child.stdout!.once("data", () => resolve(child));
  });
}

function drive(port: number, options: LimitOptions): Promise<LimitResult> {
  const { frameBytes, recordBytes, seconds, framesInFlight, rate } = options;
  const frame = new Uint8Array(frameBytes).fill(7);
  const prefix = lengthPrefix(frameBytes);
  const samples = new Samples();
  const sentMs: number[] = [];
  let acknowledged = 0;
  let acknowledgedBefore = 0;
  let measuredFromMs = Infinity;
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    const send = () => {
      sentMs.push(performance.now());
      socket.cork();
      socket.write(prefix);
      socket.write(frame);
      socket.uncork();
    };
    let pacer: NodeJS.Timeout | undefined;
    socket.once("error", reject);
    socket.once("connect", () => {
      if (rate === undefined) { for (let i = 0; i < framesInFlight; i++) send(); }
      else pacer = pace(rate * WARM_UP_FACTOR, send);
      setTimeout(() => {
        measuredFromMs = performance.now();
        if (rate !== undefined) {
          clearInterval(pacer);
          pacer = pace(rate, send);
        }
        acknowledgedBefore = acknowledged;
      }, WARM_UP_MS);
      setTimeout(() => {
        clearInterval(pacer);
        const measuredSeconds = (performance.now() - measuredFromMs) / 1000;
        const bytesPerSecond = ((acknowledged - acknowledgedBefore) * frameBytes) / measuredSeconds;
        socket.destroy();
        resolve({
          frameBytes,
          recordsPerSecond: Math.round(bytesPerSecond / recordBytes),
          bytesPerSecond: Math.round(bytesPerSecond),
          ackMsP50: round(samples.percentile(50)),
          ackMsP99: round(samples.percentile(99)),
        });
      }, WARM_UP_MS + seconds * 1000);
    });
    socket.on("data", (bytes: Uint8Array) => {
      const nowMs = performance.now();
      for (let i = 0; i < bytes.length; i++) {
        const tookMs = nowMs - sentMs[acknowledged]!;
        if (nowMs > measuredFromMs) samples.add(tookMs);
        acknowledged += 1;
        if (rate === undefined) send();
      }
    });
  });
}

/** Calls `tick` at an even rate, catching up after a late timer. */
export function pace(rate: number, tick: () => void): NodeJS.Timeout {
  const startMs = performance.now();
  let ticks = 0;
  return setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * rate) / 1000);
    while (ticks < due) {
      ticks += 1;
      tick();
    }
  }, 1);
}

/** `bench limit`: the machine's own bound, by the bare pipeline of limit-node.ts. */
import { setTimeout as delay } from "node:timers/promises";
import { withBarePipeline } from "./bare-pipeline.ts";
import { round, Samples } from "./statistics.ts";

export interface LimitOptions {
  readonly frameBytes: number;
  readonly recordBytes: number;
  readonly seconds: number;
  readonly framesInFlight: number;
}

export interface LimitResult {
  readonly frameBytes: number;
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
}

const WARM_UP_MS = 2_000;

/** Frames of one size, as fast as they go. */
export function runLimit({ frameBytes, recordBytes, seconds, framesInFlight }: LimitOptions): Promise<LimitResult> {
  return withBarePipeline(frameBytes, async (send) => {
    const samples = new Samples();
    let measuring = false;
    const keepSending = () => {
      const sentMs = performance.now();
      send(() => {
        if (measuring) samples.add(performance.now() - sentMs);
        keepSending();
      });
    };
    for (let i = 0; i < framesInFlight; i++) keepSending();
    await delay(WARM_UP_MS);
    const fromMs = performance.now();
    measuring = true;
    await delay(seconds * 1000);
    measuring = false;
    const bytesPerSecond = (samples.count * frameBytes * 1000) / (performance.now() - fromMs);
    return {
      frameBytes,
      recordsPerSecond: Math.round(bytesPerSecond / recordBytes),
      bytesPerSecond: Math.round(bytesPerSecond),
      ackMsP50: round(samples.percentile(50)),
      ackMsP99: round(samples.percentile(99)),
    };
  });
}

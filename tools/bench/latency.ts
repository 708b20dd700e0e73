/** `bench latency`: one record at a time at a fixed rate, from send to acknowledgement, beside the bare pipeline. */
import { setTimeout as delay } from "node:timers/promises";
import { pace, runLimit } from "./limit.ts";
import { round, Samples } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

const WARM_UP_MS = 4_000;
/** Faster than what is measured, so that the runtime has compiled what a broker runs all day. */
const WARM_UP_RATE = 2_000;
const SETTLE_MS = 500;

export interface LatencyOptions {
  readonly rate: number;
  readonly seconds: number;
  readonly recordBytes: number;
  readonly onProgress: (stage: string) => void;
}

export interface LatencyResult {
  readonly rate: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  readonly limitAckMsP50: number;
  readonly limitAckMsP99: number;
  readonly ratioP50: number;
  readonly ratioP99: number;
}

export async function runLatency({ rate, seconds, recordBytes, onProgress }: LatencyOptions): Promise<LatencyResult> {
  onProgress("the bare pipeline");
  const limit = await runLimit({ frameBytes: recordBytes, recordBytes, seconds, framesInFlight: 1, rate });
  onProgress("three nodes");
  return withNodes(async ({ client }) => {
    await client.admin.createTopic("bench", { partitions: 16, replicas: 3 });
    const producer = client.producer();
    const value = new Uint8Array(recordBytes).fill(120);
    const samples = new Samples();
    const send = (measured: boolean) => {
      const sentMs = performance.now();
      producer.enqueue("bench", { value }, (error) => {
        if (!error && measured) samples.add(performance.now() - sentMs);
      });
    };
    const warming = pace(WARM_UP_RATE, () => send(false));
    await delay(WARM_UP_MS);
    clearInterval(warming);
    await delay(SETTLE_MS);
    onProgress(`${rate} records/s`);
    const pacer = pace(rate, () => send(true));
    await delay(seconds * 1000);
    clearInterval(pacer);
    await producer.close();
    const ackMsP50 = round(samples.percentile(50));
    const ackMsP99 = round(samples.percentile(99));
    return {
      rate,
      ackMsP50,
      ackMsP99,
      limitAckMsP50: limit.ackMsP50,
      limitAckMsP99: limit.ackMsP99,
      ratioP50: round(ackMsP50 / limit.ackMsP50),
      ratioP99: round(ackMsP99 / limit.ackMsP99),
    };
  });
}

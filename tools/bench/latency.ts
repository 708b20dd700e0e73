/**
 * `bench latency`: one record at a time at a fixed rate, from send to acknowledgement, beside the bare pipeline: in turns,
 * for the machine's own speed changes within a run. Measured as a broker is that has run for a while; what one that has just
 * started does is told beside it.
 */
import { withBarePipeline } from "./bare-pipeline.ts";
import { acknowledgements, type Send } from "./pace.ts";
import { median, round, type Samples } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

/** So many records, one by one, before the measurement: enough for the runtime to have compiled what a record meets. */
const WARM_UP_SECONDS = 20;
const WARM_UP_RATE = 4_000;
const TURNS = 5;
const FRESH_SECONDS = 3;

export interface LatencyOptions {
  readonly rate: number;
  readonly seconds: number;
  readonly recordBytes: number;
  readonly onProgress: (stage: string) => void;
}

/** Of the turns, the medians. */
export interface LatencyResult {
  readonly rate: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  readonly limitAckMsP50: number;
  readonly limitAckMsP99: number;
  readonly ratioP50: number;
  readonly ratioP99: number;
  /** In the first seconds of three nodes that have just started. */
  readonly freshAckMsP50: number;
  readonly freshAckMsP99: number;
}

export function runLatency({ rate, seconds, recordBytes, onProgress }: LatencyOptions): Promise<LatencyResult> {
  return withBarePipeline(recordBytes, (bare) =>
    withNodes(async ({ client }) => {
      await client.admin.createTopic("bench", { partitions: 16, replicas: 3 });
      const producer = client.producer();
      const value = new Uint8Array(recordBytes).fill(120);
      const send: Send = (done) => producer.enqueue("bench", { value }, (error) => error ? undefined : done());
      onProgress("three nodes that have just started");
      const fresh = await acknowledgements(send, rate, FRESH_SECONDS);
      onProgress(`warming up: ${WARM_UP_RATE} records/s for ${WARM_UP_SECONDS} s each`);
      await acknowledgements(bare, WARM_UP_RATE, WARM_UP_SECONDS);
      await acknowledgements(send, WARM_UP_RATE, WARM_UP_SECONDS);
      const turns: { readonly ours: Samples; readonly limit: Samples }[] = [];
      for (let turn = 1; turn <= TURNS; turn++) {
        onProgress(`${rate} records/s, turn ${turn} of ${TURNS}`);
        const limit = await acknowledgements(bare, rate, seconds / TURNS);
        turns.push({ limit, ours: await acknowledgements(send, rate, seconds / TURNS) });
      }
      await producer.close();
      const percentiles = (of: "ours" | "limit", percent: number) =>
        round(median(turns.map((turn) => turn[of].percentile(percent))));
      const ackMsP50 = percentiles("ours", 50);
      const ackMsP99 = percentiles("ours", 99);
      const limitAckMsP50 = percentiles("limit", 50);
      const limitAckMsP99 = percentiles("limit", 99);
      return {
        rate,
        ackMsP50,
        ackMsP99,
        limitAckMsP50,
        limitAckMsP99,
        ratioP50: round(ackMsP50 / limitAckMsP50),
        ratioP99: round(ackMsP99 / limitAckMsP99),
        freshAckMsP50: round(fresh.percentile(50)),
        freshAckMsP99: round(fresh.percentile(99)),
      };
    }));
}

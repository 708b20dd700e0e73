/** A producer that always has so many chunks of records on their way: as fast as it goes. */
import type { Client } from "../../src/client/client.ts";
import { Samples } from "./statistics.ts";

export interface PublishLoad {
  readonly topic: string;
  readonly recordBytes: number;
  readonly chunkRecords: number;
  readonly chunksInFlight: number;
}

export interface Published {
  readonly recordsPerSecond: number;
  /** From handing a chunk over until all of it is acknowledged, ms. */
  readonly samples: Samples;
  /** The mean. */
  readonly batchBytes: number;
}

/** Counts what is acknowledged within `ms` after `warmUpMs`, and times what is handed over within them. */
export async function publishFor(client: Client, load: PublishLoad, ms: number, warmUpMs = 0): Promise<Published> {
  const producer = client.producer();
  const value = new Uint8Array(load.recordBytes).fill(120);
  const chunk = Array.from({ length: load.chunkRecords }, () => ({ value }));
  const samples = new Samples();
  const fromMs = performance.now() + warmUpMs;
  const endMs = fromMs + ms;
  let acknowledged = 0;
  const worker = async () => {
    for (let sentMs = performance.now(); sentMs < endMs;) {
      await producer.sendAll(load.topic, chunk);
      const nowMs = performance.now();
      if (sentMs >= fromMs) samples.add(nowMs - sentMs);
      if (nowMs >= fromMs && nowMs <= endMs) acknowledged += load.chunkRecords;
      sentMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: load.chunksInFlight }, worker));
  const { batches, bytes } = producer.statistics;
  await producer.close();
  return { recordsPerSecond: acknowledged * 1000 / ms, samples, batchBytes: batches === 0 ? 0 : bytes / batches };
}

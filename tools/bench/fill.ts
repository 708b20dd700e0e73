/** Fills a topic with records of one size, for benchmarks that read or wait behind a backlog. */
import type { Client } from "../../src/client/client.ts";

const CHUNK_RECORDS = 2_000;
const CHUNKS_IN_FLIGHT = 32;
const TELL_MS = 1_000;

export interface FillOptions {
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
  readonly onProgress: (stage: string) => void;
}

/** Resolves when all are acknowledged. */
export async function fill(client: Client, options: FillOptions): Promise<void> {
  const { topic, records, recordBytes, onProgress } = options;
  const producer = client.producer();
  const value = new Uint8Array(recordBytes).fill(120);
  const chunk = Array.from({ length: CHUNK_RECORDS }, () => ({ value }));
  let begun = 0;
  let acknowledged = 0;
  let toldMs = performance.now();
  const worker = async () => {
    while (begun < records) {
      const count = Math.min(CHUNK_RECORDS, records - begun);
      begun += count;
      await producer.sendAll(topic, count === CHUNK_RECORDS ? chunk : chunk.slice(0, count));
      acknowledged += count;
      if (performance.now() - toldMs < TELL_MS) continue;
      toldMs = performance.now();
      onProgress(`${acknowledged.toLocaleString("en")} of ${records.toLocaleString("en")} records published`);
    }
  };
  await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, worker));
  await producer.close();
}

/** `bench partitions`: how fast one client publishes to a topic of so many partitions, in turns with one of sixteen. */
import { inTurns } from "./in-turns.ts";
import { publishFor } from "./publish-load.ts";
import { median, round } from "./statistics.ts";
import { withNodes } from "./with-nodes.ts";

const SIXTEEN = 16;
const CHUNK_RECORDS = 1_000;
const CHUNKS_IN_FLIGHT = 64;
const TURNS = 7;
const WARM_UP_MS = 1_000;

export interface PartitionsOptions {
  readonly partitions: number;
  readonly recordBytes: number;
  readonly seconds: number;
  readonly onProgress: (stage: string) => void;
}

/** Of the turns, the medians. */
export interface PartitionsResult {
  readonly partitions: number;
  readonly recordsPerSecond: number;
  readonly recordsPerSecondOfSixteen: number;
  readonly ratioToSixteen: number;
  readonly ratioMin: number;
  readonly ratioMax: number;
}

export function runPartitions(options: PartitionsOptions): Promise<PartitionsResult> {
  const { partitions, recordBytes, seconds, onProgress } = options;
  return withNodes(async ({ client }) => {
    await client.admin.createTopic("sixteen", { partitions: SIXTEEN, replicas: 3 });
    await client.admin.createTopic("other", { partitions, replicas: 3 });
    const turnMs = seconds * 1000 / TURNS;
    const publishTo = (topic: string) => {
      const load = { topic, recordBytes, chunkRecords: CHUNK_RECORDS, chunksInFlight: CHUNKS_IN_FLIGHT };
      return publishFor(client, load, turnMs, WARM_UP_MS);
    };
    onProgress("warming up");
    for (const topic of ["sixteen", "other"]) await publishTo(topic);
    onProgress(`publishing in ${TURNS} turns to ${SIXTEEN} partitions and to ${partitions}`);
    const turns = await inTurns(TURNS, () => publishTo("sixteen"), () => publishTo("other"));
    const ratios = turns.map(({ a, b }) => b.recordsPerSecond / a.recordsPerSecond);
    return {
      partitions,
      recordsPerSecond: Math.round(median(turns.map(({ b }) => b.recordsPerSecond))),
      recordsPerSecondOfSixteen: Math.round(median(turns.map(({ a }) => a.recordsPerSecond))),
      ratioToSixteen: round(median(ratios)),
      ratioMin: round(Math.min(...ratios)),
      ratioMax: round(Math.max(...ratios)),
    };
  });
}

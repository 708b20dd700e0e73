/** Publishes the lines and keeps books of what was acknowledged, and of how long nothing was. */
import type { Client } from "../../src/client/client.ts";
import { corpusLines, type Line } from "./corpus.ts";
import type { Ledger } from "./ledger.ts";

const CHUNK_LINES = 2_000;
const CHUNKS_IN_FLIGHT = 16;

export interface Published {
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly ackGapMsMax: number;
}

/** Lines carry their number within their key in the header `n`. */
export async function publishCorpus(
  client: Client,
  topic: string,
  count: number,
  ledger: Ledger,
  onProgress: (acknowledged: number) => Promise<void> | void,
): Promise<Published> {
  const producer = client.producer({ deliveryTimeoutMs: 120_000 });
  const startedMs = performance.now();
  let lastAckMs = startedMs;
  let ackGapMsMax = 0;
  let records = 0;
  let bytes = 0;
  const acknowledged = (lines: readonly Line[]) => {
    const nowMs = performance.now();
    ackGapMsMax = Math.max(ackGapMsMax, nowMs - lastAckMs);
    lastAckMs = nowMs;
    records += lines.length;
  };
  const inFlight = new Set<Promise<void>>();
  const send = (lines: readonly Line[]) => {
    for (const { key, text } of lines) {
      ledger.sent(key, text);
      bytes += text.length;
    }
    const sending: Promise<void> = producer
      .sendAll(topic, lines.map(({ key, number, text }) => ({ key, value: text, headers: { n: String(number) } })))
      .then(() => acknowledged(lines))
      .finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  };
  let chunk: Line[] = [];
  for (const line of corpusLines(count)) {
    chunk.push(line);
    if (chunk.length < CHUNK_LINES) continue;
    send(chunk);
    chunk = [];
    if (inFlight.size >= CHUNKS_IN_FLIGHT) await Promise.race(inFlight);
    await onProgress(records);
  }
  if (chunk.length > 0) send(chunk);
  await Promise.all(inFlight);
  await producer.close();
  await onProgress(records);
  return { records, bytes, seconds: (performance.now() - startedMs) / 1000, ackGapMsMax };
}

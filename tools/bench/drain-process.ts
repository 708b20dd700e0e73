/**
 * A consumer process that reads a topic, batch by batch, and says every 200 ms how many bytes it has had; at the end it
 * begins again. Arguments: topic, the offset to begin at in each partition, then the cluster's addresses.
 */
import process from "node:process";
import { connect } from "../../src/client/client.ts";

const TELL_MS = 200;
const [topic = "", from = "0", ...bootstrap] = process.argv.slice(2);

const client = await connect(bootstrap);
let bytes = 0;
setInterval(() => process.stdout.write(`${bytes}\n`), TELL_MS);
// Whoever started it is gone when its standard input ends.
process.stdin.on("end", () => process.exit(0)).resume();
for (;;) {
  const place = { topics: [topic], from: Number(from), until: "end" } as const;
  const consumer = client.consumer({ ...place, prefetchBytesMax: 64 * 2 ** 20, reuseMemory: true });
  for await (const batch of consumer.batches()) bytes += batch.byteLength;
}

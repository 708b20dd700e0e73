/**
 * A consumer process that reads a topic from its start, again and again, batch by batch, and says every 200 ms how many
 * bytes it has had. Arguments: topic, then the cluster's addresses.
 */
import process from "node:process";
import { connect } from "../../src/client/client.ts";

const TELL_MS = 200;
const [topic = "", ...bootstrap] = process.argv.slice(2);

const client = await connect(bootstrap);
let bytes = 0;
setInterval(() => process.stdout.write(`${bytes}\n`), TELL_MS);
// Whoever started it is gone when its standard input ends.
process.stdin.on("end", () => process.exit(0)).resume();
for (;;) {
  const consumer = client.consumer({ topics: [topic], from: "earliest", until: "end", prefetchBytesMax: 64 * 2 ** 20 });
  for await (const batch of consumer.batches()) bytes += batch.byteLength;
}

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { setTimeout as delay } from "node:timers/promises";
import type { ConsumerRecord } from "../../src/client/consumer-records.ts";
import { TestCluster } from "./test-cluster.ts";

const reading = suite("a consumer whose memory is used again");

const RECORDS = 16_000;
let test: TestCluster;

reading.before(async () => {
  test = await TestCluster.start();
  await test.client.admin.createTopic("t", { partitions: 2, replicas: 3 });
  const records = Array.from({ length: RECORDS }, (_, i) => ({ value: `${i}`.padEnd(2_000, " "), partition: i % 2 }));
  await test.client.producer().sendAll("t", records);
});

reading.after(() => test[Symbol.asyncDispose]());

/** In how many memories the records lay, every one of them having been the right one. */
async function memoriesOf(reuseMemory: boolean, by: "record" | "batch"): Promise<number> {
  const options = { topics: ["t"], from: "earliest", until: "end", prefetchBytesMax: 2 ** 20, reuseMemory } as const;
  const consumer = test.client.consumer(options);
  const memories = new Set<ArrayBufferLike>();
  const next = [0, 1];
  const look = (record: ConsumerRecord) => {
    memories.add(record.value.buffer);
    assert.is(Number(record.text()), next[record.partition]);
    next[record.partition]! += 2;
  };
  if (by === "record") {
    for await (const record of consumer) look(record);
  } else {
    for await (const batch of consumer.batches()) {
      // Others arrive before it is done with.
      await delay(1);
      batch.records().forEach(look);
    }
  }
  assert.equal(next, [RECORDS, RECORDS + 1]);
  return memories.size;
}

for (const by of ["record", "batch"] as const) {
  reading(`by the ${by}: new records lie where old ones did, and none where one is still to be given out`, async () => {
    const kept = await memoriesOf(false, by);
    const reused = await memoriesOf(true, by);
    assert.ok(reused * 2 <= kept, `${reused} memories, ${kept} without`);
  });
}

reading.run();

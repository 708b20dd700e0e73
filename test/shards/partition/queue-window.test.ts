import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type QueueSource, QueueWindow } from "../../../shards/partition/queue-window.ts";
import { BatchWriter } from "../../../src/records/batch-writer.ts";
import type { Entry } from "../../../src/records/entry.ts";

const windows = suite("a queue's window");

const BATCH_RECORDS = 10;
const BATCH_BYTES = 256 * 1024;

/** Batches of ten records, 256 KiB each, read from a disk that answers when it is told to. */
class SlowSource implements QueueSource {
  readonly startOffset = 0;
  readonly highWatermark = 1_000;
  readonly leads = true;
  readonly asked: number[] = [];
  #answers: (() => void)[] = [];

  read(offset: number, bytesMax: number): Promise<Entry[]> {
    this.asked.push(offset);
    const first = Math.floor(offset / BATCH_RECORDS);
    const count = Math.max(1, Math.floor(bytesMax / BATCH_BYTES) - 1);
    const batches = Array.from({ length: count }, (_, i) => batchAt((first + i) * BATCH_RECORDS));
    return new Promise((resolve) => this.#answers.push(() => resolve(batches)));
  }

  async answer(): Promise<void> {
    for (const answer of this.#answers.splice(0)) answer();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

function batchAt(baseOffset: number): Entry {
  const writer = new BatchWriter({ bytesMax: 2 * BATCH_BYTES });
  const value = new Uint8Array(BATCH_BYTES / BATCH_RECORDS);
  for (let i = 0; i < BATCH_RECORDS; i++) writer.append(1, null, value, null);
  const entry = writer.finish();
  entry.stamp(1, 1, baseOffset);
  return entry;
}

windows("reads what it does not have, and then ahead of what is given out, up to a bound", async () => {
  const source = new SlowSource();
  const window = new QueueWindow(source);
  const loading = window.load(5);
  assert.is(window.at(5), undefined);
  await source.answer();
  assert.is(await loading, true);
  assert.is(window.at(5)?.baseOffset, 0);
  assert.equal(source.asked, [5]);

  window.advance(15);
  assert.is(window.at(5), undefined, "it was given out");
  assert.is(window.at(15)?.baseOffset, 10);
  for (let i = 0; i < 20; i++) await source.answer();
  const fetched = source.asked.length;
  assert.ok(fetched > 2 && fetched < 8, `${fetched} reads`);
  assert.is(window.at(60)?.baseOffset, 60);
  window.advance(15);
  assert.is(source.asked.length, fetched, "there is enough");
});

windows("who needs what is being fetched ahead waits for that", async () => {
  const source = new SlowSource();
  const window = new QueueWindow(source);
  const first = window.load(0);
  await source.answer();
  await first;
  const end = 10 * [...Array(100).keys()].filter((batch) => window.at(batch * BATCH_RECORDS) !== undefined).length;
  window.advance(end);
  assert.equal(source.asked, [0, end], "also from the very end");
  const loading = window.load(end);
  await source.answer();
  assert.is(await loading, true);
  assert.is(source.asked.filter((offset) => offset === end).length, 1);
});

windows("what was fetched for another place is not taken for this one", async () => {
  const source = new SlowSource();
  const window = new QueueWindow(source);
  const first = window.load(0);
  await source.answer();
  await first;
  window.advance(0);
  window.clear();
  await source.answer();
  assert.is(window.at(0), undefined);
  const elsewhere = window.load(500);
  await source.answer();
  assert.is(await elsewhere, true);
  assert.is(window.at(500)?.baseOffset, 500);
  assert.is(window.at(30), undefined);
});

windows("far ahead of what it has it fetches nothing: that is read when it is wanted", async () => {
  const source = new SlowSource();
  const window = new QueueWindow(source);
  const first = window.load(0);
  await source.answer();
  await first;
  window.advance(700);
  assert.equal(source.asked, [0]);
});

windows.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import { PRODUCERS_MAX, ProducerTable } from "../../../shards/partition/producer-table.ts";
import { PRODUCER_WINDOW_BATCHES } from "../../../src/wire/limits.ts";

const table = suite("the producer table");

function batch(producerId: number, baseSequence: number, recordCount: number, baseOffset: number, epoch = 0): Entry {
  const payload = new Uint8Array(8);
  const fields = { kind: EntryKind.batch, payload, recordCount, producerId, producerEpoch: epoch, baseSequence };
  const entry = Entry.create(fields);
  entry.stamp(1, baseOffset + 1, baseOffset);
  return entry;
}

table("takes a producer's batches in sequence, and the first from 0 only", () => {
  const producers = new ProducerTable();
  assert.is(producers.check(7, 0, 5, 1).kind, "refused");
  assert.is(producers.check(7, 0, 0, 3).kind, "next");
  producers.record(batch(7, 0, 3, 0));
  assert.is(producers.check(7, 0, 3, 1).kind, "next");
  assert.equal(producers.check(7, 0, 4, 1), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE" });
});

/** Another producer writes between its batches: none follows the one before in offset. */
function interleaved(producers: ProducerTable, batches: number): void {
  for (let i = 0; i < batches; i++) producers.record(batch(7, i * 2, 2, i * 10));
}

table("answers a batch sent again with the offset it was first given, over the whole window", () => {
  const producers = new ProducerTable();
  const batches = PRODUCER_WINDOW_BATCHES + 20;
  interleaved(producers, batches);
  for (let i = 20; i < batches; i++) {
    assert.equal(producers.check(7, 0, i * 2, 2), { kind: "duplicate", baseOffset: i * 10 });
  }
  assert.is(producers.check(7, 0, 38, 2).kind, "refused", "older than the window");
  assert.is(producers.check(7, 0, batches * 2 - 2, 3).kind, "refused", "more than was stored is another batch");
  assert.is(producers.check(7, 0, batches * 2 - 3, 2).kind, "refused", "across two that lie apart, too");
});

table("keeps batches that follow each other in sequence and offset as one: all of them are recognised", () => {
  const producers = new ProducerTable();
  for (let i = 0; i < 1_000; i++) producers.record(batch(7, i * 2, 2, 50 + i * 2));
  const alone = producers.encode().length;
  assert.ok(alone < 40, `${alone} bytes`);
  for (const i of [0, 1, 500, 999]) {
    assert.equal(producers.check(7, 0, i * 2, 2), { kind: "duplicate", baseOffset: 50 + i * 2 });
  }
  assert.is(producers.check(7, 0, 2_000, 2).kind, "next");
  assert.is(producers.check(7, 0, 1_999, 2).kind, "refused");
});

table("does not take sequences that come round for those of before", () => {
  const producers = new ProducerTable();
  const count = 2 ** 28;
  for (let i = 0; i < 20; i++) producers.record(batch(7, (i * count) % 2 ** 32, count, i * count));
  for (let i = 18; i < 20; i++) {
    assert.equal(producers.check(7, 0, (i * count) % 2 ** 32, count), { kind: "duplicate", baseOffset: i * count });
  }
});

table("fences an older epoch, and lets a newer one begin at 0", () => {
  const producers = new ProducerTable();
  producers.record(batch(7, 0, 2, 0, 4));
  assert.equal(producers.check(7, 3, 2, 1), { kind: "refused", code: "PRODUCER_FENCED" });
  assert.is(producers.check(7, 5, 2, 1).kind, "refused");
  assert.is(producers.check(7, 5, 0, 1).kind, "next");
});

table("wraps sequences at 2^32", () => {
  const producers = new ProducerTable();
  producers.record(batch(7, 2 ** 32 - 2, 4, 0));
  assert.is(producers.check(7, 0, 2, 1).kind, "next");
});

table("comes back whole from its bytes", () => {
  const producers = new ProducerTable();
  for (let id = 1; id <= 50; id++) producers.record(batch(id, 0, id, id * 100));
  const again = new ProducerTable();
  again.load(producers.encode());
  assert.equal(again.encode(), producers.encode());
  assert.equal(again.check(9, 0, 0, 9), { kind: "duplicate", baseOffset: 900 });
  assert.is(again.check(9, 0, 9, 1).kind, "next");
});

table("is bounded: the producer silent for longest is forgotten first", () => {
  const producers = new ProducerTable();
  for (let id = 1; id <= PRODUCERS_MAX; id++) producers.record(batch(id, 0, 1, id));
  producers.record(batch(1, 1, 1, 20_000));
  producers.record(batch(PRODUCERS_MAX + 1, 0, 1, 20_001));
  assert.is(producers.size, PRODUCERS_MAX);
  assert.is(producers.check(1, 0, 2, 1).kind, "next");
  assert.equal(producers.check(2, 0, 1, 1), { kind: "refused", code: "UNKNOWN_PRODUCER_ID" });
});

table.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BufferPool } from "../../src/client/buffer-pool.ts";
import { PartitionQueue } from "../../src/client/partition-queue.ts";
import type { PendingBatch } from "../../src/client/pending-batch.ts";
import { Route } from "../../src/client/topic-view.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { PRODUCER_WINDOW_BATCHES } from "../../src/wire/limits.ts";

const FIRST = { producerId: 1, epoch: 0 };
const SECOND = { producerId: 2, epoch: 0 };

class Fixture {
  nowMs = 0;
  held = 0;
  readonly results: string[] = [];
  readonly buffers = new BufferPool(1_000_000);
  readonly queue = new PartitionQueue(new Route("t", 0, 1), {
    batchBytesMax: 10_000,
    recordBytesMax: () => Infinity,
    codec: 0,
    deliveryTimeoutMs: 1_000,
    nowMs: () => this.nowMs,
    onUnaskedFailed: () => {},
    onReleased: (bytes) => this.held -= bytes,
    buffers: this.buffers,
  });

  /** As many batches of one record, taken to be sent. */
  send(...values: string[]): PendingBatch[] {
    return values.map((value) => {
      this.add(value);
      return this.queue.take(FIRST);
    });
  }

  add(value: string): void {
    this.held += this.queue.append(1, null, value, null, (error, _partition, offset) => {
      this.results.push(`${value}:${error?.code ?? offset}`);
    });
    this.queue.closeOpen();
  }

  fail(batch: PendingBatch, code: string, certain: boolean): void {
    this.queue.failed(batch, new RaftlineError(code, code), certain);
  }

  /** What can be sent now: sequence and producer of each. */
  takeAll(identity = FIRST): string[] {
    const taken: string[] = [];
    this.nowMs += 500;
    while (this.queue.sendable(this.nowMs) && this.queue.accepts(identity)) {
      const batch = this.queue.take(identity);
      taken.push(`${batch.baseSequence}@${this.queue.identity?.producerId}`);
    }
    return taken;
  }
}

const queues = suite("partition queue");

queues("sends nothing new until all in flight is answered, then what failed, in its order", () => {
  const f = new Fixture();
  const [a, b, c] = f.send("a", "b", "c") as [PendingBatch, PendingBatch, PendingBatch];
  f.add("d");
  f.fail(c, "OUT_OF_ORDER_SEQUENCE", true);
  assert.equal(f.takeAll(), []);
  f.fail(b, "OUT_OF_ORDER_SEQUENCE", true);
  f.fail(a, "UNAVAILABLE", false);
  assert.equal(f.takeAll(), ["0@1", "1@1", "2@1", "3@1"]);
});

queues("counts the broker's window from the oldest batch without an answer", () => {
  const f = new Fixture();
  const batches = f.send(...Array.from({ length: PRODUCER_WINDOW_BATCHES }, (_, i) => `${i}`));
  for (const [i, batch] of batches.entries()) if (i > 0) f.queue.stored(batch, i);
  f.add("m");
  assert.equal(f.takeAll(), []);
  f.queue.stored(batches[0]!, 0);
  assert.equal(f.takeAll(), [`${PRODUCER_WINDOW_BATCHES}@1`]);
});

queues("gives the sequences of what is certainly not stored to what follows", () => {
  const f = new Fixture();
  const [a, b, c] = f.send("a", "b", "c") as [PendingBatch, PendingBatch, PendingBatch];
  f.queue.stored(a, 0);
  f.fail(b, "TOO_LARGE", true);
  f.fail(c, "OUT_OF_ORDER_SEQUENCE", true);
  f.add("d");
  assert.equal(f.takeAll(), ["1@1", "2@1"]);
  assert.equal(f.results, ["a:0", "b:TOO_LARGE"]);
});

queues("keeps the sequences of what comes before a gap", () => {
  const f = new Fixture();
  const [a, b, c] = f.send("a", "b", "c") as [PendingBatch, PendingBatch, PendingBatch];
  f.fail(a, "UNAVAILABLE", false);
  f.fail(b, "TOO_LARGE", true);
  f.fail(c, "OUT_OF_ORDER_SEQUENCE", true);
  assert.equal(f.takeAll(), ["0@1", "1@1"]);
});

queues("never sends under another number what may be stored", () => {
  const f = new Fixture();
  const [a, b, c] = f.send("a", "b", "c") as [PendingBatch, PendingBatch, PendingBatch];
  f.fail(a, "TOO_LARGE", true);
  f.fail(b, "UNAVAILABLE", false);
  f.fail(c, "OUT_OF_ORDER_SEQUENCE", true);
  assert.equal(f.results, ["a:TOO_LARGE", "b:TIMED_OUT"]);
  assert.equal(f.takeAll(FIRST), []);
  assert.equal(f.takeAll(SECOND), ["0@2"]);
});

queues("gives up what is too old, and what may be stored behind it", () => {
  const f = new Fixture();
  const [a, b] = f.send("a", "b") as [PendingBatch, PendingBatch];
  f.nowMs = 900;
  f.add("young");
  assert.not.ok(f.queue.expire(2_000));
  f.fail(a, "UNAVAILABLE", false);
  f.fail(b, "UNAVAILABLE", false);
  assert.ok(f.queue.expire(1_001));
  assert.not.ok(f.queue.expire(1_001));
  assert.equal(f.results, ["a:TIMED_OUT", "b:TIMED_OUT"]);
  assert.equal(f.takeAll(SECOND), ["0@2"]);
});

queues("tells of a full disk what only a full disk has kept from being stored", () => {
  const f = new Fixture();
  const [a, b] = f.send("a", "b") as [PendingBatch, PendingBatch];
  f.fail(a, "DISK_FULL", true);
  f.fail(b, "UNAVAILABLE", false);
  f.nowMs = 900;
  assert.equal(f.queue.take(FIRST), a);
  assert.equal(f.queue.take(FIRST), b);
  f.fail(a, "DISK_FULL", true);
  f.fail(b, "DISK_FULL", true);
  while (f.queue.expire(1_001));
  assert.equal(f.results, ["a:DISK_FULL", "b:TIMED_OUT"]);
});

queues("does not need a new identity for what was never sent", () => {
  const f = new Fixture();
  const [a] = f.send("a") as [PendingBatch];
  f.queue.stored(a, 0);
  f.add("old");
  assert.ok(f.queue.expire(5_000));
  f.add("new");
  assert.equal(f.takeAll(FIRST), ["1@1"]);
});

queues("believes it when its first batch is called out of order again and again", () => {
  const f = new Fixture();
  f.add("a");
  for (let attempt = 0; attempt < 3; attempt++) {
    f.nowMs += 500;
    f.fail(f.queue.take(FIRST), "OUT_OF_ORDER_SEQUENCE", true);
  }
  assert.equal(f.results, ["a:OUT_OF_ORDER_SEQUENCE"]);
  f.add("b");
  assert.equal(f.takeAll(FIRST), []);
  assert.equal(f.takeAll(SECOND), ["0@2"]);
});

queues("waits longer after each failure", () => {
  const f = new Fixture();
  f.add("a");
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    f.nowMs = Math.max(f.nowMs, f.queue.retryAtMs);
    f.fail(f.queue.take(FIRST), "NO_LEADER", false);
    pauses.push(Math.max(0, f.queue.retryAtMs - f.nowMs));
  }
  assert.equal(pauses, [0, 10, 20, 40, 80, 160, 250, 250]);
});

queues("frees every byte it took, whatever becomes of the batches", () => {
  const f = new Fixture();
  const [a, b] = f.send("a", "b") as [PendingBatch, PendingBatch];
  f.add("c");
  f.held += f.queue.append(1, null, "open", null, undefined);
  f.queue.stored(a, 0);
  f.fail(b, "NOT_AUTHORIZED", true);
  f.queue.rejectAll(new RaftlineError("CLOSED", "closed"));
  assert.ok(f.queue.empty);
  assert.is(f.held, 0);
});

queues("uses a buffer again only if it was sent once and answered", () => {
  const f = new Fixture();
  const value = "x".repeat(40_000);
  const [once, twice] = f.send(value, value) as [PendingBatch, PendingBatch];
  const buffer = once.bytes.buffer;
  f.queue.stored(once, 0);
  f.fail(twice, "UNAVAILABLE", false);
  f.takeAll();
  const resent = twice.bytes.buffer;
  f.queue.stored(twice, 1);
  const [third, fourth] = f.send(value, value) as [PendingBatch, PendingBatch];
  assert.is(third.bytes.buffer, buffer);
  assert.is.not(fourth.bytes.buffer, resent);
});

queues("fails what comes back after its topic is gone", () => {
  const f = new Fixture();
  const [a, b] = f.send("a", "b") as [PendingBatch, PendingBatch];
  f.queue.rejectAll(new RaftlineError("UNKNOWN_TOPIC", "gone"));
  f.queue.stored(a, 7);
  f.fail(b, "UNKNOWN_PARTITION", true);
  assert.equal(f.results, ["a:7", "b:UNKNOWN_TOPIC"]);
  assert.ok(f.queue.empty);
});

queues.run();

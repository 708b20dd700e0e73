import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import type { Producer } from "../../src/client/producer.ts";
import { DEFAULT_RAFT_LIMITS } from "../../src/raft/limits.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { SimulatedCluster } from "../../tools/simulator/cluster.ts";
import { Testbed } from "../../tools/simulator/testbed.ts";

const test = suite("a producer that offers ten times what the disks take");

const KIB = 1024;
const TOPIC = "t";
const PARTITIONS = 4;
const VALUE_BYTES = 1_000;
/** Of one record beside its value, and of a batch and its entry beside the records. */
const OVERHEAD_BYTES = 200;
const BATCH_BYTES = 16 * KIB;
const BUFFER_BYTES = 768 * KIB;
/** Less than the producer holds: so that the nodes have to refuse, too. */
const PROPOSED_BYTES = 96 * KIB;
const TAIL_CACHE_BYTES = 64 * KIB;
const LOOK_MS = 2;

/** The most that was seen anywhere. */
class Peaks {
  buffered = 0;
  proposed = 0;
  pending = 0;
  tail = 0;

  look(producer: Producer, cluster: SimulatedCluster): void {
    this.buffered = Math.max(this.buffered, producer.bufferedBytes);
    for (const id of cluster.ids) {
      const { host, log } = cluster.nodeOf(id)!;
      this.proposed = Math.max(this.proposed, host.proposedBytes);
      this.pending = Math.max(this.pending, log.pendingBytes);
      this.tail = Math.max(this.tail, host.tailBytes);
    }
  }
}

/** Offers so many records a second and partition; a producer without room is waited for. */
class Offering {
  readonly #runtime: Runtime;
  readonly #producer: Producer;
  readonly failures: unknown[] = [];
  taken = 0;
  acknowledged = 0;
  waitedMs = 0;

  constructor(runtime: Runtime, producer: Producer) {
    this.#runtime = runtime;
    this.#producer = producer;
  }

  async offerFor(ms: number, recordsPerSecond: number): Promise<void> {
    const { clock } = this.#runtime;
    const startMs = clock.monotonicMs();
    for (let offered = 0; clock.monotonicMs() - startMs < ms;) {
      const due = Math.floor((clock.monotonicMs() - startMs) * recordsPerSecond / 1000);
      for (; offered < due; offered++) if (!this.#offer()) break;
      if (offered < due) {
        const fromMs = clock.monotonicMs();
        await this.#producer.ready;
        this.waitedMs += clock.monotonicMs() - fromMs;
        // What could not be handed over is still to be.
      } else await sleep(this.#runtime, LOOK_MS);
    }
  }

  #offer(): boolean {
    const value = `${this.taken} `.padEnd(VALUE_BYTES, "x");
    const isTaken = this.#producer.enqueue(TOPIC, { value, partition: this.taken % PARTITIONS }, (error) => {
      if (error) this.failures.push(error);
      else this.acknowledged += 1;
    });
    if (isTaken) this.taken += 1;
    return isTaken;
  }
}

function within(what: string, peak: number, bound: number, one: number): void {
  assert.ok(peak > bound - one, `${what}: ${peak} of ${bound}: the bound was not met`);
  assert.ok(peak <= bound + one, `${what}: ${peak}, and ${bound} is the bound`);
}

test("is slowed down, nothing grows beyond its bound on any node, nothing is lost or out of order", async () => {
  const limits = { proposedBytesMax: PROPOSED_BYTES, tailCacheBytesMax: TAIL_CACHE_BYTES };
  const bed = new Testbed({ seed: 11, nodes: 3, faults: [], limits });
  const { cluster } = bed;
  const { runtime } = cluster.client(bed.random.fork());
  const peaks = new Peaks();
  const story = async () => {
    await sleep(runtime, 3_000);
    const client = await connect([...cluster.bootstrap], { runtime });
    await client.admin.createTopic(TOPIC, { partitions: PARTITIONS, replicas: 3 });
    const settings = { batchBytesMax: BATCH_BYTES, bufferBytesMax: BUFFER_BYTES, deliveryTimeoutMs: 120_000 };
    const producer = client.producer(settings);
    const offering = new Offering(runtime, producer);
    for (const id of cluster.ids) cluster.diskOf(id).faults.slowness = 60;
    let ends = false;
    const looking = (async () => {
      for (; !ends; await sleep(runtime, LOOK_MS)) peaks.look(producer, cluster);
    })();
    // The topic is known from here on.
    await producer.send(TOPIC, { value: "", partition: 0 });
    // What the disks take: as much as can be offered, and what comes of it.
    await offering.offerFor(2_000, Infinity);
    const before = offering.acknowledged;
    await offering.offerFor(4_000, Infinity);
    const perSecond = (offering.acknowledged - before) / 4;
    offering.waitedMs = 0;
    const acknowledged = offering.acknowledged;
    await offering.offerFor(5_000, perSecond * 10);
    const waitedShare = offering.waitedMs / 5_000;
    const acknowledgedShare = (offering.acknowledged - acknowledged) / (perSecond * 5);
    await producer.close();
    ends = true;
    await looking;
    const read: number[][] = Array.from({ length: PARTITIONS }, () => []);
    for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
      if (record.value.length > 0) read[record.partition]!.push(Number.parseInt(record.text()));
    }
    await client.close();
    return { waitedShare, acknowledgedShare, offering, read };
  };
  try {
    bed.startNodes();
    const running = new Promise<Awaited<ReturnType<typeof story>>>((resolve, reject) => {
      bed.scheduler.after(0, () => void story().then(resolve, reject));
    });
    await bed.until("the story ends", 600_000, running);
    assert.is(bed.violation, undefined);
    const { offering, read, waitedShare, acknowledgedShare } = await running;
    // The producer: it waited most of the time, for the disks were kept busy.
    assert.ok(waitedShare > 0.6, `waited for ${waitedShare} of the time`);
    assert.ok(acknowledgedShare > 0.8, `acknowledged ${acknowledgedShare} of what the disks took before`);
    // Nothing is lost, doubled or out of order.
    assert.equal(offering.failures, []);
    assert.is(offering.acknowledged, offering.taken);
    for (const [partition, numbers] of read.entries()) {
      const wanted = Array.from({ length: Math.ceil((offering.taken - partition) / PARTITIONS) }, (_, at) => at);
      assert.equal(numbers, wanted.map((at) => at * PARTITIONS + partition));
    }
    // Every bound was reached, and none passed by more than the one thing that is taken below it.
    within("buffered by the producer", peaks.buffered, BUFFER_BYTES, VALUE_BYTES + OVERHEAD_BYTES);
    within("proposed on a node", peaks.proposed, PROPOSED_BYTES, BATCH_BYTES + OVERHEAD_BYTES);
    // What a node takes from the others is bounded by what these propose, and by how far it lags behind a majority.
    const { inFlightBytesMax } = DEFAULT_RAFT_LIMITS;
    const lagBytes = PARTITIONS * inFlightBytesMax;
    assert.ok(peaks.pending <= 3 * PROPOSED_BYTES + lagBytes, `${peaks.pending} bytes wait for a disk`);
    assert.ok(
      peaks.tail <= TAIL_CACHE_BYTES + 3 * PROPOSED_BYTES + lagBytes,
      `${peaks.tail} bytes of entries in memory`,
    );
  } finally {
    bed.close();
  }
});

test.run();

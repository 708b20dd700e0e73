import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/client.ts";
import type { Client } from "../../src/client/client.ts";
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
/** What may wait for a node's disk: as its own proposals, and as entries of others. One message of Raft's may pass that. */
const PENDING_BYTES = 128 * KIB;
const FOLLOWED_BYTES = 256 * KIB;
const { appendBytesMax: MESSAGE_BYTES } = DEFAULT_RAFT_LIMITS;
const LIMITS = {
  proposedBytesMax: PROPOSED_BYTES,
  pendingBytesMax: PENDING_BYTES,
  followedPendingBytesMax: FOLLOWED_BYTES,
  tailCacheBytesMax: 64 * KIB,
};
const LOOK_MS = 2;

/** The most that was seen anywhere, until it is stopped. */
class Peaks {
  buffered = 0;
  proposed = 0;
  pending = 0;
  tail = 0;
  #stopped = false;
  readonly #looking: Promise<void>;

  constructor(runtime: Runtime, producer: Producer, cluster: SimulatedCluster) {
    this.#looking = this.#watch(runtime, producer, cluster);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#looking;
  }

  async #watch(runtime: Runtime, producer: Producer, cluster: SimulatedCluster): Promise<void> {
    for (; !this.#stopped; await sleep(runtime, LOOK_MS)) this.#look(producer, cluster);
  }

  #look(producer: Producer, cluster: SimulatedCluster): void {
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
  readonly producer: Producer;
  readonly failures: unknown[] = [];
  taken = 0;
  acknowledged = 0;
  waitedMs = 0;

  constructor(runtime: Runtime, producer: Producer) {
    this.#runtime = runtime;
    this.producer = producer;
  }

  async offerFor(ms: number, recordsPerSecond: number): Promise<void> {
    const { clock } = this.#runtime;
    const startMs = clock.monotonicMs();
    for (let offered = 0; clock.monotonicMs() - startMs < ms;) {
      const due = Math.floor((clock.monotonicMs() - startMs) * recordsPerSecond / 1000);
      for (; offered < due; offered++) if (!this.#offer()) break;
      if (offered < due) {
        const fromMs = clock.monotonicMs();
        await this.producer.ready;
        this.waitedMs += clock.monotonicMs() - fromMs;
        // What could not be handed over is still to be.
      } else await sleep(this.#runtime, LOOK_MS);
    }
  }

  #offer(): boolean {
    const value = `${this.taken} `.padEnd(VALUE_BYTES, "x");
    const isTaken = this.producer.enqueue(TOPIC, { value, partition: this.taken % PARTITIONS }, (error) => {
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

function holdsBoundsOfNodes({ proposed, pending, tail }: Peaks): void {
  assert.ok(proposed <= PROPOSED_BYTES + BATCH_BYTES + OVERHEAD_BYTES, `${proposed} bytes proposed`);
  const waitingBytes = FOLLOWED_BYTES + MESSAGE_BYTES;
  assert.ok(pending <= waitingBytes, `${pending} bytes wait for a disk`);
  assert.ok(tail <= LIMITS.tailCacheBytesMax + waitingBytes, `${tail} bytes of entries in memory`);
}

/** Runs a story with a simulated cluster whose disks and limits are given. */
async function withCluster<T>(seed: number, story: (bed: Testbed, runtime: Runtime) => Promise<T>): Promise<T> {
  const bed = new Testbed({ seed, nodes: 3, faults: [], limits: LIMITS });
  const { runtime } = bed.cluster.client(bed.random.fork());
  try {
    bed.startNodes();
    const running = new Promise<T>((resolve, reject) => {
      bed.scheduler.after(0, () => void story(bed, runtime).then(resolve, reject));
    });
    await bed.until("the story ends", 600_000, running);
    assert.is(bed.violation, undefined);
    return await running;
  } finally {
    bed.close();
  }
}

/** Nodes that have begun, a topic, and a producer that knows it. */
async function begin({ cluster }: Testbed, runtime: Runtime) {
  await sleep(runtime, 3_000);
  const client = await connect([...cluster.bootstrap], { runtime });
  await client.admin.createTopic(TOPIC, { partitions: PARTITIONS, replicas: 3 });
  const settings = { batchBytesMax: BATCH_BYTES, bufferBytesMax: BUFFER_BYTES, deliveryTimeoutMs: 120_000 };
  const producer = client.producer(settings);
  await producer.send(TOPIC, { value: "", partition: 0 });
  return { client, offering: new Offering(runtime, producer), peaks: new Peaks(runtime, producer, cluster) };
}

/** Nothing is lost, doubled or out of order. */
async function isWhole(client: Client, { failures, taken, acknowledged }: Offering): Promise<void> {
  const read: number[][] = Array.from({ length: PARTITIONS }, () => []);
  for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
    if (record.value.length > 0) read[record.partition]!.push(Number.parseInt(record.text()));
  }
  assert.equal(failures, []);
  assert.is(acknowledged, taken);
  for (const [partition, numbers] of read.entries()) {
    const wanted = Array.from({ length: Math.ceil((taken - partition) / PARTITIONS) }, (_, at) => at);
    assert.equal(numbers, wanted.map((at) => at * PARTITIONS + partition));
  }
}

test("is slowed down, nothing grows beyond its bound anywhere, nothing is lost or out of order", () =>
  withCluster(11, async (bed, runtime) => {
    const { client, offering, peaks } = await begin(bed, runtime);
    for (const id of bed.cluster.ids) bed.cluster.diskOf(id).faults.slowness = 60;
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
    await offering.producer.close();
    await peaks.stop();
    assert.ok(waitedShare > 0.6, `the producer waited for ${waitedShare} of the time`);
    assert.ok(acknowledgedShare > 0.8, `acknowledged ${acknowledgedShare} of what the disks took before`);
    within("buffered by the producer", peaks.buffered, BUFFER_BYTES, VALUE_BYTES + OVERHEAD_BYTES);
    within("proposed on a node", peaks.proposed, PROPOSED_BYTES, BATCH_BYTES + OVERHEAD_BYTES);
    holdsBoundsOfNodes(peaks);
    await isWhole(client, offering);
    await client.close();
  }));

test("of one node, which the others leave behind: it keeps no more than its bound, and has all in the end", () =>
  withCluster(12, async (bed, runtime) => {
    const { cluster } = bed;
    const { client, offering, peaks } = await begin(bed, runtime);
    cluster.diskOf(1).faults.slowness = 2_000;
    await offering.offerFor(5_000, Infinity);
    await offering.producer.close();
    const stored = offering.acknowledged * VALUE_BYTES;
    const behind = peaks.pending;
    assert.ok(stored > 4 * (FOLLOWED_BYTES + MESSAGE_BYTES), `the others took ${stored} bytes`);
    assert.ok(behind > FOLLOWED_BYTES, `only ${behind} bytes ever waited for the slow disk`);
    cluster.diskOf(1).faults.slowness = 1;
    const ends = () => [...cluster.nodeOf(1)!.partitions.all()].map(({ replica }) => replica.highWatermark);
    const total = () => ends().reduce((sum, end) => sum + end, 0);
    while (total() < offering.taken + 1) await sleep(runtime, 50);
    await peaks.stop();
    holdsBoundsOfNodes(peaks);
    await isWhole(client, offering);
    await client.close();
  }));

test.run();

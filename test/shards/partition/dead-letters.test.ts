import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BatchReader } from "../../../src/records/batch-reader.ts";
import { BatchWriter } from "../../../src/records/batch-writer.ts";
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { Codec, Entry } from "../../../src/records/entry.ts";
import type { BatchRecord } from "../../../src/records/record.ts";
import { LogError } from "../../../src/log/types.ts";
import { BATCH_BYTES_MAX } from "../../../src/wire/limits.ts";
import { LETTER_LIMITS } from "../../../shards/partition/dead-letter.ts";
import { DeadLetterForwarder } from "../../../shards/partition/dead-letter-forwarder.ts";
import type { GroupCommand } from "../../../shards/partition/groups/group-commands.ts";
import { applyGroupCommand, type GroupResult } from "../../../shards/partition/groups/apply-group-command.ts";
import { GroupTable } from "../../../shards/partition/groups/group-table.ts";
import { ProducerTable } from "../../../shards/partition/producer-table.ts";
import { fakeTime } from "../host/fake-time.ts";

const letters = suite("dead letters on their way");

const GROUP = "g";
const TOPIC = "orders.dead";

/** A topic's only partition as a dead-letter topic: what a producer's table makes of it. */
class Target {
  readonly records: BatchRecord[] = [];
  readonly #producers = new ProducerTable();

  produce(bytes: Uint8Array): string {
    const entry = Entry.parse(bytes);
    if (bytes.length > LETTER_LIMITS.batchBytesMax) return "TOO_LARGE";
    const { producerId, producerEpoch, baseSequence, recordCount } = entry;
    const check = this.#producers.check(producerId, producerEpoch, baseSequence, recordCount);
    if (check.kind === "refused") return check.code;
    if (check.kind === "duplicate") return "";
    entry.stamp(1, this.records.length + 1, this.records.length);
    this.#producers.record(entry);
    const reader = new BatchReader(entry);
    while (reader.next()) this.records.push(reader.record());
    return "";
  }

  /** Of each letter: offset it had, and its value. */
  get told(): [number, string][] {
    return this.records.map((record) => [Number(record.headers["raftline-dead-offset"]), record.text()]);
  }
}

/** A partition with a queue, its records' values given, all of them dead; and what can go wrong around it. */
class World {
  readonly time = fakeTime();
  readonly groups = new GroupTable();
  readonly topics = new Map<string, Target>();
  readonly #batches: Entry[] = [];
  #lastProducerId = 0;
  startOffset = 0;
  /** Called before each batch is written; what it returns is the answer instead. */
  beforeWrite: (count: number) => string = () => "";
  /** The answer to a write is lost. */
  losesAnswers = false;
  /** Nothing that is proposed is taken. */
  leads = true;
  readError: Error | undefined;
  #writes = 0;

  constructor(batches: readonly (readonly string[] | Entry)[]) {
    let end = 0;
    for (const values of batches) {
      const entry = values instanceof Entry ? values : batchOf(values);
      entry.stamp(1, this.#batches.length + 1, end);
      end = entry.nextOffset;
      this.#batches.push(entry);
    }
    const settings = { leaseMs: 1_000, deliveriesMax: 1, deadLetter: TOPIC, keyOrdered: false };
    applyGroupCommand(this.groups, { op: "open", group: GROUP, settings, from: 0 }, { start: 0, end });
    const lease = { op: "lease", group: GROUP, consumer: "c", leaseMs: 1_000, offsets: OffsetSet.of(0, end) } as const;
    const { leaseId } = applyGroupCommand(this.groups, lease, { start: 0, end }).lease!;
    applyGroupCommand(this.groups, { op: "expire", group: GROUP, leaseId }, { start: 0, end });
  }

  get dead(): number {
    return this.groups.queues.get(GROUP)!.dead.size;
  }

  /** As the leader of the partition has one. */
  forwarder(): DeadLetterForwarder {
    const { groups, time } = this;
    const end = this.#batches.at(-1)!.nextOffset;
    const submit = (command: GroupCommand): Promise<GroupResult> =>
      Promise.resolve(this.leads ? applyGroupCommand(groups, command, { start: 0, end }) : { code: "NOT_LEADER" });
    return new DeadLetterForwarder({
      runtime: { ...time.runtime, log: { write: () => {} } },
      group: GROUP,
      state: groups.queues.get(GROUP)!,
      source: {
        startOffset: this.startOffset,
        highWatermark: end,
        leads: true,
        read: (offset) =>
          this.readError && offset === 0
            ? Promise.reject(this.readError)
            : this.#batches.filter(({ nextOffset }) => nextOffset > offset),
      },
      office: {
        origin: () => ({ topic: "orders", partition: 3 }),
        nextProducerId: () => Promise.resolve(++this.#lastProducerId),
        write: (topic, bytes) => Promise.resolve(this.#write(topic, bytes.slice())),
      },
      submit,
    });
  }

  #write(topic: string, bytes: Uint8Array): string {
    const refused = this.beforeWrite(this.#writes++);
    if (refused !== "") return refused;
    const code = this.topics.get(topic)?.produce(bytes) ?? "UNKNOWN_TOPIC";
    return this.losesAnswers ? "TIMED_OUT" : code;
  }

  /** Lets time pass until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let turns = 0; !isSo(); turns++) {
      if (turns > 200) throw new Error(`never: ${what}`);
      await turn();
      this.time.advance(100);
    }
  }
}

function batchOf(values: readonly string[], timestampMs = 7): Entry {
  const writer = new BatchWriter({ bytesMax: BATCH_BYTES_MAX });
  for (const value of values) writer.append(timestampMs, "key", value, { source: "web" });
  return writer.finish();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

letters("a letter has the record, where it came from and when it was sent; its own age begins now", async () => {
  const world = new World([["a", "b"]]);
  const target = new Target();
  world.topics.set(TOPIC, target);
  world.forwarder().wake();
  await world.until("all are there", () => world.dead === 0);
  assert.equal(target.told, [[0, "a"], [1, "b"]]);
  const [first] = target.records;
  assert.is(first!.keyText(), "key");
  assert.is(first!.timestamp, 1_000);
  assert.equal(first!.headers, {
    source: "web",
    "raftline-dead-reason": "leaseExpired",
    "raftline-dead-topic": "orders",
    "raftline-dead-partition": "3",
    "raftline-dead-offset": "0",
    "raftline-dead-group": "g",
    "raftline-dead-deliveries": "1",
    "raftline-dead-timestamp": "7",
  });
});

letters("the largest record that a producer can send has room beside what its letter says", async () => {
  const writer = new BatchWriter({ bytesMax: BATCH_BYTES_MAX });
  writer.append(7, null, new Uint8Array(BATCH_BYTES_MAX - 200), null);
  const world = new World([writer.finish(), ["small"]]);
  const target = new Target();
  world.topics.set(TOPIC, target);
  world.forwarder().wake();
  await world.until("all are there", () => world.dead === 0);
  assert.is(target.records[0]!.value.length, BATCH_BYTES_MAX - 200);
  assert.is(target.records[1]!.text(), "small");
});

/** Batches of one record each that no letter can hold, and the code its letter has instead. */
const POISON: [code: string, batch: () => Entry][] = [
  ["TOO_LARGE", () => {
    const writer = new BatchWriter({ bytesMax: BATCH_BYTES_MAX * 2 });
    writer.append(7, null, new Uint8Array(BATCH_BYTES_MAX + 128 * 1024), null);
    return writer.finish({ codec: Codec.deflate });
  }],
  ["CORRUPT", () => {
    const good = batchOf(["x"]);
    const payload = new Uint8Array(good.payload.length);
    return Entry.create({ kind: good.kind, format: good.format, payload, recordCount: 1, maxTimestampMs: 7 });
  }],
  ["UNSUPPORTED_CODEC", () => {
    const { kind, format, payload } = batchOf(["x"]);
    return Entry.create({ kind, format, codec: 15, payload, recordCount: 1, maxTimestampMs: 7 });
  }],
];

for (const [code, poison] of POISON) {
  letters(`a record that cannot go (${code}) goes without what it held, and does not hold up the others`, async () => {
    const world = new World([poison(), ["fine", "too"]]);
    const target = new Target();
    world.topics.set(TOPIC, target);
    world.forwarder().wake();
    await world.until("all are there", () => world.dead === 0);
    assert.equal(target.told, [[0, ""], [1, "fine"], [2, "too"]]);
    assert.is(target.records[0]!.headers["raftline-dead-without"], code);
    assert.is(target.records[1]!.headers["raftline-dead-without"], undefined);
  });
}

letters("what retention took, and what the only disk lost, is told of with its place", async () => {
  for (
    const [code, spoil] of [
      ["TRIMMED", (world: World) => world.startOffset = 1],
      ["CORRUPT", (world: World) => world.readError = new LogError("CORRUPT", "bit rot")],
    ] as const
  ) {
    const world = new World([["gone"], ["here"]]);
    const target = new Target();
    world.topics.set(TOPIC, target);
    spoil(world);
    world.forwarder().wake();
    await world.until("all are there", () => world.dead === 0);
    assert.equal(target.told, [[0, ""], [1, "here"]]);
    assert.is(target.records[0]!.headers["raftline-dead-without"], code);
  }
});

letters(
  "while there is no such topic all stay dead, and it is known why; when there is one they go, once",
  async () => {
    const world = new World([Array.from({ length: 30 }, (_, i) => `${i}`)]);
    const forwarder = world.forwarder();
    forwarder.wake();
    await world.until("it has tried", () => forwarder.trouble === "UNKNOWN_TOPIC");
    assert.is(world.dead, 30);
    const target = new Target();
    world.topics.set(TOPIC, target);
    await world.until("all are there", () => world.dead === 0);
    assert.equal(target.told.map(([offset]) => offset), Array.from({ length: 30 }, (_, i) => i));
    assert.is(forwarder.trouble, "");
  },
);

letters(
  "a refusal in the middle of a window holds nothing back that comes before, and nothing is there twice",
  async () => {
    const world = new World([Array.from({ length: 30 }, (_, i) => `${i}`)]);
    const target = new Target();
    world.topics.set(TOPIC, target);
    world.beforeWrite = (count) => count % 5 === 3 && count < 100 ? "THROTTLED" : "";
    world.forwarder().wake();
    await world.until("all are there", () => world.dead === 0);
    assert.equal(target.told.map(([offset]) => offset), Array.from({ length: 30 }, (_, i) => i));
  },
);

letters("another leader goes on where the first one was not heard of: each letter is there once", async () => {
  const world = new World([["poison"], Array.from({ length: 30 }, (_, i) => `${i}`)]);
  const target = new Target();
  world.topics.set(TOPIC, target);
  world.losesAnswers = true;
  const first = world.forwarder();
  first.wake();
  await world.until("its first window is written", () => target.records.length >= 12);
  first.close();
  // Could not read what the first one could: the letter that is there stays as it was.
  world.readError = new LogError("CORRUPT", "bit rot");
  world.losesAnswers = false;
  world.forwarder().wake();
  await world.until("all are there", () => world.dead === 0);
  assert.equal(target.told.map(([offset]) => offset), Array.from({ length: 31 }, (_, i) => i));
  assert.is(target.records[0]!.text(), "poison");
});

letters("what was written and could not be noted down, because another one leads, is not written again", async () => {
  const world = new World([Array.from({ length: 20 }, (_, i) => `${i}`)]);
  const target = new Target();
  world.topics.set(TOPIC, target);
  const first = world.forwarder();
  world.beforeWrite = () => {
    world.leads = false;
    return "";
  };
  first.wake();
  await world.until("its first window is written", () => target.records.length === 12 && first.trouble !== "");
  first.close();
  world.leads = true;
  world.beforeWrite = () => "";
  world.forwarder().wake();
  await world.until("all are there", () => world.dead === 0);
  assert.equal(target.told.map(([offset]) => offset), Array.from({ length: 20 }, (_, i) => i));
});

letters("a topic that was deleted and made again gets what was not in the first one, each once", async () => {
  const world = new World([Array.from({ length: 30 }, (_, i) => `${i}`)]);
  const first = new Target();
  const second = new Target();
  world.topics.set(TOPIC, first);
  world.beforeWrite = (count) => {
    if (count === 15) world.topics.set(TOPIC, second);
    return "";
  };
  world.forwarder().wake();
  await world.until("all are there", () => world.dead === 0);
  const all = [...first.told, ...second.told].map(([offset]) => offset);
  assert.equal(all, Array.from({ length: 30 }, (_, i) => i));
  assert.ok(first.records.length >= 12 && second.records.length > 0);
});

letters("a late letter of an old leader in a topic made again does not stop what follows", async () => {
  const world = new World([Array.from({ length: 30 }, (_, i) => `${i}`)]);
  const first = new Target();
  world.topics.set(TOPIC, first);
  let late: Uint8Array | undefined;
  const forwarder = world.forwarder();
  world.beforeWrite = (count) => {
    if (count !== 12) return "";
    const second = new Target();
    second.produce(late!);
    world.topics.set(TOPIC, second);
    return "";
  };
  const produce = first.produce.bind(first);
  first.produce = (bytes) => {
    late ??= bytes.slice();
    return produce(bytes);
  };
  forwarder.wake();
  await world.until("all are there", () => world.dead === 0);
  const second = world.topics.get(TOPIC)!;
  assert.equal(second.told.map(([offset]) => offset), [0, ...Array.from({ length: 18 }, (_, i) => i + 12)]);
});

letters.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import {
  decodePartitionCommand,
  encodePartitionCommand,
  type PartitionCommand,
} from "../../../shards/partition/commands.ts";
import { PartitionMachine } from "../../../shards/partition/machine.ts";

const test = suite("a partition's state machine");

/** Gives entries their places one after the other, and applies them. */
class Log {
  readonly entries: Entry[] = [];

  batch(recordCount: number, producerId = 0, baseSequence = 0): this {
    const payload = new Uint8Array(8);
    return this.#add(Entry.create({ kind: EntryKind.batch, payload, recordCount, producerId, baseSequence }));
  }

  command(command: PartitionCommand): this {
    return this.#add(encodePartitionCommand(command));
  }

  applyTo(machine: PartitionMachine, from = 1, to = this.entries.length): unknown[] {
    return this.entries.slice(from - 1, to).map((entry) => machine.apply(entry));
  }

  #add(entry: Entry): this {
    entry.stamp(1, this.entries.length + 1, this.entries.at(-1)?.nextOffset ?? 0);
    this.entries.push(entry);
    return this;
  }
}

test("a command comes back from its entry, which holds no records", () => {
  for (const reason of ["time", "size", "request", "consumed"] as const) {
    const command = { type: "trim", offset: 2 ** 40, reason } as const;
    const entry = encodePartitionCommand(command);
    assert.is(entry.kind, EntryKind.command);
    assert.is(entry.recordCount, 0);
    assert.equal(decodePartitionCommand(entry), command);
  }
});

test("a queue begins where the records do, though it was told of one that a trim before it took", () => {
  const machine = new PartitionMachine();
  const settings = { leaseMs: 1_000, deliveriesMax: 0, deadLetter: "", keyOrdered: false };
  const open = { op: "open", group: "g", settings, from: 0 } as const;
  const reset = { op: "resetQueue", group: "g", offset: 2, force: false } as const;
  new Log().batch(10).command({ type: "trim", offset: 4, reason: "request" })
    .command({ type: "groups", commands: [open] }).applyTo(machine);
  const queue = machine.groups.queues.get("g")!;
  assert.equal([queue.floor, queue.next], [4, 4]);
  const log = new Log().batch(10).command({ type: "groups", commands: [open] })
    .command({ type: "trim", offset: 6, reason: "request" }).command({ type: "groups", commands: [reset] });
  const other = new PartitionMachine();
  log.applyTo(other);
  assert.equal([other.groups.queues.get("g")!.floor, other.groups.queues.get("g")!.next], [6, 6]);
});

test("a trim moves the start, tells it once, and never moves it back or past the end", () => {
  const machine = new PartitionMachine();
  const told: number[] = [];
  machine.onTrim = (startOffset) => told.push(startOffset);
  const log = new Log().batch(10)
    .command({ type: "trim", offset: 4, reason: "request" })
    .command({ type: "trim", offset: 2, reason: "time" })
    .command({ type: "trim", offset: 99, reason: "size" })
    .batch(5);
  assert.equal(log.applyTo(machine), [undefined, 4, 4, 10, undefined]);
  assert.equal(told, [4, 10]);
  assert.equal([machine.startOffset, machine.highWatermark], [10, 15]);
});

test("its state comes back whole", () => {
  const machine = new PartitionMachine();
  new Log().batch(3, 7, 0).command({ type: "trim", offset: 2, reason: "time" }).applyTo(machine);
  const again = new PartitionMachine();
  again.restore(machine.capture(), machine.highWatermark);
  assert.equal([again.startOffset, again.highWatermark], [2, 3]);
  assert.equal(again.producers.check(7, 0, 0, 3), { kind: "duplicate", baseOffset: 0 });
  assert.equal(again.capture(), machine.capture());
});

test("a follower that starts where the log begins, with a later state, ends with the same one", () => {
  const log = new Log();
  for (let sequence = 0; sequence < 8; sequence++) log.batch(1, 7, sequence);
  log.command({ type: "trim", offset: 6, reason: "time" });
  const leader = new PartitionMachine();
  log.applyTo(leader);
  const follower = new PartitionMachine();
  follower.restore(leader.capture(), 5);
  log.applyTo(follower, 6);
  assert.equal(follower.capture(), leader.capture());
  assert.is(follower.highWatermark, 8);
  log.batch(1, 7, 8);
  for (const machine of [leader, follower]) log.applyTo(machine, 10);
  assert.equal(follower.capture(), leader.capture());
});

test.run();

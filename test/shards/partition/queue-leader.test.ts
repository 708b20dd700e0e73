import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BatchWriter } from "../../../src/records/batch-writer.ts";
import type { Entry } from "../../../src/records/entry.ts";
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { decodePartitionCommand } from "../../../shards/partition/commands.ts";
import { GroupLeader } from "../../../shards/partition/group-leader.ts";
import type { GroupCommand } from "../../../shards/partition/groups/group-commands.ts";
import { applyGroupCommand } from "../../../shards/partition/groups/apply-group-command.ts";
import { GroupTable } from "../../../shards/partition/groups/group-table.ts";
import type { LeaseAnswer } from "../../../shards/partition/queue-leader.ts";
import { fakeTime } from "../host/fake-time.ts";

const queues = suite("the leader of a queue");

const END = 50;

function batchAt(baseOffset: number): Entry {
  const writer = new BatchWriter({ bytesMax: 10_000 });
  for (let i = 0; i < 10; i++) writer.append(0, `key ${i}`, "value", null);
  const entry = writer.finish();
  entry.stamp(1, baseOffset / 10 + 1, baseOffset);
  return entry;
}

/** A queue over fifty records with ten keys; what is proposed is applied at once. */
class Fixture {
  readonly leader: GroupLeader;

  constructor(keyOrdered: boolean) {
    const groups = new GroupTable();
    groups.openQueue("g", { leaseMs: 60_000, deliveriesMax: 0, deadLetter: "", keyOrdered }, 0);
    const batches = [0, 10, 20, 30, 40].map(batchAt);
    this.leader = new GroupLeader({
      runtime: fakeTime().runtime,
      groups,
      source: {
        startOffset: 0,
        highWatermark: END,
        leads: true,
        read: (offset) => batches.filter(({ nextOffset }) => nextOffset > offset),
      },
      office: {
        origin: () => ({ topic: "t", partition: 0 }),
        write: () => Promise.resolve(""),
        nextProducerId: () => Promise.resolve(1),
      },
      propose: (entry, waiter) => {
        const command = decodePartitionCommand(entry);
        if (command.type !== "groups") return;
        const results = command.commands.map((one) => applyGroupCommand(groups, one, { start: 0, end: END }));
        waiter.settled("", entry, results);
      },
    });
  }

  /** Its code. */
  submit(command: GroupCommand): string {
    let code = "no answer";
    this.leader.submit(command, (result) => code = result.code);
    return code;
  }

  /** Takes and acknowledges all there is: their offsets. */
  drain(): number[] {
    const seen: number[] = [];
    for (;;) {
      const answer = this.#lease();
      if (answer?.lease === undefined) return seen.sort((a, b) => a - b);
      const offsets = new OffsetSet();
      for (const part of answer.lease.parts) offsets.addAll(part.offsets);
      for (const [start, end] of offsets.ranges()) for (let at = start; at < end; at++) seen.push(at);
      this.submit({ op: "ack", group: "g", leaseId: answer.lease.leaseId, consumer: "c", offsets });
    }
  }

  #lease(): LeaseAnswer | undefined {
    let answer: LeaseAnswer | undefined;
    this.leader.queue("g")!.lease({ consumer: "c", recordsMax: 100, bytesMax: 1_000_000 }, (given) => answer = given);
    return answer;
  }
}

const from = (start: number) => Array.from({ length: END - start }, (_, i) => start + i);

for (const keyOrdered of [false, true]) {
  queues(`a queue that is set back gives its records again${keyOrdered ? ", in the order of keys, too" : ""}`, () => {
    const fixture = new Fixture(keyOrdered);
    assert.equal(fixture.drain(), from(0));
    for (const offset of [0, 20, 45]) {
      assert.is(fixture.submit({ op: "resetQueue", group: "g", offset, force: false }), "");
      assert.equal(fixture.drain(), from(offset), `set back to ${offset}`);
    }
  });
}

queues.run();

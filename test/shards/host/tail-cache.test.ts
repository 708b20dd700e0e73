import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RaftLog } from "../../../src/raft/raft-log.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import { TailCache, type TailOwner } from "../../../shards/host/tail-cache.ts";

const tail = suite("tail cache");

class Group implements TailOwner {
  keptTo = 0;
  readonly id: number;
  readonly log = new RaftLog<Entry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
  readonly raft: { log: RaftLog<Entry>; applied: number; durable: number } = { log: this.log, applied: 0, durable: 0 };

  constructor(id: number) {
    this.id = id;
  }

  append(payloadBytes: number): void {
    const index = this.log.lastIndex + 1;
    const entry = Entry.create({ kind: EntryKind.command, payload: contents(this.id, index, payloadBytes) });
    entry.stamp(1, index, 0);
    this.log.append(entry);
    this.log.takeUnsaved();
  }
}

function contents(group: number, index: number, payloadBytes: number): Uint8Array {
  return new Uint8Array(payloadBytes).fill(group * 31 + index);
}

function isWhole(group: Group, entry: Entry): boolean {
  entry.verifyPayload();
  const { payload } = entry;
  return payload.every((byte) => byte === (group.id * 31 + entry.index) % 256);
}

tail("holds what is durable and applied, until its memory is others'; what was taken before stays what it was", () => {
  const act = fc.record({
    group: fc.nat(3),
    payloadBytes: fc.integer({ min: 1, max: 300 }),
    act: fc.constantFrom("append", "append", "append", "take", "lag", "remove"),
  });
  fc.assert(fc.property(fc.array(act, { maxLength: 200, size: "max" }), (acts) => {
    const cache = new TailCache(16 * 256);
    const groups = [0, 1, 2, 3].map((id) => new Group(id));
    const taken: [Group, Entry][] = [];
    for (const { group: id, payloadBytes, act: what } of acts) {
      const group = groups[id]!;
      const { log, raft } = group;
      if (what === "remove") {
        cache.remove(group);
        groups[id] = new Group(id);
        continue;
      }
      if (what === "take") {
        for (const entry of log.slice(log.tailFirstIndex, log.lastIndex, Infinity) ?? []) taken.push([group, entry]);
        continue;
      }
      group.append(payloadBytes);
      // Applied here before it is durable here, as a leader does; or neither yet.
      if (what === "append") raft.durable = log.lastIndex;
      raft.applied = log.lastIndex;
      cache.keep(group);
      assert.ok(cache.bytes <= 16 * 256);
      for (const other of groups) {
        for (let index = other.log.tailFirstIndex; index <= other.log.lastIndex; index++) {
          assert.ok(isWhole(other, other.log.entry(index)!));
        }
        assert.ok(other.log.tailFirstIndex <= other.raft.durable + 1, "an entry that is not durable has left");
      }
    }
    for (const [group, entry] of taken) assert.ok(isWhole(group, entry));
  }));
});

tail("an entry too large for it leaves at once, with those before it", () => {
  const cache = new TailCache(16 * 256);
  const group = new Group(1);
  group.append(10);
  group.append(1000);
  group.append(10);
  group.raft.durable = group.raft.applied = 3;
  cache.keep(group);
  assert.is(group.log.tailFirstIndex, 3);
  assert.ok(isWhole(group, group.log.entry(3)!));
});

tail.run();

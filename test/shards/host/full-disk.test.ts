import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Message } from "../../../src/raft/types.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import { loneHost, roomyLog } from "./lone-host.ts";

const full = suite("a host whose disk, or the others', is full");

const [PARTITION, METADATA] = [7, 0];

function entry(kind: number, bytes: number, index = 1): Entry {
  const made = Entry.create({ kind, payload: new Uint8Array(bytes), recordCount: 1 });
  made.stamp(1, index, index - 1);
  return made;
}

/** Node 2 with two groups that follow node 1. */
function host() {
  const written: string[] = [];
  const dead = new Set<number>();
  const others = new Set<number>();
  const answers: Message<Entry>[] = [];
  const log = roomyLog();
  log.write = (writes, onDurable) => {
    for (const { group, entries } of writes) for (const { index } of entries) written.push(`${group}:${index}`);
    onDurable();
  };
  const { host: made, add, turn } = loneHost({
    log,
    sink: {
      queue: (_group, message) => void answers.push(message),
      isAlive: (peer) => !dead.has(peer),
      full: others,
    },
  });
  const replica = add(PARTITION, {});
  add(METADATA, { trimAtCheckpoint: true });
  const append = (group: number, entries: Entry[]) => {
    const previous = entries[0]!.index - 1;
    const message: Message<Entry> = {
      type: "append",
      from: 1,
      to: 2,
      term: 1,
      previousIndex: previous,
      previousTerm: previous === 0 ? 0 : 1,
      commit: 0,
      entries,
    };
    made.deliver(group, message, undefined);
  };
  const propose = (kind: number) => {
    let said = "";
    made.propose(replica, entry(kind, 10), { settled: (code) => said = code });
    return said;
  };
  return { host: made, log, others, dead, written, answers, turn, append, propose };
}

full("refuses batches where no majority of the voters has room, and nothing that is small", () => {
  const { host: made, log, others, dead, propose } = host();
  assert.is(propose(EntryKind.batch), "NOT_LEADER");
  others.add(1);
  assert.is(propose(EntryKind.batch), "NOT_LEADER", "this node and the third have room");
  dead.add(3);
  assert.is(propose(EntryKind.batch), "DISK_FULL", "the third is gone");
  assert.is(propose(EntryKind.command), "NOT_LEADER");
  dead.clear();
  others.add(3);
  assert.is(propose(EntryKind.batch), "DISK_FULL");
  others.clear();
  log.full = true;
  assert.is(propose(EntryKind.batch), "DISK_FULL", "its own");
  assert.is(propose(EntryKind.command), "NOT_LEADER");
  made.close();
});

full("leaves out of another leader's batches what the reserve has no room for", () => {
  const { host: made, log, written, turn, append } = host();
  const [first, second, third] = [1, 2, 3].map((index) => entry(EntryKind.batch, 1_000, index));
  log.full = true;
  log.spareBytes = 2.5 * first!.byteLength;
  append(PARTITION, [first!]);
  append(PARTITION, [second!]);
  append(PARTITION, [third!]);
  turn();
  assert.equal(written, ["7:1", "7:2"]);
  log.spareBytes = -1;
  append(PARTITION, [third!]);
  turn();
  assert.equal(written, ["7:1", "7:2"]);
  append(PARTITION, [entry(EntryKind.command, 10, 3)]);
  append(METADATA, [entry(EntryKind.command, 1_000)]);
  turn();
  assert.equal(written.slice(2).sort(), ["0:1", "7:3"]);
  made.close();
});

full("tells a leader of what is missing here: it may not have that any more, and gives a later start then", () => {
  const { host: made, log, answers, turn, append } = host();
  log.full = true;
  log.spareBytes = -1;
  append(PARTITION, [entry(EntryKind.batch, 1_000, 6)]);
  turn();
  const [answer] = answers.filter(({ type }) => type === "append-response");
  assert.ok(answer?.type === "append-response" && answer.reject);
  assert.is(answer.hintIndex, 0);
  made.close();
});

full.run();

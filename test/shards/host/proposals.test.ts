import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EarlyMessages } from "../../../shards/host/early-messages.ts";
import { Proposals } from "../../../shards/host/proposals.ts";
import type { Message } from "../../../src/raft/types.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";

const proposals = suite("proposals that wait");

function entry(term: number, index: number): Entry {
  const made = Entry.create({ kind: EntryKind.batch, payload: new Uint8Array(10), recordCount: 1 });
  made.stamp(term, index, index - 1);
  return made;
}

function waiting(): { said: string[]; add: (queue: Proposals, name: string, made: Entry) => void } {
  const said: string[] = [];
  return {
    said,
    add: (queue, name, made) =>
      queue.add(made, { settled: (code, _entry, result) => said.push(`${name}:${code}:${result}`) }),
  };
}

proposals("are settled in the order of the log, with their results, and their bytes are given back", () => {
  const queue = new Proposals();
  const { said, add } = waiting();
  const made = Array.from({ length: 500 }, (_, i) => entry(1, i + 1));
  for (const one of made) add(queue, `${one.index}`, one);
  assert.is(queue.bytes, made.reduce((total, { byteLength }) => total + byteLength, 0));
  for (const one of made) queue.applied(one, one.index * 10);
  assert.equal(said, made.map(({ index }) => `${index}::${index * 10}`));
  assert.is(queue.bytes, 0);
});

proposals("one that lost its place to another leader's entry is refused", () => {
  const queue = new Proposals();
  const { said, add } = waiting();
  add(queue, "a", entry(1, 5));
  add(queue, "b", entry(1, 6));
  queue.applied(entry(2, 5), "theirs");
  assert.equal(said, ["a:NOT_LEADER:undefined"]);
  queue.applied(entry(2, 7), "theirs");
  assert.equal(said, ["a:NOT_LEADER:undefined", "b:NOT_LEADER:undefined"]);
});

proposals("all fail when leadership is lost", () => {
  const queue = new Proposals();
  const { said, add } = waiting();
  add(queue, "a", entry(1, 1));
  add(queue, "b", entry(1, 2));
  queue.failAll("NOT_LEADER");
  assert.equal(said, ["a:NOT_LEADER:undefined", "b:NOT_LEADER:undefined"]);
  assert.is(queue.bytes, 0);
});

proposals.run();

const early = suite("messages for groups that are not known yet");

const vote = (from: number): Message<Entry> => {
  return { type: "vote", from, to: 1, term: 1, preVote: true, transfer: false, lastIndex: 0, lastTerm: 0 };
};

early("a request for a vote is kept for a moment, the newest of each group", () => {
  const kept = new EarlyMessages(500);
  kept.keep(7, vote(2), 0);
  kept.keep(7, vote(3), 10);
  assert.equal(kept.take(7, 20).map(({ from }) => from), [3]);
  assert.equal(kept.take(7, 20), []);
  kept.keep(8, vote(2), 0);
  assert.equal(kept.take(8, 501), [], "too old");
  kept.keep(9, { type: "timeout-now", from: 2, to: 1, term: 1 }, 0);
  assert.equal(kept.take(9, 1), [], "nothing else is kept");
});

early.run();

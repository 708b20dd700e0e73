import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Host, type MessageSink } from "../../../shards/host/host.ts";
import { DEFAULT_HOST_LIMITS } from "../../../shards/host/limits.ts";
import type { StateMachine } from "../../../shards/host/state-machine.ts";
import type { GroupWrite, Log } from "../../../src/log/types.ts";
import type { Message } from "../../../src/raft/types.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { fakeTime } from "./fake-time.ts";

const full = suite("a host whose disk, or the others', is full");

const [PARTITION, METADATA] = [7, 0];
const CONFIGURATION = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] };
const machine: StateMachine = {
  apply: () => undefined,
  capture: () => new Uint8Array(0),
  restore: () => {},
  onLeading: () => {},
  onFollowing: () => {},
};

function entry(kind: number, bytes: number, index = 1): Entry {
  const made = Entry.create({ kind, payload: new Uint8Array(bytes), recordCount: 1 });
  made.stamp(1, index, index - 1);
  return made;
}

/** Node 2 with two groups that follow node 1. */
function host() {
  const turns: (() => void)[] = [];
  const written: string[] = [];
  const { runtime } = fakeTime();
  const timers = { ...runtime.timers, endTurn: (turn: () => void) => void turns.push(turn) };
  const dead = new Set<number>();
  const others = new Set<number>();
  const answers: Message<Entry>[] = [];
  const sink: MessageSink = {
    queue: (_group, message) => void answers.push(message),
    flush: () => {},
    heardMs: () => -Infinity,
    isAlive: (peer) => !dead.has(peer),
    full: others,
  };
  const log = {
    group: () => undefined,
    write: (writes: readonly GroupWrite[], onDurable: () => void) => {
      for (const { group, entries } of writes) for (const { index } of entries) written.push(`${group}:${index}`);
      onDurable();
    },
    full: false,
    spareBytes: Infinity,
    pendingBytes: 0,
  };
  const made = new Host({
    runtime: { ...runtime, timers } as Runtime,
    nodeId: 2,
    log: log as unknown as Log,
    limits: DEFAULT_HOST_LIMITS,
    leases: { clockDriftMax: undefined, mayHavePromised: false },
    sink,
    tails: new Map(),
    onLeader: () => {},
    onVouched: () => {},
    onDamaged: () => {},
  });
  const add = (group: number, trimAtCheckpoint: boolean) =>
    made.add({
      group,
      configuration: CONFIGURATION,
      machine,
      vouched: true,
      campaign: false,
      trimAtCheckpoint,
      commitNoticeMs: 10,
    });
  const replica = add(PARTITION, false);
  add(METADATA, true);
  const turn = () => turns.splice(0).forEach((next) => next());
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

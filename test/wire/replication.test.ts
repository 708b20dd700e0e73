import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import type { Message } from "../../src/raft/types.ts";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";
import { WireError } from "../../src/wire/errors.ts";
import { encodeFrame, FrameReader } from "../../src/wire/frames.ts";
import { PEER_LIMITS } from "../../src/wire/limits.ts";
import {
  decodeForward,
  decodeHeartbeat,
  decodeLeadership,
  decodeReply,
  encodeForward,
  encodeHeartbeat,
  encodeLeadership,
  encodeReply,
  peerMessageType,
} from "../../src/wire/peer-protocol.ts";
import { areSameAppends, type OutgoingFrame, packRaft, type RaftItem, unpackRaft } from "../../src/wire/replication.ts";

interface Received {
  readonly head: unknown[];
  readonly body: Uint8Array;
}

function received({ head, body }: { head: unknown[]; body?: Uint8Array[] }): Received {
  let frame: Received | undefined;
  const reader = new FrameReader(PEER_LIMITS, (one, bytes) => frame = { head: one, body: bytes });
  for (const chunk of encodeFrame(head, body)) reader.push(Uint8Array.from(chunk));
  return frame!;
}

function unpacked(frame: OutgoingFrame): RaftItem[] {
  const { head, body } = received(frame);
  return unpackRaft(head, body, 2, 3);
}

function entries(first: number, payloads: readonly Uint8Array[]): Entry[] {
  return payloads.map((payload, i) => {
    const entry = Entry.create({ kind: EntryKind.batch, payload, recordCount: 1 });
    entry.stamp(5, first + i, 100 + i);
    return entry;
  });
}

/** Entries by their bytes: two that are equal need not be the same object. */
function comparable(items: readonly RaftItem[]): unknown[] {
  return items.map(({ shard, message, state }) => {
    const bytes = message.type === "append" ? message.entries.map((entry) => [...entry.bytes]) : [];
    const rest = message.type === "append" ? { ...message, entries: [] } : message;
    // fast-check makes objects without a prototype; that is not what is compared.
    return { shard, message: structuredClone(rest), bytes, state: state && { ...state, bytes: [...state.bytes] } };
  });
}

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u53 = fc.maxSafeNat();
const ids = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 });
const payloads = fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 4 });
const envelope = { from: fc.constant(2), to: fc.constant(3), term: u53 };
const type = <T extends string>(value: T) => fc.constant(value);

const append = fc.tuple(fc.integer({ min: 0, max: 1_000_000 }), payloads).chain(([previousIndex, bytes]) =>
  fc.record({
    type: type("append"),
    ...envelope,
    previousIndex: fc.constant(previousIndex),
    previousTerm: u53,
    commit: u53,
    entries: fc.constant(entries(previousIndex + 1, bytes)),
  })
);
const snapshot = fc.record({
  type: type("snapshot"),
  ...envelope,
  snapshot: fc.record({
    index: u53,
    term: u53,
    configuration: fc.record({ voters: ids, outgoing: ids, learners: ids, learnersNext: ids }),
  }),
});
const simple: fc.Arbitrary<Message<Entry>> = fc.oneof(
  fc.record({
    type: type("append-response"),
    ...envelope,
    index: u53,
    reject: fc.boolean(),
    hintIndex: u53,
    hintTerm: u53,
    commit: u53,
    vouched: fc.boolean(),
  }),
  fc.record({
    type: type("vote"),
    ...envelope,
    preVote: fc.boolean(),
    transfer: fc.boolean(),
    lastIndex: u53,
    lastTerm: u53,
  }),
  fc.record({
    type: type("vote-response"),
    ...envelope,
    preVote: fc.boolean(),
    reject: fc.boolean(),
    commit: u53,
    commitTerm: u53,
  }),
  fc.record({ type: type("heartbeat"), ...envelope, commit: u53, readRound: u53, vouch: fc.boolean() }),
  fc.record({ type: type("heartbeat-response"), ...envelope, readRound: u53, holdMs: u32 }),
  fc.record({ type: type("transfer"), ...envelope, target: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ type: type("timeout-now"), ...envelope }),
);
const shard = u32;
const item: fc.Arbitrary<RaftItem> = fc.oneof(
  fc.record({ shard, message: simple }),
  fc.record({ shard, message: append }),
  fc.record({
    shard,
    message: snapshot,
    state: fc.record({ nextOffset: u53, bytes: fc.uint8Array({ maxLength: 100 }) }),
  }),
);

const replication = suite("replication frames");

replication("carry all messages of many groups as they were", () => {
  fc.assert(fc.property(fc.array(item, { minLength: 1, maxLength: 20 }), (items) => {
    const frames = packRaft(items);
    assert.is(frames.length, 1);
    assert.equal(comparable(unpacked(frames[0]!)), comparable(items));
  }));
});

replication("send entries by reference", () => {
  const [entry] = entries(1, [new Uint8Array(10)]);
  const message: Message<Entry> = {
    type: "append",
    from: 2,
    to: 3,
    term: 5,
    previousIndex: 0,
    previousTerm: 0,
    commit: 0,
    entries: [entry!],
  };
  assert.is(packRaft([{ shard: 1, message }])[0]!.body[0], entry!.bytes);
  assert.equal(packRaft([]), []);
});

replication("are the same for two followers only if every field and every entry is", () => {
  const shared = entries(8, [Uint8Array.of(1)]);
  const base = {
    type: "append",
    from: 2,
    to: 3,
    term: 5,
    previousIndex: 7,
    previousTerm: 4,
    commit: 6,
    entries: shared,
  } as const;
  const items: RaftItem[] = [{ shard: 1, message: base }, { shard: 2, message: base }];
  const other = { ...base, to: 1 };
  assert.ok(areSameAppends(items, [{ shard: 1, message: other }, { shard: 2, message: other }]));
  const different: Partial<typeof base>[] = [
    { term: 6 as 5 },
    { previousIndex: 8 as 7 },
    { previousTerm: 5 as 4 },
    { commit: 7 as 6 },
    { entries: entries(8, [Uint8Array.of(2)]) },
  ];
  for (const change of different) {
    const changed = { ...other, ...change };
    assert.not.ok(areSameAppends(items, [{ shard: 1, message: other }, { shard: 2, message: changed }]));
  }
  assert.not.ok(areSameAppends(items, [{ shard: 1, message: other }, { shard: 3, message: other }]));
  assert.not.ok(areSameAppends(items, [{ shard: 1, message: other }]));
  assert.not.ok(areSameAppends([], []));
  const answer = { type: "timeout-now", from: 2, to: 3, term: 5 } as const;
  assert.not.ok(areSameAppends([{ shard: 1, message: answer }], [{ shard: 1, message: answer }]));
});

replication("are cut near their size, in order, never inside an item", () => {
  const items = Array.from({ length: 30 }, (_, i): RaftItem => {
    const bodies = entries(1, [new Uint8Array(i === 7 ? 5_000 : 300)]);
    const place = { from: 2, to: 3, term: 5, previousIndex: 0, previousTerm: 0, commit: 0 };
    return { shard: i, message: { type: "append", ...place, entries: bodies } };
  });
  const frames = packRaft(items, 1_000);
  assert.ok(frames.length > 5);
  assert.equal(comparable(frames.flatMap(unpacked)), comparable(items));
});

replication("notice every damaged byte of an entry", () => {
  const bodies = entries(1, [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)]);
  const place = { from: 2, to: 3, term: 5, previousIndex: 0, previousTerm: 0, commit: 0 };
  const [frame] = packRaft([{ shard: 1, message: { type: "append", ...place, entries: bodies } }]);
  const { head, body } = received(frame!);
  for (let at = 0; at < body.length; at++) {
    const damaged = Uint8Array.from(body);
    damaged[at]! ^= 0x10;
    assert.throws(() => unpackRaft(head, damaged, 2, 3), (error: Error) => error instanceof RecordsError, `byte ${at}`);
  }
  for (let length = 0; length < body.length; length++) {
    assert.throws(
      () => unpackRaft(head, body.subarray(0, length), 2, 3),
      (error: Error) => error instanceof RecordsError,
    );
  }
});

replication("refuse entries that are not where they say, and bytes too many", () => {
  const place = { from: 2, to: 3, term: 5, previousTerm: 0, commit: 0 };
  const message = { type: "append" as const, ...place, previousIndex: 3, entries: entries(5, [Uint8Array.of(1)]) };
  assert.throws(() => unpacked(packRaft([{ shard: 1, message }])[0]!), /entry 5 of shard 1 where 4 belongs/);
  const [frame] = packRaft([{ shard: 1, message: { ...message, entries: entries(4, [Uint8Array.of(1)]) } }]);
  frame!.body.push(Uint8Array.of(0));
  assert.throws(() => unpacked(frame!), /longer than its items/);
});

replication("turn any items into messages or a typed error", () => {
  const field = fc.oneof(fc.nat(), fc.constantFrom(-1, 0.5, null, "x"), fc.array(fc.array(fc.nat(), { maxLength: 3 })));
  const items = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 10 }), fc.array(field, { maxLength: 7 })));
  fc.assert(
    fc.property(items, fc.uint8Array({ maxLength: 200 }), (rows, body) => {
      try {
        unpackRaft([1, rows.map(([shard, kind, rest]) => [shard, kind, ...rest])], body, 2, 3);
      } catch (error) {
        assert.ok(error instanceof WireError || error instanceof RecordsError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
  for (const wrong of [[1], [1, 5], [1, [5]], [1, [null]], [1, [[1]]]]) {
    assert.throws(() => unpackRaft(wrong, new Uint8Array(0), 2, 3), (error: Error) => error instanceof WireError);
  }
});

replication.run();

const others = suite("peer messages");

others("come out as they went in", () => {
  const heartbeat = { incarnation: 2 ** 40, sequence: 3, echo: 2, echoIncarnation: 1, diskWriteMs: 17 };
  for (const told of [heartbeat, { ...heartbeat, diskWriteMs: Infinity }]) {
    assert.equal(decodeHeartbeat(received({ head: encodeHeartbeat(told) }).head), told);
  }
  const claims = [{ shard: 1, term: 2 ** 41, leading: true }, { shard: 2, term: 1, leading: false }];
  assert.equal(decodeLeadership(received({ head: encodeLeadership(claims) }).head), claims);
  const request = { requestId: 9, command: "createTopic", args: { name: "t", options: { partitions: 2 } } };
  assert.equal(decodeForward(received({ head: encodeForward(request) }).head), request);
  const reply = { requestId: 9, code: "", message: "", result: [{ name: "t" }] };
  assert.equal(decodeReply(received({ head: encodeReply(reply) }).head), reply);
});

others("have a known type", () => {
  assert.is(peerMessageType(encodeLeadership([])), 3);
  for (const wrong of [[], [0], [6], ["raft"]]) assert.throws(() => peerMessageType(wrong), /is not known/);
});

others.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { decodeAdminCommand, decodeAdminResult } from "../../src/wire/admin-commands.ts";
import { errorCodes, RaftlineError, WireError } from "../../src/wire/errors.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";
import { packOffsets } from "../../src/records/packed-offsets.ts";
import { encodeFrame, FrameReader } from "../../src/wire/frames.ts";
import { RESPONSE_LIMITS } from "../../src/wire/limits.ts";
import { decodeRequest, encodeRequest, type Request } from "../../src/wire/protocol.ts";
import {
  correlationIdOf,
  decodeResponse,
  encodeFailure,
  encodeResponse,
  type Responses,
} from "../../src/wire/responses.ts";
import { isName } from "../../src/wire/schemas.ts";

function received(chunks: readonly Uint8Array[]): { head: unknown[]; body: Uint8Array } {
  let frame: { head: unknown[]; body: Uint8Array } | undefined;
  const reader = new FrameReader(RESPONSE_LIMITS, (head, body) => frame = { head, body });
  for (const chunk of chunks) reader.push(Uint8Array.from(chunk));
  return frame!;
}

/** Bytes compare by their numbers, whatever class holds them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (value instanceof OffsetSet) return plain(packOffsets(value));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function requestOf(chunks: readonly Uint8Array[]): ReturnType<typeof decodeRequest> {
  const { head, body } = received(chunks);
  return decodeRequest(head, body);
}

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u53 = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 100 });
const name = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}$/).filter((text) => text !== "__proto__");
const type = <T extends string | number>(value: T) => fc.constant(value);

const shards = fc.array(u32, { minLength: 1, maxLength: 5 });
const offsets = fc.array(fc.nat(2 ** 40), { maxLength: 10 }).map((starts) => {
  const set = new OffsetSet();
  for (const start of starts) set.add(start, start + 1 + (start % 3));
  return set;
});
const place = fc.oneof(type("earliest"), type("latest"), u53, fc.record({ timeMs: u53 }));
const consumer = fc.string({ minLength: 1, maxLength: 64 });

const groupRequests: fc.Arbitrary<Request>[] = [
  fc.record({
    type: type("queueOpen"),
    group: name,
    options: fc.record({
      leaseMs: u53,
      deliveriesMax: u32,
      deadLetter: fc.oneof(name, type("")),
      keyOrdered: fc.boolean(),
    }),
    from: place,
    shards,
  }),
  fc.record({
    type: type("lease"),
    group: name,
    consumer,
    maxWaitMs: u32,
    bytesMax: u32,
    parts: fc.array(fc.record({ shard: u32, recordsMax: fc.integer({ min: 1, max: 100_000 }) }), { minLength: 1 }),
  }),
  fc.record({
    type: type("settle"),
    group: name,
    consumer,
    parts: fc.array(
      fc.record({
        shard: u32,
        items: fc.array(
          fc.record({
            kind: fc.constantFrom("ack", "nack", "release", "extend", "leave"),
            leaseId: u53,
            offsets,
            ms: u53,
          }),
          { minLength: 1, maxLength: 4 },
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
  fc.record({
    type: type("cursor"),
    group: name,
    parts: fc.array(
      fc.record({
        shard: u32,
        kind: fc.constantFrom("claim", "commit", "fetch"),
        generation: u53,
        offset: u53,
        text: fc.string(),
      }),
      { minLength: 1 },
    ),
  }),
  fc.record({ type: type("groups"), group: fc.oneof(name, type("")), shards }),
  fc.record({
    type: type("groupReset"),
    group: name,
    force: fc.boolean(),
    parts: fc.array(fc.record({ shard: u32, to: place }), { minLength: 1 }),
  }),
  fc.record({ type: type("groupRemove"), group: name, force: fc.boolean(), shards }),
  fc.record({
    type: type("groupHeartbeat"),
    group: name,
    memberId: consumer,
    instanceId: fc.oneof(name, type("")),
    generation: u53,
    topics: fc.array(name, { minLength: 1 }),
    sessionTimeoutMs: u32,
    rebalanceTimeoutMs: u32,
    told: u32,
    sequence: u53,
    owned: fc.array(u53),
    refused: fc.array(u53),
  }),
  fc.record({ type: type("groupLeave"), group: name, memberId: consumer }),
  fc.record({ type: type("groupMembers"), group: name }),
  fc.record({ type: type("groupList"), coordinator: fc.nat(3) }),
];

const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    type: type("hello"),
    protocolVersion: fc.integer({ min: 0, max: 65_535 }),
    clientName: fc.string({ maxLength: 50 }),
    credentials: fc.option(
      fc.record({
        mechanism: type("plain"),
        name: fc.string({ minLength: 1, maxLength: 20 }),
        secret: fc.string({ minLength: 1, maxLength: 20 }),
      }),
    ),
  }),
  fc.record({ type: type("metadata"), topics: fc.option(fc.array(name)) }),
  fc.record({
    type: type("produce"),
    timeoutMs: u32,
    parts: fc.array(fc.record({ shard: u32, bytes }), { minLength: 1 }),
  }),
  fc.record({
    type: type("fetch"),
    session: u32,
    step: fc.constantFrom("open" as const, "go on" as const, "end" as const),
    maxWaitMs: u32,
    bytesMin: u32,
    bytesMax: u32,
    parts: fc.array(fc.record({ shard: u32, offset: u53, bytesMax: u32 })),
    dropped: fc.array(u32),
  }),
  fc.record({ type: type("producerId") }),
  fc.record({
    type: type("offsets"),
    parts: fc.array(
      fc.record({
        shard: u32,
        at: fc.oneof(type("earliest"), type("latest"), fc.record({ timeMs: u53 })),
      }),
      { minLength: 1 },
    ),
  }),
  fc.record({
    type: type("deleteRecords"),
    parts: fc.array(fc.record({ shard: u32, beforeOffset: u53 }), { minLength: 1 }),
  }),
  ...groupRequests,
  fc.record({ type: type("admin"), command: fc.string(), args: fc.dictionary(name, fc.oneof(u53, name)) }),
);

const code = fc.constantFrom("", "NOT_LEADER", "THROTTLED");
const responses = {
  hello: fc.record({
    nodeId: u32,
    clusterId: name,
    limits: fc.record({ batchBytesMax: u32, frameBytesMax: u32, inFlightBytesMax: u32 }),
  }),
  metadata: fc.record({
    revision: u53,
    nodes: fc.array(fc.record({ id: u32, host: fc.string(), port: fc.integer({ min: 0, max: 65_535 }) })),
    topics: fc.array(fc.record({
      name,
      code,
      topicId: u32,
      settings: fc.dictionary(name, u32),
      partitions: fc.array(fc.record({ shard: u32, leader: u32, leaderTerm: u53 })),
    })),
  }),
  produce: fc.record({ parts: fc.array(fc.record({ code, baseOffset: u53, leaderHint: u32 })) }),
  producerId: fc.record({ producerId: u53, epoch: fc.integer({ min: 0, max: 65_535 }) }),
  offsets: fc.record({ parts: fc.array(fc.record({ code, offset: u53, leaderHint: u32 })) }),
  deleteRecords: fc.record({ parts: fc.array(fc.record({ code, startOffset: u53, leaderHint: u32 })) }),
  queueOpen: fc.record({ parts: fc.array(fc.record({ code, leaderHint: u32 })) }),
  groupHeartbeat: fc.record({
    code,
    leaderHint: u32,
    generation: u53,
    heartbeatMs: u32,
    told: u32,
    assigned: fc.option(fc.array(u53)),
  }),
  groupLeave: fc.record({ code, leaderHint: u32 }),
  groupMembers: fc.record({
    code,
    leaderHint: u32,
    generation: u53,
    rebalancing: fc.boolean(),
    members: fc.array(fc.record({
      memberId: consumer,
      instanceId: fc.oneof(name, type("")),
      topics: fc.array(name),
      sessionTimeoutMs: u32,
      shards: fc.array(u32),
    })),
  }),
  groupList: fc.record({ code, leaderHint: u32, groups: fc.array(fc.record({ group: name, members: u32 })) }),
  lease: fc.record({
    parts: fc.array(fc.record({
      code,
      leaderHint: u32,
      leaseId: u53,
      leaseMs: u53,
      held: fc.array(fc.record({ deliveries: u53, offsets })),
      chunks: fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 1 }),
    })),
  }),
  settle: fc.record({ parts: fc.array(fc.record({ leaderHint: u32, codes: fc.array(code) })) }),
  cursor: fc.record({
    parts: fc.array(
      fc.record({ code, leaderHint: u32, committed: fc.oneof(type(-1), u53), metadata: name, generation: u53 }),
    ),
  }),
  groups: fc.record({
    parts: fc.array(
      fc.record({
        code,
        leaderHint: u32,
        highWatermark: u53,
        groups: fc.array(fc.record({
          group: name,
          kind: fc.constantFrom("cursor", "queue"),
          generation: u53,
          floor: u53,
          next: u53,
          waiting: u53,
          leased: u53,
          delayed: u53,
          dead: u53,
          deadCode: code,
        })),
      }),
    ),
  }),
  groupReset: fc.record({ parts: fc.array(fc.record({ code, leaderHint: u32, offset: u53 })) }),
  groupRemove: fc.record({ parts: fc.array(fc.record({ code, leaderHint: u32 })) }),
  admin: fc.record({ result: fc.oneof(name, fc.dictionary(name, u32), fc.array(u32), fc.constant(null)) }),
};

const protocol = suite("client protocol");

protocol("requests come out as they went in", () => {
  fc.assert(fc.property(u32, request, (correlationId, sent) => {
    assert.equal(plain(requestOf(encodeRequest(correlationId, sent))), plain({ correlationId, request: sent }));
  }));
});

protocol("answers come out as they went in", () => {
  for (const [kind, arbitrary] of Object.entries(responses)) {
    fc.assert(
      fc.property(u32, arbitrary as fc.Arbitrary<Responses["produce"]>, (correlationId, sent) => {
        const { head, body } = received(encodeResponse(kind as "produce", correlationId, sent));
        assert.is(correlationIdOf(head), correlationId);
        assert.equal(plain(decodeResponse(kind as "produce", head, body)), plain(sent));
      }),
      { numRuns: 50 },
    );
  }
});

protocol("a fetch's entries go by reference and are cut where they belong", () => {
  const chunk = new Uint8Array(10).fill(3);
  const place = { shard: 9, offset: 2 ** 50, highWatermark: 2 ** 40, startOffset: 1, leaderHint: 2 };
  const encoded = encodeResponse("fetch", 7, {
    parts: [
      { code: "", ...place, chunks: [chunk, chunk] },
      { code: "NOT_LEADER", ...place, chunks: [] },
      { code: "", ...place, chunks: [Uint8Array.of(1)] },
    ],
  });
  assert.is(encoded[1], chunk);
  const { head, body } = received(encoded);
  const { parts } = decodeResponse("fetch", head, body);
  assert.equal(parts.map((part) => part.chunks.map((one) => one.length)), [[20], [], [1]]);
  assert.equal({ ...parts[0], code: "", chunks: [] }, { code: "", ...place, chunks: [] });
});

protocol("a failure comes out as an error with its code, message, details and whether to try again", () => {
  const { head, body } = received(encodeFailure(9, "THROTTLED", "slow down", { delayMs: 5 }));
  try {
    decodeResponse("admin", head, body);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, RaftlineError);
    const { code, message, details, retriable } = error as RaftlineError;
    assert.equal({ code, message, details, retriable }, {
      code: "THROTTLED",
      message: "slow down",
      details: { delayMs: 5 },
      retriable: true,
    });
  }
  for (const code of Object.keys(errorCodes)) assert.match(code, /^[A-Z][A-Z_]+$/);
});

protocol("what is not a request is refused, with the correlation id where there is one", () => {
  const wrong: [unknown[], number | undefined][] = [
    [[], undefined],
    [[1], undefined],
    [[1, -1], undefined],
    [[1, 1.5], undefined],
    [[99, 5], 5],
    [["1", 5], 5],
    [[1, 5], 5],
    [[2, 5, ["../etc"]], 5],
    [[3, 5, 0, []], 5],
    [[3, 5, 0, [[1]]], 5],
    [[4, 5, 0, 0, 0, [[1, -1, 0]]], 5],
    [[6, 5, [[1, "middle"]]], 5],
    [[7, 5, "x", [1]], 5],
    [[5, 5, "more"], 5],
    [[9, 5, "g", [1, 0, "", 1], "earliest", [1]], 5],
    [[10, 5, "g", "c", 0, 0, [[1, 0]]], 5],
    [[11, 5, "g", "c", [[1, [[6, 1, new Uint8Array(0), 0]]]]], 5],
    [[11, 5, "g", "c", [[1, [[1, 1, [10, 1], 0]]]]], 5],
    [[11, 5, "g", "c", [[1, [[1, 1, Uint8Array.of(10, 0), 0]]]]], 5],
    [[11, 5, "g", "c", [[1, [[1, 1, Uint8Array.of(10), 0]]]]], 5],
    [[11, 5, "g", "c", [[1, [[1, 1, packOffsets(OffsetSet.of(0, 10_001)), 0]]]]], 5],
    [[11, 5, "g", "c", [[1, [[1, 1, new Uint8Array(128 * 1024 + 1), 0]]]]], 5],
    [[12, 5, "g", [[1, 4, 0, 0, ""]]], 5],
    [[14, 5, "g", 1, [[1, "latest"]]], 5],
  ];
  for (const [head, correlationId] of wrong) {
    try {
      decodeRequest(head, new Uint8Array(0));
      assert.unreachable(JSON.stringify(head));
    } catch (error) {
      assert.instance(error, WireError, JSON.stringify(head));
      assert.is((error as WireError).code, "INVALID_MESSAGE");
      assert.is((error as WireError).correlationId, correlationId, JSON.stringify(head));
    }
  }
});

protocol("bodies must be as long as their parts, and only where they belong", () => {
  const wrong = [
    encodeFrame([3, 1, 0, [[1, 5]]], [new Uint8Array(4)]),
    encodeFrame([3, 1, 0, [[1, 5]]], [new Uint8Array(6)]),
    encodeFrame([3, 1, 0, [[1, 2 ** 32 - 1], [2, 2 ** 32 - 1]]], [new Uint8Array(6)]),
    encodeFrame([5, 1], [new Uint8Array(1)]),
  ];
  for (const frame of wrong) {
    assert.throws(() => requestOf(frame), (error: WireError) => error.code === "INVALID_MESSAGE");
  }
});

protocol("any head is a request or a typed error", () => {
  const item = fc.oneof(
    u32,
    fc.string(),
    fc.constant(null),
    fc.array(fc.array(u32, { maxLength: 3 }), { maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 16 }), fc.array(item, { maxLength: 5 }), bytes, (kind, rest, body) => {
      try {
        decodeRequest([kind, 1, ...rest], body);
      } catch (error) {
        assert.instance(error, WireError);
      }
    }),
  );
});

protocol.run();

const admin = suite("admin commands");

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as RaftlineError).code;
  }
  return "";
}

admin("names are checked", () => {
  for (const good of ["a", "orders.eu-1_x", "a".repeat(249), "...", ".a"]) assert.ok(isName(good), good);
  for (const bad of ["", ".", "..", "a/b", "a b", "ä", "a".repeat(250), "a\n"]) {
    assert.not.ok(isName(bad), bad);
    assert.is(codeOf(() => decodeAdminCommand("createTopic", { name: bad, options: {} })), "INVALID_NAME", bad);
  }
});

admin("arguments are checked", () => {
  const create = (options: unknown) => codeOf(() => decodeAdminCommand("createTopic", { name: "t", options }));
  assert.is(create({ partitions: 16, replicas: 3, retention: { ms: 1, bytes: null }, recordBytesMax: 10 }), "");
  for (
    const wrong of [
      { partitions: 0 },
      { partitions: 10_001 },
      { replicas: 8 },
      { retention: 5 },
      { colour: "red" },
      null,
    ]
  ) {
    assert.is(create(wrong), "INVALID_REQUEST", JSON.stringify(wrong));
  }
  assert.is(codeOf(() => decodeAdminCommand("listTopics", { all: true })), "INVALID_REQUEST");
  assert.is(codeOf(() => decodeAdminCommand("toString", {})), "UNKNOWN_COMMAND");
});

admin("results are checked", () => {
  assert.equal(decodeAdminResult("listTopics", []), []);
  assert.is(codeOf(() => decodeAdminResult("listTopics", [{ name: 1 }])), "INVALID_MESSAGE");
});

admin.run();

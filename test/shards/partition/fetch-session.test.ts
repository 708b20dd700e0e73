import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FetchService } from "../../../shards/partition/fetch.ts";
import type { FetchSource } from "../../../shards/partition/fetch-session.ts";
import { type Lease, ReadMemory } from "../../../shards/partition/read-memory.ts";
import type { Entry } from "../../../src/records/entry.ts";
import { RaftlineError } from "../../../src/wire/errors.ts";
import { FETCH_PARTS_MAX, FETCH_SESSIONS_MAX } from "../../../src/wire/limits.ts";
import type { FetchRequest } from "../../../src/wire/protocol.ts";
import type { FetchResponse } from "../../../src/wire/responses.ts";
import type { Exchange, RpcSession } from "../../../src/wire/rpc-session.ts";
import { FakeWorld } from "../../wire/fake-world.ts";

const sessions = suite("fetch sessions");

/** Holds entries of ten bytes, one an offset. */
class Source implements FetchSource {
  leads = true;
  leaderHint = 1;
  startOffset = 0;
  highWatermark = 0;
  looks = 0;
  /** Reads wait for it, as those of a disk do. */
  gate: Promise<void> | undefined;
  readonly watchers = new Set<() => void>();

  readonly slab = new ReadMemory().slab();
  held = 0;

  constructor() {
    const { slab } = this;
    const { hold, letGo } = slab;
    slab.hold = () => {
      this.held += 1;
      hold.call(slab);
    };
    slab.letGo = () => {
      this.held -= 1;
      letGo.call(slab);
    };
  }

  read(offset: number, bytesMax: number, lease: Lease): Entry[] | Promise<Entry[]> {
    this.looks++;
    lease.hold(this.slab);
    const count = Math.max(1, Math.min(this.highWatermark - offset, Math.floor(bytesMax / 10)));
    const entries = Array.from({ length: count }, () => ({ bytes: new Uint8Array(10) }) as Entry);
    return this.gate ? this.gate.then(() => entries) : entries;
  }

  watchTail(wake: () => void): () => void {
    this.watchers.add(wake);
    return () => this.watchers.delete(wake);
  }

  append(count: number): void {
    this.highWatermark += count;
    for (const wake of [...this.watchers]) wake();
  }
}

class Fixture {
  readonly world = new FakeWorld();
  readonly sources = new Map<number, Source>();
  readonly answers: string[] = [];
  readonly service = new FetchService({
    runtime: this.world.runtime("n1"),
    sourceOf: (shard) => this.sources.get(shard),
    missing: () => ({ code: "UNKNOWN_PARTITION", leaderHint: 0 }),
  });
  readonly connection = {} as RpcSession;
  /** Of each answer: says that it has gone. */
  readonly sent: (() => void)[] = [];
  isConnected = true;

  constructor(...shards: number[]) {
    for (const shard of shards) this.sources.set(shard, new Source());
  }

  /** `parts`: shard and offset. Answers read `NAME: SHARD@OFFSET bytes or code, …`. */
  fetch(name: string, parts: readonly (readonly [number, number])[], options: Partial<FetchRequest> = {}): void {
    const request: FetchRequest = {
      type: "fetch",
      session: 1,
      step: "go on",
      maxWaitMs: 1_000,
      bytesMin: 1,
      bytesMax: 1_000,
      parts: parts.map(([shard, offset]) => ({ shard, offset, bytesMax: 100 })),
      dropped: [],
      ...options,
    };
    let open = true;
    const isOpen = () => open && this.isConnected;
    const exchange = {
      session: this.connection,
      request,
      get open() {
        return isOpen();
      },
      ok: (_type: "fetch", { parts }: FetchResponse, onSent?: () => void) => {
        open = false;
        if (onSent) this.sent.push(onSent);
        const said = parts.map(({ shard, offset, code, chunks }) => {
          return `${shard}@${offset} ${code || chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)}`;
        });
        this.answers.push(`${name}: ${said.join(", ")}`);
      },
    };
    this.service.handle(exchange as unknown as Exchange<FetchRequest>);
  }

  take(): string[] {
    return this.answers.splice(0);
  }
}

const codeOf = (work: () => void): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof RaftlineError) return error.code;
    throw error;
  }
  return "";
};

sessions("what was asked for once stays so until there is something to say of it", async () => {
  const f = new Fixture(1, 2, 3);
  f.fetch("a", [[1, 0], [2, 0], [3, 0]], { step: "open" });
  assert.equal(f.take(), []);
  f.sources.get(2)!.append(2);
  await f.world.pass(1);
  assert.equal(f.take(), ["a: 2@0 20"]);
  f.fetch("b", [[2, 2]]);
  f.sources.get(3)!.append(1);
  f.sources.get(1)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["b: 3@0 10, 1@0 10"]);
  f.fetch("c", []);
  f.sources.get(1)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), [], "what was answered is not asked for any more");
  f.sources.get(2)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["c: 2@2 10"]);
});

sessions("what is there is answered within the call, and partitions without news are not looked at", () => {
  const f = new Fixture(1, 2);
  f.sources.get(1)!.append(3);
  f.fetch("a", [[1, 0], [2, 0]], { step: "open" });
  assert.equal(f.take(), ["a: 1@0 30"]);
  f.fetch("b", [[1, 1]]);
  assert.equal(f.take(), ["b: 1@1 20"]);
  assert.is(f.sources.get(2)!.looks, 0);
});

sessions("what was read is held until its answer has gone, or is not wanted any more", async () => {
  const f = new Fixture(1, 2);
  const one = f.sources.get(1)!;
  one.append(3);
  f.fetch("a", [[1, 0]], { step: "open" });
  assert.is(one.held, 1);
  f.sent.shift()!();
  assert.is(one.held, 0);
  f.fetch("b", [[1, 0]], { bytesMin: 1_000 });
  assert.equal(f.take(), ["a: 1@0 30"], "too little for an answer yet");
  assert.is(one.held, 0);
  let open!: () => void;
  one.gate = new Promise((resolve) => open = resolve);
  await f.world.pass(1_001);
  assert.is(one.held, 1);
  f.isConnected = false;
  f.service.close();
  open();
  await f.world.pass(1);
  assert.is(one.held, 0);
  assert.equal(f.take(), []);
});

sessions("too little is waited with until there is more, also where that came while the disk was read", async () => {
  const f = new Fixture(1);
  const one = f.sources.get(1)!;
  one.append(1);
  f.fetch("a", [[1, 0]], { step: "open", bytesMin: 20 });
  await f.world.pass(1);
  assert.equal(f.take(), []);
  one.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["a: 1@0 20"]);
  assert.is(one.watchers.size, 0);
  let open!: () => void;
  one.gate = new Promise((resolve) => open = resolve);
  f.fetch("b", [[1, 1]], { bytesMin: 20 });
  one.append(1);
  open();
  await f.world.pass(1);
  assert.equal(f.take(), ["b: 1@1 20"]);
});

sessions("several polls wait, and each brings an answer, the oldest first; at its time even an empty one", async () => {
  const f = new Fixture(1, 2);
  f.fetch("a", [[1, 0]], { step: "open" });
  f.fetch("b", [[2, 0]], { maxWaitMs: 500 });
  f.fetch("c", []);
  f.sources.get(2)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["a: 2@0 10"]);
  await f.world.pass(600);
  assert.equal(f.take(), ["b: "]);
  f.sources.get(1)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["c: 1@0 10"]);
});

sessions("an answer is bounded, and who was left out is the first in the next one", async () => {
  const f = new Fixture(1, 2, 3);
  for (const source of f.sources.values()) source.append(100);
  f.fetch("a", [[1, 0], [2, 0], [3, 0]], { step: "open", bytesMax: 150 });
  assert.equal(f.take(), ["a: 1@0 100, 2@0 50"]);
  f.fetch("b", [[1, 10], [2, 5]], { bytesMax: 150 });
  assert.equal(f.take(), ["b: 3@0 100, 1@10 50"]);
});

sessions("a partition asked for anew, or dropped, is not answered from where it was asked for before", async () => {
  const f = new Fixture(1, 2);
  f.sources.get(1)!.append(5);
  f.fetch("a", [[1, 5], [2, 0]], { step: "open" });
  f.fetch("b", [[1, 4]], { dropped: [2] });
  assert.equal(f.take(), ["a: 1@4 10"]);
  for (const source of f.sources.values()) source.append(6);
  await f.world.pass(2_000);
  assert.equal(f.take(), ["b: "]);
  assert.is([...f.sources.values()].reduce((sum, { watchers }) => sum + watchers.size, 0), 0);
});

sessions("what is asked for anew while the disk is read is answered from the new place", async () => {
  const f = new Fixture(1);
  const source = f.sources.get(1)!;
  source.append(10);
  let open = () => {};
  source.gate = new Promise((resolve) => open = resolve);
  f.fetch("a", [[1, 0]], { step: "open" });
  f.fetch("b", [[1, 8]]);
  open();
  await f.world.pass(1);
  assert.equal(f.take(), ["a: 1@8 20"]);
});

sessions("errors of a partition are answered at once", async () => {
  const f = new Fixture(1, 2, 3);
  f.sources.get(2)!.leads = false;
  f.sources.get(3)!.startOffset = 7;
  f.fetch("a", [[1, 0], [2, 0], [3, 6], [4, 0]], { step: "open" });
  assert.equal(f.take(), ["a: 4@0 UNKNOWN_PARTITION, 2@0 NOT_LEADER, 3@6 OFFSET_OUT_OF_RANGE"]);
  f.fetch("b", []);
  Object.assign(f.sources.get(1)!, { leads: false, leaderHint: 0 });
  f.sources.get(1)!.append(0);
  await f.world.pass(1);
  assert.equal(f.take(), ["b: 1@0 NO_LEADER"]);
});

sessions("an answer waits for the bytes it was asked to wait for", async () => {
  const f = new Fixture(1, 2);
  f.fetch("a", [[1, 0], [2, 0]], { step: "open", bytesMin: 30 });
  f.sources.get(1)!.append(2);
  await f.world.pass(1);
  assert.equal(f.take(), []);
  f.sources.get(2)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), ["a: 1@0 20, 2@0 10"]);
  f.fetch("b", [[1, 2]], { bytesMin: 30 });
  f.sources.get(1)!.append(1);
  await f.world.pass(1_500);
  assert.equal(f.take(), ["b: 1@2 10"], "or for its time");
});

sessions("a session begins with being opened, anew too, and ends with its end and its connection", async () => {
  const f = new Fixture(1);
  assert.is(codeOf(() => f.fetch("a", [[1, 0]])), "UNKNOWN_SESSION");
  f.fetch("b", [[1, 0]], { step: "open" });
  f.fetch("c", [], { step: "open" });
  assert.equal(f.take(), ["b: "]);
  f.sources.get(1)!.append(1);
  await f.world.pass(1);
  assert.equal(f.take(), [], "the new one asks for nothing yet");
  f.fetch("d", [], { step: "end" });
  assert.equal(f.take(), ["c: ", "d: "]);
  assert.is(codeOf(() => f.fetch("e", [[1, 0]])), "UNKNOWN_SESSION");
  f.fetch("f", [[1, 1]], { step: "open" });
  assert.is(f.sources.get(1)!.watchers.size, 1);
  f.isConnected = false;
  f.service.closed(f.connection);
  assert.is(f.sources.get(1)!.watchers.size, 0);
});

sessions("sessions of a connection, and what is asked for in them, are bounded", () => {
  const f = new Fixture(1);
  for (let session = 1; session <= FETCH_SESSIONS_MAX; session++) f.fetch(`${session}`, [], { session, step: "open" });
  assert.is(codeOf(() => f.fetch("one more", [], { session: 0, step: "open" })), "THROTTLED");
  const source = f.sources.get(1)!;
  const many = Array.from({ length: FETCH_PARTS_MAX }, (_, at) => [at, 0] as const);
  for (const [shard] of many) f.sources.set(shard, source);
  f.fetch("many", many);
  assert.is(codeOf(() => f.fetch("one more", [[FETCH_PARTS_MAX, 0]], { session: 2 })), "THROTTLED");
});

sessions.run();

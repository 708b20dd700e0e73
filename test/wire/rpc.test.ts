import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Connection } from "../../src/runtime/network.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { encodeFrame, FrameReader } from "../../src/wire/frames.ts";
import {
  IN_FLIGHT_REQUESTS_MAX,
  LONG_POLLS_IN_FLIGHT_MAX,
  REQUEST_LIMITS,
  RESPONSE_LIMITS,
} from "../../src/wire/limits.ts";
import { encodeRequest, PROTOCOL_VERSION, type Request } from "../../src/wire/protocol.ts";
import { OPEN_REQUESTS_MAX } from "../../src/wire/pending-requests.ts";
import { RpcClient } from "../../src/wire/rpc-client.ts";
import { RpcServer, type RpcServerOptions } from "../../src/wire/rpc-server.ts";
import type { Exchange, RpcHandler, RpcSession } from "../../src/wire/rpc-session.ts";
import { FakeWorld } from "./fake-world.ts";

type Handle = (exchange: Exchange) => void;

const LIMITS = { batchBytesMax: 1, frameBytesMax: 2, inFlightBytesMax: 3 };
const PRODUCER_ID: Request = { type: "producerId" };

class Fixture {
  readonly world = new FakeWorld();
  readonly open: Exchange[] = [];
  readonly closed: RpcSession[] = [];
  server!: RpcServer;
  handle: Handle = (exchange) => exchange.ok("producerId", { producerId: 7, epoch: 0 });

  static async start(options: RpcServerOptions = {}): Promise<Fixture> {
    const f = new Fixture();
    const handler: RpcHandler = {
      hello: (exchange) => {
        if (exchange.request.clientName === "stranger") return exchange.fail("NOT_AUTHORIZED", "go away");
        exchange.session.accept(exchange.request.clientName);
        exchange.ok("hello", { nodeId: 1, clusterId: "c", limits: LIMITS });
      },
      request: (exchange) => f.handle(exchange),
      closed: (session) => f.closed.push(session),
    };
    f.server = await f.world.run(RpcServer.listen(f.world.runtime("s"), { host: "s", port: 1 }, handler, options));
    return f;
  }

  connect(clientName = "me"): Promise<RpcClient> {
    const options = { clientName, credentials: null, connectTimeoutMs: 1_000 };
    return this.world.run(RpcClient.connect(this.world.runtime("c"), this.server.address, options));
  }

  /** A connection that says what a test wants, and what came back on it. */
  async raw(hello = true): Promise<Raw> {
    const connection = await this.world.run(this.world.runtime("r").network.connect(this.server.address, 1_000));
    const raw = new Raw(connection);
    if (hello) {
      raw.write(
        encodeRequest(1, { type: "hello", protocolVersion: PROTOCOL_VERSION, clientName: "raw", credentials: null }),
      );
      await this.world.pass(20);
      assert.equal(raw.heads.splice(0).map((head) => head[1]), [""]);
    }
    return raw;
  }
}

class Raw {
  readonly heads: unknown[][] = [];
  ended = false;
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
    const reader = new FrameReader(RESPONSE_LIMITS, (head) => this.heads.push(head));
    connection.onData = (chunk) => reader.push(chunk);
    connection.onClose = () => this.ended = true;
  }

  write(chunks: Uint8Array[]): void {
    this.connection.write(chunks);
  }
}

async function failure(promise: Promise<unknown>): Promise<RaftlineError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RaftlineError) return error;
    throw error;
  }
  throw new Error("it should have failed");
}

const exchange = suite("rpc: requests and answers");

exchange("the hello tells who is there", async () => {
  const f = await Fixture.start();
  const client = await f.connect();
  assert.equal(client.hello, { nodeId: 1, clusterId: "c", limits: LIMITS });
});

exchange("requests are pipelined, and their answers may overtake each other", async () => {
  const f = await Fixture.start();
  f.handle = (exchange) => f.open.push(exchange);
  const client = await f.connect();
  const answers = [1, 2, 3].map((timeoutMs) =>
    client.request({ type: "produce", timeoutMs, parts: [{ shard: timeoutMs, bytes: new Uint8Array(10) }] }, 5_000)
  );
  await f.world.pass(20);
  assert.is(f.open.length, 3);
  for (const exchange of f.open.reverse()) {
    const { timeoutMs } = exchange.request as Extract<Request, { type: "produce" }>;
    exchange.ok("produce", { parts: [{ code: "", baseOffset: timeoutMs, leaderHint: 0 }] });
  }
  const offsets = (await f.world.run(Promise.all(answers))).map(({ parts }) => parts[0]!.baseOffset);
  assert.equal(offsets, [1, 2, 3]);
});

exchange("the answers of a turn leave in one write", async () => {
  const f = await Fixture.start();
  const raw = await f.raw();
  let chunks = 0;
  const deliver = raw.connection.onData;
  raw.connection.onData = (chunk) => {
    chunks++;
    deliver(chunk);
  };
  raw.write([1, 2, 3, 4].flatMap((id) => encodeRequest(id, PRODUCER_ID)));
  await f.world.pass(20);
  assert.equal([raw.heads.length, chunks], [4, 1]);
});

exchange("a failure carries its code, and what a handler throws is one", async () => {
  const f = await Fixture.start();
  const client = await f.connect();
  f.handle = (exchange) => exchange.fail("THROTTLED", "later", { ms: 3 });
  assert.equal((await failure(f.world.run(client.request(PRODUCER_ID, 100)))).details, { ms: 3 });
  f.handle = () => {
    throw new RaftlineError("UNKNOWN_TOPIC", "none");
  };
  assert.is((await failure(f.world.run(client.request(PRODUCER_ID, 100)))).code, "UNKNOWN_TOPIC");
  f.handle = () => {
    throw new TypeError("a bug");
  };
  assert.is((await failure(f.world.run(client.request(PRODUCER_ID, 100)))).code, "INTERNAL");
  assert.match(f.world.log.join(), /a request failed unexpectedly/);
});

exchange("an answer that comes too late is dropped, and the connection goes on", async () => {
  const f = await Fixture.start();
  f.handle = (exchange) => f.open.push(exchange);
  const client = await f.connect();
  assert.is((await failure(f.world.run(client.request(PRODUCER_ID, 50)))).code, "TIMED_OUT");
  const second = client.request(PRODUCER_ID, 1_000);
  await f.world.pass(20);
  f.open.forEach((one, i) => one.ok("producerId", { producerId: i, epoch: 0 }));
  assert.is((await f.world.run(second)).producerId, 1);
});

exchange("a client asks no more on a connection than its ids can tell apart", async () => {
  const f = await Fixture.start();
  f.handle = (asked) => f.open.push(asked);
  const client = await f.connect();
  const answers = Array.from({ length: OPEN_REQUESTS_MAX }, () => client.request(PRODUCER_ID, 60_000));
  assert.is((await failure(client.request(PRODUCER_ID, 60_000))).code, "THROTTLED");
  f.handle = (asked) => asked.ok("producerId", { producerId: 7, epoch: 0 });
  await f.world.pass(100);
  for (const asked of f.open) f.handle(asked);
  assert.is((await f.world.run(Promise.all(answers))).length, OPEN_REQUESTS_MAX);
  assert.is((await f.world.run(client.request(PRODUCER_ID, 1_000))).producerId, 7);
});

exchange("a broken connection fails what is open as unknown", async () => {
  const f = await Fixture.start();
  f.handle = () => {};
  const client = await f.connect();
  let ended: RaftlineError | undefined;
  client.onClose = (error) => ended = error;
  const answer = client.request(PRODUCER_ID, 5_000);
  await f.world.pass(20);
  f.world.kill("s");
  const error = await failure(f.world.run(answer));
  assert.equal([error.code, error.retriable, ended], ["UNAVAILABLE", true, error]);
  assert.is((await failure(client.request(PRODUCER_ID, 100))).code, "UNAVAILABLE");
  assert.is((await failure(f.connect())).code, "UNAVAILABLE");
});

exchange("a closed server ends its connections after the answers that are ready", async () => {
  const f = await Fixture.start();
  const client = await f.connect();
  f.handle = (exchange) => {
    exchange.ok("producerId", { producerId: 1, epoch: 0 });
    void f.server.close();
  };
  assert.is((await f.world.run(client.request(PRODUCER_ID, 1_000))).producerId, 1);
  await f.world.pass(20);
  assert.equal([client.open, f.server.connectionCount, f.closed.length], [false, 0, 1]);
});

exchange("a closing server does not wait for who takes nothing", async () => {
  const f = await Fixture.start();
  const raw = await f.raw();
  raw.connection.pause();
  raw.write(encodeRequest(1, PRODUCER_ID));
  await f.world.pass(20);
  await f.world.run(f.server.close());
  await f.world.pass(2_000);
  assert.is(f.server.connectionCount, 1);
  await f.world.pass(6_000);
  assert.is(f.server.connectionCount, 0);
});

exchange("a client notices that a server sends garbage", async () => {
  const f = await Fixture.start();
  const client = await f.connect();
  f.handle = (exchange) => exchange.session.answer([new Uint8Array(10).fill(0xff)], 0, false);
  const error = await failure(f.world.run(client.request(PRODUCER_ID, 1_000)));
  assert.is(error.code, "MALFORMED");
  assert.not.ok(client.open);
});

exchange.run();

const hostile = suite("rpc: hostile clients");

hostile("nothing is done before the hello, nor after a refused one", async () => {
  const f = await Fixture.start();
  const early = await f.raw(false);
  early.write(encodeRequest(5, PRODUCER_ID));
  await f.world.pass(20);
  assert.equal([early.heads[0]!.slice(0, 2), early.ended], [[5, "NOT_AUTHORIZED"], true]);
  assert.is((await failure(f.connect("stranger"))).code, "NOT_AUTHORIZED");
  const old = await f.raw(false);
  old.write(encodeRequest(1, { type: "hello", protocolVersion: 99, clientName: "x", credentials: null }));
  await f.world.pass(20);
  assert.equal([old.heads[0]!.slice(0, 2), old.ended], [[1, "UNSUPPORTED_VERSION"], true]);
  const twice = await f.raw();
  twice.write(
    encodeRequest(2, { type: "hello", protocolVersion: PROTOCOL_VERSION, clientName: "x", credentials: null }),
  );
  await f.world.pass(20);
  assert.equal([twice.heads[0]!.slice(0, 2), twice.ended], [[2, "INVALID_REQUEST"], true]);
});

hostile("a stranger may not send much", async () => {
  const f = await Fixture.start();
  const raw = await f.raw(false);
  raw.write([Uint8Array.of(0, 0, 1, 0)]);
  await f.world.pass(20);
  assert.equal([raw.heads[0]!.slice(0, 2), raw.ended], [[0, "MALFORMED"], true]);
});

hostile("garbage ends the connection with a reason, and no other", async () => {
  const f = await Fixture.start();
  const good = await f.connect();
  for (
    const garbage of [[255, 255, 255, 255], [0, 0, 0, 0], [3, 0, 0, 0, 1, 2, 3], [3, 0, 0, 0, 0x82, 0xc2, 0x41], [
      2,
      0,
      0,
      0,
      0x81,
      9,
    ]]
  ) {
    const raw = await f.raw();
    raw.write([Uint8Array.from(garbage)]);
    await f.world.pass(20);
    assert.equal([raw.heads[0]!.slice(0, 2), raw.ended], [[0, "MALFORMED"], true], `${garbage}`);
  }
  assert.is((await f.world.run(good.request(PRODUCER_ID, 1_000))).producerId, 7);
  assert.is(f.server.connectionCount, 1);
});

hostile("a request that is not valid is refused, and the connection goes on", async () => {
  const f = await Fixture.start();
  const raw = await f.raw();
  raw.write([...encodeFrame([3, 8, "soon", []]), ...encodeFrame([77, 9]), ...encodeRequest(10, PRODUCER_ID)]);
  await f.world.pass(20);
  assert.equal(raw.heads.map((head) => head.slice(0, 2)), [[8, "INVALID_REQUEST"], [9, "INVALID_REQUEST"], [10, ""]]);
});

hostile("a half-sent frame that never ends is cut off, however slowly it grows", async () => {
  const f = await Fixture.start({ halfFrameMsMax: 5_000 });
  const raw = await f.raw();
  raw.write([Uint8Array.of(100, 0, 0, 0, 0x82)]);
  for (let i = 0; i < 8 && !raw.ended; i++) {
    await f.world.pass(1_000);
    raw.write([Uint8Array.of(1)]);
  }
  await f.world.pass(100);
  assert.equal([raw.heads[0]!.slice(0, 2), raw.ended], [[0, "TIMED_OUT"], true]);
});

hostile("a slow stream of whole frames is not cut off", async () => {
  const f = await Fixture.start({ halfFrameMsMax: 5_000 });
  const raw = await f.raw();
  const stream = [1, 2, 3].flatMap((id) => encodeRequest(id, PRODUCER_ID));
  for (const byte of stream.flatMap((chunk) => [...chunk])) {
    raw.write([Uint8Array.of(byte)]);
    await f.world.pass(600);
  }
  assert.is(raw.heads.length, 3);
  assert.not.ok(raw.ended);
});

hostile("a connection that says nothing, or nothing more, is closed", async () => {
  const f = await Fixture.start({ helloMsMax: 2_000, idleMsMax: 10_000 });
  const silent = await f.raw(false);
  const idle = await f.raw();
  await f.world.pass(4_000);
  assert.equal([silent.ended, idle.ended], [true, false]);
  idle.write(encodeRequest(1, PRODUCER_ID));
  await f.world.pass(8_000);
  assert.not.ok(idle.ended);
  await f.world.pass(4_000);
  assert.ok(idle.ended);
});

hostile("a connection whose request waits is not idle", async () => {
  const f = await Fixture.start({ idleMsMax: 3_000 });
  f.handle = (exchange) => f.open.push(exchange);
  const raw = await f.raw();
  raw.write(encodeRequest(1, PRODUCER_ID));
  await f.world.pass(10_000);
  assert.not.ok(raw.ended);
  f.open[0]!.ok("producerId", { producerId: 1, epoch: 0 });
  await f.world.pass(10_000);
  assert.ok(raw.ended);
});

hostile("more connections than allowed are refused", async () => {
  const f = await Fixture.start({ connectionsMax: 2 });
  const first = await f.connect();
  await f.connect();
  assert.is((await failure(f.connect())).code, "TOO_MANY_CONNECTIONS");
  first.close();
  await f.world.pass(20);
  await f.connect();
});

hostile("requests beyond what may wait are not even read", async () => {
  const f = await Fixture.start();
  f.handle = (exchange) => f.open.push(exchange);
  const many = await f.raw();
  many.write(Array.from({ length: IN_FLIGHT_REQUESTS_MAX + 500 }, (_, i) => encodeRequest(i, PRODUCER_ID)).flat());
  await f.world.pass(500);
  assert.is(f.open.length, IN_FLIGHT_REQUESTS_MAX);
  for (const exchange of f.open.splice(0)) exchange.ok("producerId", { producerId: 1, epoch: 0 });
  await f.world.pass(500);
  assert.is(f.open.length, 500);
  const large = await f.raw();
  f.world.chunkBytesMax = 4 << 20;
  const parts = [{ shard: 1, bytes: new Uint8Array(REQUEST_LIMITS.frameBytesMax - 100) }];
  for (let id = 1; id <= 5; id++) large.write(encodeRequest(id, { type: "produce", timeoutMs: 1, parts }));
  f.open.length = 0;
  await f.world.pass(1_000);
  assert.is(f.open.length, 3);
  assert.ok(large.connection.bufferedBytes > 16 << 20);
});

hostile("fetches that wait are few", async () => {
  const f = await Fixture.start();
  f.handle = (exchange) => f.open.push(exchange);
  const raw = await f.raw();
  const fetch: Request = {
    type: "fetch",
    session: 1,
    step: "open",
    maxWaitMs: 1,
    bytesMin: 1,
    bytesMax: 2 ** 32 - 1,
    parts: [{ shard: 1, offset: 0, bytesMax: 1 }],
    dropped: [],
  };
  raw.write(Array.from({ length: LONG_POLLS_IN_FLIGHT_MAX + 1 }, (_, i) => encodeRequest(i, fetch)).flat());
  await f.world.pass(100);
  assert.is(f.open.length, LONG_POLLS_IN_FLIGHT_MAX);
  assert.equal(raw.heads.map((head) => head[1]), ["THROTTLED"]);
  assert.ok((f.open[0]!.request as Extract<Request, { type: "fetch" }>).bytesMax <= 16 << 20);
});

hostile("a client that does not take its answers is not read from", async () => {
  const f = await Fixture.start();
  let handled = 0;
  const chunk = new Uint8Array(8 << 20);
  f.handle = (exchange) => {
    handled++;
    const place = { shard: 1, offset: 0, highWatermark: 1, startOffset: 0, leaderHint: 0 };
    exchange.ok("fetch", { parts: [{ code: "", ...place, chunks: [chunk] }] });
  };
  const raw = await f.raw();
  raw.connection.pause();
  const fetch: Request = {
    type: "fetch",
    session: 1,
    step: "open",
    maxWaitMs: 1,
    bytesMin: 1,
    bytesMax: 1,
    parts: [{ shard: 1, offset: 0, bytesMax: 1 }],
    dropped: [],
  };
  for (let id = 1; id <= 20; id++) {
    raw.write(encodeRequest(id, fetch));
    await f.world.pass(20);
  }
  assert.ok(handled >= 4 && handled <= 6, `${handled} answers`);
  raw.connection.resume();
  f.world.chunkBytesMax = 8 << 20;
  await f.world.pass(5_000);
  assert.equal([handled, raw.heads.length], [20, 20]);
});

hostile.run();

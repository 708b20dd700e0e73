import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeFrame } from "../../src/wire/frames.ts";
import {
  encodePeerHello,
  type NodeRun,
  PEER_PROTOCOL_VERSION,
  type PeerHello,
  RUNS_MAX,
} from "../../src/wire/peer-protocol.ts";
import { PeerLink } from "../../src/wire/peer-link.ts";
import { PeerListener, type PeerListenerOptions, type PeerSession } from "../../src/wire/peer-listener.ts";
import { WireError } from "../../src/wire/errors.ts";
import { FakeWorld } from "./fake-world.ts";

const ADDRESS = { host: "b", port: 7501 };

function runOf(incarnation: number): NodeRun {
  return { incarnation, runs: [incarnation * 100] };
}

/** Node 1 on host "a" dials node 2 on host "b". */
class Fixture {
  readonly world = new FakeWorld();
  readonly events: string[] = [];
  readonly received: unknown[] = [];
  readonly sessions: PeerSession[] = [];
  onFrame: (session: PeerSession, head: unknown[], body: Uint8Array) => void = (_session, head, body) =>
    void this.received.push([...head, body.length]);

  async listen(options: Partial<PeerListenerOptions> = {}): Promise<PeerListener> {
    return await this.world.run(PeerListener.listen(this.world.runtime("b"), ADDRESS, {
      clusterId: "c",
      self: 2,
      incarnation: 20,
      secret: "s",
      meet: () => Promise.resolve(""),
      onSessionStart: (session) => {
        this.sessions.push(session);
        this.events.push(`start ${session.from}#${session.number}`);
      },
      onFrame: (session, head, body) => this.onFrame(session, head, body),
      onSessionEnd: (session) => this.events.push(`end ${session.from}#${session.number}`),
      ...options,
    }));
  }

  link(
    incarnation = 10,
    secret = "s",
    forgot = () => false,
    run = () => Promise.resolve(runOf(incarnation)),
  ): PeerLink {
    const link = new PeerLink(this.world.runtime("a"), {
      clusterId: "c",
      self: 1,
      peer: 2,
      run,
      forgot,
      secret,
      address: ADDRESS,
      onUp: (remote) => this.events.push(`up ${remote}`),
      onDown: () => this.events.push("down"),
      onRefused: () => this.events.push("refused"),
      onForgot: () => this.events.push("forgot"),
    });
    link.start();
    return link;
  }
}

const links = suite("peer links");

links("come up with the incarnation of the other side, and carry frames one way, in order", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  assert.not.ok(link.send([1]));
  await f.world.pass(50);
  assert.equal(f.events, ["start 1#1", "up 20"]);
  for (let i = 0; i < 5; i++) assert.ok(link.send([1, i], [new Uint8Array(i * 1_000)]));
  await f.world.pass(200);
  assert.equal(f.received, [0, 1, 2, 3, 4].map((i) => [1, i, i * 1_000]));
  assert.equal([f.sessions[0]!.from, f.sessions[0]!.incarnation], [1, 10]);
});

links("say at once that the process is gone, and come back when it is", async () => {
  const f = new Fixture();
  const listener = await f.listen();
  const link = f.link();
  await f.world.pass(50);
  f.world.kill("b");
  await listener.close();
  await f.world.pass(40);
  assert.equal(f.events.slice(2, 5).sort(), ["down", "end 1#1", "refused"]);
  assert.not.ok(link.up);
  f.events.length = 0;
  await f.world.pass(2_000);
  assert.ok(f.events.length >= 4 && f.events.length <= 10, `${f.events.length} attempts`);
  await f.listen({ incarnation: 21 });
  await f.world.pass(600);
  assert.is(f.events.at(-1), "up 21");
});

links("give up a connection that does not answer the hello, and one that is taken for dead", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  await f.world.pass(1);
  f.world.freeze("b");
  await f.world.pass(3_000);
  assert.not.ok(link.up);
  f.world.thaw("b");
  await f.world.pass(2_000);
  assert.ok(link.up);
  link.reset("silent");
  assert.is(f.events.at(-1), "down");
  await f.world.pass(200);
  assert.ok(link.up);
});

links("ask for the run only when somebody listens, wait until it can be told, and may tell of very many", async () => {
  const f = new Fixture();
  let asked = 0;
  const runs = Array.from({ length: RUNS_MAX }, () => Number.MAX_SAFE_INTEGER);
  f.link(
    10,
    "s",
    undefined,
    () => ++asked < 3 ? Promise.reject(new Error("full")) : Promise.resolve({ incarnation: 10, runs }),
  );
  await f.world.pass(1_000);
  assert.is(asked, 0);
  await f.listen();
  await f.world.pass(2_000);
  assert.is(asked, 3);
  assert.is(f.events.at(-1), "up 20");
});

links("do not send more than may wait", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  await f.world.pass(50);
  f.world.freeze("b");
  const body = new Uint8Array(16 << 20);
  let sent = 0;
  while (sent < 20 && link.send([1], [body])) sent++;
  assert.is(sent, 4);
  assert.ok(link.bufferedBytes > 64 << 20);
});

links("are ended by close for good", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  await f.world.pass(50);
  link.send([9]);
  link.close();
  await f.world.pass(1_000);
  assert.equal(f.received, [[9, 0]]);
  assert.equal(f.events.slice(2), ["end 1#1"]);
  assert.is(f.world.connectionCount(), 0);
});

links.run();

const listeners = suite("peer listener");

listeners("refuses who does not belong here", async () => {
  const hello = {
    protocolVersion: PEER_PROTOCOL_VERSION,
    clusterId: "c",
    from: 1,
    to: 2,
    ...runOf(1),
    forgot: false,
    secret: "s",
  };
  const wrong = [
    { ...hello, protocolVersion: 99 },
    { ...hello, clusterId: "other" },
    { ...hello, to: 3 },
    { ...hello, from: 2 },
    { ...hello, secret: "guess" },
  ];
  const f = new Fixture();
  await f.listen();
  for (const one of wrong) {
    const connection = await f.world.run(f.world.runtime("x").network.connect(ADDRESS, 1_000));
    let ended = false;
    connection.onClose = () => ended = true;
    connection.write([...encodeFrame(encodePeerHello(one)), ...encodeFrame([1, "early"])]);
    await f.world.pass(50);
    assert.ok(ended, JSON.stringify(one));
  }
  assert.equal([f.events, f.received], [[], []]);
  const link = f.link(1, "guess");
  await f.world.pass(3_000);
  assert.not.ok(link.up);
  assert.match(f.world.log.join("\n"), /a peer refused this node.*NOT_AUTHORIZED/);
});

listeners("lets a run in when it is met for good; what forgot is let in when it knows that it did", async () => {
  const f = new Fixture();
  const met: PeerHello[] = [];
  let answer = "FORGOT";
  await f.listen({
    meet: async (hello) => {
      met.push(hello);
      if (answer === "") throw new Error("the disk is full");
      return hello.forgot ? "" : answer;
    },
  });
  let forgot = false;
  f.link(10, "s", () => forgot);
  await f.world.pass(200);
  assert.ok(f.events.length > 2 && f.events.every((event) => event === "forgot"), f.events.join());
  assert.equal(met[0], { ...met[0], from: 1, ...runOf(10), forgot: false });
  answer = "";
  f.events.length = 0;
  await f.world.pass(3_000);
  assert.equal(f.events, [], "nobody is let in whose run could be forgotten");
  answer = "FORGOT";
  forgot = true;
  await f.world.pass(1_000);
  assert.equal(f.events, ["start 1#1", "up 20"]);
});

listeners("ends who speaks before its hello is answered", async () => {
  const f = new Fixture();
  await f.listen({ meet: () => new Promise(() => {}) });
  const connection = await f.world.run(f.world.runtime("x").network.connect(ADDRESS, 1_000));
  let ended = false;
  connection.onClose = () => ended = true;
  const names = { clusterId: "c", from: 1, to: 2, ...runOf(1), forgot: false, secret: "s" };
  connection.write(encodeFrame(encodePeerHello({ protocolVersion: PEER_PROTOCOL_VERSION, ...names })));
  await f.world.pass(50);
  assert.not.ok(ended);
  connection.write(encodeFrame([1, "early"]));
  await f.world.pass(50);
  assert.ok(ended);
});

listeners("keeps one session per peer: the newer run's", async () => {
  const f = new Fixture();
  let last = 0;
  await f.listen({
    meet: ({ incarnation }) => Promise.resolve(incarnation < last ? "FORGOT" : (last = incarnation, "")),
  });
  f.link(10);
  await f.world.pass(50);
  const newer = f.link(11);
  await f.world.pass(15);
  assert.equal(f.events.filter((event) => /start|end/.test(event)).slice(0, 3), ["start 1#1", "end 1#1", "start 1#2"]);
  await f.world.pass(2_000);
  assert.ok(newer.up);
  assert.is(f.sessions.length, 2);
});

listeners("drops a session whose bytes are not what they should be", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  await f.world.pass(50);
  f.onFrame = () => {
    throw new WireError("INVALID_MESSAGE", "nonsense");
  };
  link.send([1]);
  await f.world.pass(10);
  assert.equal(f.events.slice(2, 4), ["end 1#1", "down"]);
  await f.world.pass(200);
  assert.is(f.events.at(-1), "up 20");
});

listeners("cuts off strangers who say nothing, or too much", async () => {
  const f = new Fixture();
  await f.listen();
  const ends: string[] = [];
  for (const [name, bytes] of [["silent", []], ["loud", [0, 0, 1, 0]], ["odd", [2, 0, 0, 0, 0x81, 5]]] as const) {
    const connection = await f.world.run(f.world.runtime(name).network.connect(ADDRESS, 1_000));
    connection.onClose = () => ends.push(name);
    connection.write([Uint8Array.from(bytes)]);
  }
  await f.world.pass(1_000);
  assert.equal(ends.sort(), ["loud", "odd"]);
  await f.world.pass(10_000);
  assert.equal(ends.sort(), ["loud", "odd", "silent"]);
});

listeners("holds a session back when it is asked to", async () => {
  const f = new Fixture();
  await f.listen();
  const link = f.link();
  await f.world.pass(50);
  f.sessions[0]!.pause();
  link.send([1]);
  link.send([2]);
  await f.world.pass(100);
  assert.equal(f.received, []);
  f.sessions[0]!.resume();
  await f.world.pass(100);
  assert.equal(f.received, [[1, 0], [2, 0]]);
});

listeners.run();

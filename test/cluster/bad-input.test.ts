import net from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Client } from "../../mod.ts";
import { codeOf, TestCluster } from "./test-cluster.ts";

const bad = suite("bad input");

let test: TestCluster;
let client: Client;

bad.before(async () => {
  test = await TestCluster.start();
  client = test.client;
  await client.admin.createTopic("good", { partitions: 3, recordBytesMax: 10_000 });
});

bad.after(() => test[Symbol.asyncDispose]());

/** Another client's publishing goes on, whatever was sent before. */
async function othersWork(): Promise<void> {
  await client.producer().sendAll("good", Array.from({ length: 300 }, (_, i) => ({ key: `${i}`, value: "fine" })));
}

function portsOf(): { client: number; peer: number; admin: number }[] {
  return test.cluster.nodes.map((node, i) => ({
    client: node.clientAddress.port,
    peer: node.peerAddress.port,
    admin: test.cluster.adminAddresses[i]!.port,
  }));
}

/** Sends bytes, and resolves when the other side ends the connection, with what it said. */
function sendRaw(port: number, bytes: Uint8Array, waitMs: number): Promise<{ closed: boolean; said: Uint8Array }> {
  return new Promise((resolve) => {
    const said: Uint8Array[] = [];
    const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(bytes));
    const timer = setTimeout(() => {
      resolve({ closed: false, said: Buffer.concat(said) });
      socket.destroy();
    }, waitMs);
    socket.on("data", (chunk: Uint8Array) => said.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ closed: true, said: Buffer.concat(said) });
    });
  });
}

bad("an unknown topic", async () => {
  const producer = client.producer();
  assert.is(await codeOf(producer.send("nowhere", { value: "x" })), "UNKNOWN_TOPIC");
  assert.is(await codeOf(producer.sendAll("nowhere", [{ value: "x" }])), "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.admin.describeTopic("nowhere")), "UNKNOWN_TOPIC");
  assert.is(await codeOf(client.admin.deleteTopic("nowhere")), "UNKNOWN_TOPIC");
  const reading = (async () => {
    for await (const _ of client.consumer({ topics: ["nowhere"], from: "earliest" }));
  })();
  assert.is(await codeOf(reading), "UNKNOWN_TOPIC");
});

for (const name of ["", ".", "..", "x".repeat(300), "a\u0000b", "a\nb", "ü", "a/b", "a b"]) {
  bad(`a bad name: ${JSON.stringify(name.slice(0, 20))}`, async () => {
    assert.is(await codeOf(client.admin.createTopic(name)), "INVALID_NAME");
  });
}

bad("a topic that exists, more replicas than nodes, no partitions", async () => {
  assert.is(await codeOf(client.admin.createTopic("good")), "ALREADY_EXISTS");
  assert.is(await codeOf(client.admin.createTopic("many", { replicas: 5 })), "NOT_ENOUGH_NODES");
  assert.is(await codeOf(client.admin.createTopic("none", { partitions: 0 })), "INVALID_REQUEST");
  assert.is(await codeOf(client.admin.createTopic("huge", { partitions: 1_000_000 })), "INVALID_REQUEST");
});

bad("a record over the limit, alone or among others, costs only itself", async () => {
  const producer = client.producer();
  assert.is(await codeOf(producer.send("good", { value: new Uint8Array(20_000) })), "TOO_LARGE");
  assert.is(await codeOf(producer.send("good", { value: new Uint8Array(8 * 1024 * 1024) })), "TOO_LARGE");
  assert.is(await codeOf(producer.send("good", { value: new Uint8Array(9_000) })), "");
  const settled = await Promise.allSettled([
    producer.send("good", { value: "before" }),
    producer.send("good", { value: new Uint8Array(20_000) }),
    producer.send("good", { value: "after" }),
  ]);
  assert.equal(settled.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
});

bad("a partition that is not there", async () => {
  assert.is(await codeOf(client.producer().send("good", { value: "x", partition: 3 })), "UNKNOWN_PARTITION");
});

bad("a frame of 2 GB on the client and the peer port ends that connection and no other", async () => {
  const frame = new Uint8Array(64).fill(0x80);
  frame.set([0xff, 0xff, 0xff, 0x7f]);
  for (const { client: clientPort, peer } of portsOf()) {
    const [first, second] = await Promise.all([sendRaw(clientPort, frame, 5_000), sendRaw(peer, frame, 5_000)]);
    assert.ok(first.closed, "client port");
    assert.ok(second.closed, "peer port");
  }
  await othersWork();
});

bad("garbage on each port", async () => {
  const garbage = [
    new Uint8Array(100_000).map((_, i) => (i * 7919) & 0xff),
    new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    new Uint8Array([4, 0, 0, 0, 0x9f, 0x9f, 0x9f, 0x9f]),
    new Uint8Array([5, 0, 0, 0, 0x9b, 0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([3, 0, 0, 0, 0x82, 0x01, 0xc2]),
  ];
  const { client: clientPort, peer, admin } = portsOf()[0]!;
  for (const bytes of garbage) {
    const [onClient, onPeer] = await Promise.all([sendRaw(clientPort, bytes, 5_000), sendRaw(peer, bytes, 5_000)]);
    assert.ok(onClient.closed && onPeer.closed);
  }
  await sendRaw(admin, garbage[0]!, 500);
  const health = await fetch(`http://127.0.0.1:${admin}/v1/health`);
  assert.is(health.status, 200);
  await health.arrayBuffer();
  await othersWork();
});

bad("a half-sent frame that never ends disturbs nobody", async () => {
  const half = new Uint8Array(1_000).fill(0x41);
  half.set([0x00, 0x20, 0, 0]);
  const { client: clientPort, peer } = portsOf()[1]!;
  const sockets = Array.from({ length: 50 }, (_, i) => {
    const socket = net.connect({ port: i % 2 === 0 ? clientPort : peer, host: "127.0.0.1" }, () => socket.write(half));
    socket.on("error", () => {});
    return socket;
  });
  await othersWork();
  for (const socket of sockets) socket.destroy();
});

bad("the HTTP API refuses with problem documents", async () => {
  const url = `http://127.0.0.1:${test.cluster.adminAddresses[0]!.port}/v1/topics`;
  const headers = { "content-type": "application/json" };
  const post = (body: string) => fetch(url, { method: "POST", body, headers });
  for (
    const [response, status, code] of [
      [await post("{"), 400, "INVALID_REQUEST"],
      [await post('{"name": 5}'), 400, "INVALID_REQUEST"],
      [await post('{"name": ".."}'), 400, "INVALID_NAME"],
      [await post('{"name": "x", "partitons": 5}'), 400, "INVALID_REQUEST"],
      [await post('{"name": "good"}'), 409, "ALREADY_EXISTS"],
      [await fetch(`${url}/nowhere`), 404, "UNKNOWN_TOPIC"],
      [await fetch(`${url}/..%2f..%2fetc`), 400, "INVALID_NAME"],
      [await fetch(`${url}x`), 404, "NOT_FOUND"],
    ] as [Response, number, string][]
  ) {
    const problem = await response.json() as { code: string; status: number; detail: string };
    assert.is(response.headers.get("content-type"), "application/problem+json");
    assert.equal([response.status, problem.status, problem.code], [status, status, code]);
  }
});

bad("a body that is declared too large is refused before it is sent", async () => {
  const request = "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\n\r\n{";
  const { said } = await sendRaw(portsOf()[0]!.admin, new TextEncoder().encode(request), 1_000);
  const answer = new TextDecoder().decode(said);
  assert.match(answer, /^HTTP\/1\.1 413/);
  assert.match(answer, "TOO_LARGE");
});

bad.run();

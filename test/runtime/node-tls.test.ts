import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Connection, type Network, NetworkError } from "../../src/runtime/network.ts";
import { TlsIdentity } from "../../src/runtime/tls.ts";
import { createNodeNetwork } from "../../src/runtime/node-network.ts";
import { serveHttp } from "../../src/runtime/node-http.ts";
import { checkTlsMaterial } from "../../src/runtime/node-tls.ts";
import { material, textOf } from "../certificates/read.ts";

const tls = suite("the network under TLS");
const node = createNodeNetwork(material("node"));
const client = createNodeNetwork({ authority: textOf("authority.pem") });
const plain = createNodeNetwork();
const HOST = "127.0.0.1";

/** Why it could not connect; "" if it could. */
async function codeOf(from: Network, to: Network, options = {}): Promise<string> {
  const listener = await to.listen({ host: HOST, port: 0 }, (connection) => connection.onClose = () => {}, options);
  try {
    const connection = await from.connect(listener.address, 2_000);
    // Who asks for a certificate may say only afterwards that there was none.
    const closed = new Promise<string>((resolve) => connection.onClose = () => resolve("CLOSED"));
    const open = new Promise<string>((resolve) => setTimeout(() => resolve(""), 200));
    const found = await Promise.race([closed, open]);
    connection.destroy();
    return found;
  } catch (error) {
    assert.instance(error, NetworkError);
    return (error as NetworkError).code;
  } finally {
    await listener.close();
  }
}

tls("carries bytes in order, in both directions, and asks where their owner wants them", async () => {
  let accept!: (connection: Connection) => void;
  const accepted = new Promise<Connection>((resolve) => accept = resolve);
  const listener = await node.listen({ host: HOST, port: 0 }, accept);
  const near = await client.connect(listener.address, 2_000);
  const far = await accepted;
  const sent = Uint8Array.from({ length: 2_000_000 }, (_, i) => i % 251);
  const received: Uint8Array[] = [];
  let count = 0;
  let inRoom = 0;
  const room = new Uint8Array(50_000);
  near.onRoom = () => room;
  const back = new Promise<void>((resolve) => {
    near.onData = (chunk) => {
      if (chunk.buffer === room.buffer) inRoom += 1;
      received.push(chunk.slice());
      count += chunk.length;
      if (count === sent.length) resolve();
    };
  });
  far.onData = (chunk) => far.write([chunk]);
  const drained = new Promise<void>((resolve) => near.onDrain = resolve);
  near.write([sent.subarray(0, 10), sent.subarray(10, 1_000_000)]);
  near.write([sent.subarray(1_000_000)]);
  await Promise.all([back, drained]);
  assert.ok(Buffer.concat(received).equals(Buffer.from(sent)));
  assert.ok(inRoom > 0);
  const closed = new Promise<void>((resolve) => far.onClose = () => resolve());
  near.close();
  await closed;
  await listener.close();
});

tls("believes only its authority, and only for the host that it asked for", async () => {
  assert.is(await codeOf(client, node), "");
  assert.is(await codeOf(createNodeNetwork({ authority: textOf("stranger.pem") }), node), "UNTRUSTED");
  assert.is(await codeOf(createNodeNetwork({}), node), "UNTRUSTED", "the system does not know it");
  assert.is(await codeOf(client, createNodeNetwork(material("elsewhere"))), "UNTRUSTED");
});

tls("lets in who shows a certificate, where one is asked for", async () => {
  const mutual = { mutual: true };
  assert.is(await codeOf(createNodeNetwork(material("client")), node, mutual), "");
  assert.is(await codeOf(node, node, mutual), "");
  assert.is.not(await codeOf(client, node, mutual), "");
});

tls("has nothing to say to who does not speak it", async () => {
  assert.is.not(await codeOf(client, plain), "");
  const listener = await node.listen({ host: HOST, port: 0 }, () => assert.unreachable("it was let in"));
  const connection = await plain.connect(listener.address, 2_000);
  const closed = new Promise<void>((resolve) => connection.onClose = () => resolve());
  connection.write([new Uint8Array(100).fill(65)]);
  await closed;
  await listener.close();
});

tls("who connects and says nothing holds up no close", async () => {
  const listener = await node.listen({ host: HOST, port: 0 }, (connection) => connection.onClose = () => {});
  const http = await serveHttp({ host: HOST, port: 0 }, () => new Response(""), new TlsIdentity(material("node")));
  for (const server of [listener, http]) {
    const silent = await plain.connect(server.address, 2_000);
    const ended = new Promise<void>((resolve) => silent.onClose = () => resolve());
    const spoken = await client.connect(server.address, 2_000);
    spoken.destroy();
    const before = performance.now();
    await server.close();
    await ended;
    assert.ok(performance.now() - before < 2_000);
  }
});

tls("what it is given is looked at first", () => {
  checkTlsMaterial({});
  checkTlsMaterial(material("node"));
  checkTlsMaterial({ authority: textOf("stranger.pem") });
  const { certificate, key } = material("node");
  const wrong = [
    { certificate },
    { key },
    { certificate, key: textOf("client.key") },
    { certificate: "text", key },
    { certificate, key: "text" },
    { authority: "text" },
  ];
  for (const one of wrong) assert.throws(() => checkTlsMaterial(one));
});

tls.run();

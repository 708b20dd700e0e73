import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Connection, NetworkError } from "../../src/runtime/network.ts";
import { createNodeNetwork } from "../../src/runtime/node-network.ts";

const network = suite("the real network");
const real = createNodeNetwork();
const HOST = "127.0.0.1";

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    assert.instance(error, NetworkError);
    return (error as NetworkError).code;
  }
}

/** A listener and both ends of one connection to it. */
async function pair(): Promise<{ near: Connection; far: Connection; close: () => Promise<void> }> {
  let accept!: (connection: Connection) => void;
  const accepted = new Promise<Connection>((resolve) => accept = resolve);
  const listener = await real.listen({ host: HOST, port: 0 }, accept);
  const near = await real.connect(listener.address, 1_000);
  return { near, far: await accepted, close: () => listener.close() };
}

network("carries bytes in order, in both directions, and says when all has gone", async () => {
  const { near, far, close } = await pair();
  const received: Uint8Array[] = [];
  let receivedBytes = 0;
  const all = new Promise<void>((resolve) => {
    far.onData = (chunk) => {
      received.push(chunk);
      receivedBytes += chunk.length;
      if (receivedBytes === 2_000_000) resolve();
    };
  });
  const drained = new Promise<void>((resolve) => near.onDrain = resolve);
  const chunks = Array.from({ length: 200 }, (_, i) => new Uint8Array(10_000).fill(i));
  near.write(chunks.slice(0, 100));
  near.write(chunks.slice(100));
  await Promise.all([all, drained]);
  assert.is(near.bufferedBytes, 0);
  assert.ok(Buffer.concat(received).equals(Buffer.concat(chunks)));
  const answer = new Promise<Uint8Array>((resolve) => near.onData = resolve);
  far.write([new Uint8Array([1, 2, 3])]);
  assert.equal([...await answer], [1, 2, 3]);
  near.close();
  await close();
});

network("puts what comes where the owner of a connection wants it", async () => {
  const { near, far, close } = await pair();
  const memory = new Uint8Array(3_000_000);
  let filled = 0;
  const sent = Uint8Array.from({ length: 2_000_000 }, (_, i) => i % 251);
  near.onRoom = () => memory.subarray(filled, filled + 50_000);
  const all = new Promise<void>((resolve) => {
    near.onData = (chunk) => {
      // The first bytes may have come before anybody could say where to.
      if (chunk.buffer !== memory.buffer) memory.set(chunk, filled);
      else assert.is(chunk.byteOffset, filled);
      filled += chunk.length;
      if (filled === sent.length) resolve();
    };
  });
  far.write([sent]);
  await all;
  assert.ok(Buffer.from(memory.buffer, 0, filled).equals(sent));
  near.close();
  await close();
});

network("says of each write that its bytes are not needed any more: sent, or never to be", async () => {
  const { near, far, close } = await pair();
  const said: string[] = [];
  const sent = new Promise<void>((resolve) => {
    near.write([new Uint8Array(10)], () => said.push("small"));
    near.write([new Uint8Array(10_000), new Uint8Array(10_000)], () => {
      said.push("large");
      resolve();
    });
  });
  await sent;
  assert.equal(said, ["small", "large"]);
  far.pause();
  const gone = new Promise<void>((resolve) => near.onClose = () => resolve());
  near.write([new Uint8Array(20_000_000)], () => said.push("stuck"));
  near.write([new Uint8Array(10)], () => said.push("behind it"));
  near.destroy();
  await gone;
  near.write([new Uint8Array(10)], () => said.push("late"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(said.slice(2).sort(), ["behind it", "late", "stuck"]);
  far.destroy();
  await close();
});

network("a closed connection ends after what was written; the other end hears of it once", async () => {
  const { near, far, close } = await pair();
  let bytes = 0;
  let closes = 0;
  far.onData = (chunk) => bytes += chunk.length;
  const ended = new Promise<void>((resolve) => {
    far.onClose = () => {
      closes += 1;
      resolve();
    };
  });
  near.write([new Uint8Array(500_000)]);
  near.close();
  await ended;
  assert.is(bytes, 500_000);
  assert.is(closes, 1);
  await close();
});

network("a paused connection delivers nothing until it is resumed", async () => {
  const { near, far, close } = await pair();
  let bytes = 0;
  far.onData = (chunk) => bytes += chunk.length;
  far.pause();
  near.write([new Uint8Array(1_000)]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(bytes, 0);
  const arrived = new Promise<void>((resolve) => {
    far.onData = (chunk) => {
      bytes += chunk.length;
      if (bytes === 1_000) resolve();
    };
  });
  far.resume();
  await arrived;
  near.destroy();
  await close();
});

network("nobody listening, and a port in use, have their codes", async () => {
  const listener = await real.listen({ host: HOST, port: 0 }, () => {});
  assert.is(await codeOf(real.listen(listener.address, () => {})), "ADDRESS_IN_USE");
  await listener.close();
  assert.is(await codeOf(real.connect(listener.address, 1_000)), "REFUSED");
});

network.run();

/** Reads around the page cache give what is in the file, wherever they begin and end. */
import fs from "node:fs";
import os from "node:os";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { AlignedSlots, DirectReads } from "../../src/runtime/direct-reads.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

const direct = suite("reads around the page cache");
const SIZE = 700_123;
const content = Uint8Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8) * 7) & 0xff);
const place = fc.record({ position: fc.nat(SIZE + 5_000), length: fc.nat(600_000) });

/** Takes whole sectors at whole sectors only, as far as the file goes. */
function readSectors(into: Uint8Array, position: number): Promise<number> {
  if (position % 4_096 !== 0 || into.length % 4_096 !== 0) {
    return Promise.reject(Object.assign(new Error("unaligned"), { code: "EINVAL" }));
  }
  const bytes = content.subarray(position, position + into.length);
  into.set(bytes);
  return Promise.resolve(bytes.length);
}

async function check(read: (into: Uint8Array, position: number) => Promise<number | undefined>): Promise<void> {
  await fc.assert(fc.asyncProperty(place, async ({ position, length }) => {
    const into = new Uint8Array(length).fill(1);
    const expected = content.slice(position, position + length);
    assert.is(await read(into, position), expected.length);
    assert.is(Buffer.compare(into.subarray(0, expected.length), expected), 0);
  }));
}

direct("give the file's bytes from anywhere to anywhere, and past its end", async () => {
  const reads = new DirectReads(readSectors, new AlignedSlots());
  await check((into, position) => reads.read(into, position));
});

direct("leave it to others where all memory is taken, or the file system does not take them", async () => {
  const slots = new AlignedSlots();
  const reads = new DirectReads(readSectors, slots);
  const taken = Array.from({ length: 16 }, () => slots.take()!);
  assert.is(await reads.read(new Uint8Array(10), 0), undefined);
  slots.give(taken[0]!);
  assert.is(await reads.read(new Uint8Array(10), 0), 10);
  let calls = 0;
  const refused = new DirectReads(() => {
    calls++;
    return Promise.reject(Object.assign(new Error("no"), { code: "EINVAL" }));
  }, slots);
  assert.is(await refused.read(new Uint8Array(10), 0), undefined);
  assert.is(await refused.read(new Uint8Array(10), 0), undefined);
  assert.is(calls, 1);
  assert.is(await reads.read(new Uint8Array(10), 0), 10, "and the memory was given back");
});

direct("on the real disk: the same, also at once, and of bytes that were written just before", async () => {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
  try {
    const disk = createNodeRuntime().disk;
    const written = await disk.open(`${folder}/file`, "create", "durable");
    await written.truncate(SIZE);
    await written.write([content], 0);
    const file = await disk.open(`${folder}/file`, "read", "once");
    await check((into, position) => file.read(into, position));
    const pieces = Array.from({ length: 40 }, () => new Uint8Array(50_000));
    const counts = await Promise.all(pieces.map((into, at) => file.read(into, at * 15_000)));
    assert.equal(new Set(counts), new Set([50_000]));
    pieces.forEach((into, at) => assert.is(Buffer.compare(into, content.slice(at * 15_000, at * 15_000 + 50_000)), 0));
    await file.close();
    await written.close();
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

direct.run();

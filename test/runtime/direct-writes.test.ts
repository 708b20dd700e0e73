/** Writes around the page cache change what they say and nothing else, whatever sectors the disk has. */
import fs from "node:fs";
import os from "node:os";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { AlignedMemoryPool } from "../../src/runtime/aligned-memory.ts";
import { DirectWrites } from "../../src/runtime/direct-writes.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

const direct = suite("writes around the page cache");
const SIZE = 64 * 1024;

/** A disk that takes whole sectors at whole sectors only; takes short ones now and then. */
class SectorDisk {
  readonly bytes: Uint8Array;
  readonly #sectorBytes: number;
  #calls = 0;

  constructor(bytes: Uint8Array, sectorBytes: number) {
    this.bytes = bytes;
    this.#sectorBytes = sectorBytes;
  }

  writeDirect(chunk: Uint8Array, position: number): Promise<number> {
    const sector = this.#sectorBytes;
    if (position % sector !== 0 || chunk.length % sector !== 0) {
      return Promise.reject(Object.assign(new Error("unaligned"), { code: "EINVAL" }));
    }
    const count = ++this.#calls % 3 === 0 && chunk.length > sector ? sector : chunk.length;
    this.bytes.set(chunk.subarray(0, count), position);
    return Promise.resolve(count);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    into.set(this.bytes.subarray(position, position + into.length));
    return Promise.resolve(into.length);
  }
}

const write = fc.record({
  at: fc.nat(SIZE - 1),
  bytes: fc.integer({ min: 1, max: 9_000 }),
  parts: fc.integer({ min: 1, max: 5 }),
});

direct("change exactly their bytes, on a disk of any sector size, over old content and over zeros", async () => {
  const old = fc.uint8Array({ minLength: SIZE, maxLength: SIZE });
  await fc.assert(
    fc.asyncProperty(
      fc.array(write, { maxLength: 12 }),
      fc.constantFrom(512, 4_096),
      fc.option(old),
      async (writes, sector, content) => {
        const before = content ?? new Uint8Array(SIZE);
        const disk = new SectorDisk(before.slice(), sector);
        const model = before.slice();
        const under = new DirectWrites(disk, new AlignedMemoryPool(), SIZE);
        let value = 0;
        for (const { at, bytes, parts } of writes) {
          const length = Math.min(bytes, SIZE - at);
          value = (value % 255) + 1;
          const whole = new Uint8Array(length).fill(value);
          const cut = Math.ceil(length / parts);
          const chunks = Array.from({ length: parts }, (_, i) => whole.subarray(i * cut, (i + 1) * cut));
          assert.ok(await under.write(chunks, at, length));
          model.set(whole, at);
        }
        assert.ok(Buffer.from(disk.bytes).equals(model));
      },
    ),
    { numRuns: 60 },
  );
});

direct("are declined where the file's end would move to a sector's end, and where the disk takes none", async () => {
  const disk = new SectorDisk(new Uint8Array(SIZE), 512);
  const under = new DirectWrites(disk, new AlignedMemoryPool(), 1_000);
  assert.is(await under.write([new Uint8Array(10)], 600, 10), false);
  under.truncated(SIZE);
  assert.is(await under.write([new Uint8Array(10)], 600, 10), true);
  const none = new DirectWrites(new SectorDisk(new Uint8Array(SIZE), 8_192), new AlignedMemoryPool(), SIZE);
  assert.is(await none.write([new Uint8Array(10)], 0, 10), false);
});

direct("on the real disk: appends, overwrites and reopening give the same bytes as a plain file", async () => {
  const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-direct-`);
  const disk = createNodeRuntime().disk;
  const path = `${folder}/file`;
  const model = new Uint8Array(SIZE);
  let file = await disk.open(path, "create", "durable");
  await file.truncate(SIZE);
  let at = 0;
  for (let i = 1; at < SIZE - 3_000; i++) {
    const bytes = new Uint8Array((i * 397) % 3_000 + 1).fill(i);
    await file.write([bytes.subarray(0, 7), bytes.subarray(7)], at);
    model.set(bytes, at);
    at += bytes.length;
    if (i % 4 === 0) {
      await file.close();
      file = await disk.open(path, "write", "durable");
    }
    if (i % 5 === 0) {
      await file.write([new Uint8Array(33).fill(255)], at - 20);
      model.set(new Uint8Array(33).fill(255), at - 20);
      at += 13;
    }
  }
  // Beyond the end: the file ends with its bytes.
  await file.write([new Uint8Array(100).fill(1)], SIZE);
  await file.close();
  const found = fs.readFileSync(path);
  assert.is(found.length, SIZE + 100);
  assert.ok(found.subarray(0, SIZE).equals(model));
  fs.rmSync(folder, { recursive: true });
});

direct.run();

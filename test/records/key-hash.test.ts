import { suite } from "uvu";
import * as assert from "uvu/assert";
import { keyHash, partitionOfKey } from "../../src/records/key-hash.ts";

const hashing = suite("key hash");

hashing("is MurmurHash3_x86_32 with seed 0", () => {
  // Published test vectors of the algorithm.
  const vectors: [string | Uint8Array, number][] = [
    ["", 0],
    ["test", 0xba6bd213],
    ["Hello, world!", 0xc0363e43],
    ["The quick brown fox jumps over the lazy dog", 0x2e4ff723],
    [Uint8Array.of(0xff, 0xff, 0xff, 0xff), 0x76293b50],
    [Uint8Array.of(0x21, 0x43, 0x65, 0x87), 0xf55b516b],
    [Uint8Array.of(0x21, 0x43, 0x65), 0x7e4a8634],
    [Uint8Array.of(0x21, 0x43), 0xa0f7b07a],
    [Uint8Array.of(0x21), 0x72661cf4],
    [Uint8Array.of(0, 0, 0, 0), 0x2362f9de],
  ];
  for (const [key, hash] of vectors) assert.is(keyHash(key), hash, `${key}`);
});

hashing("is the same for text and its UTF-8, however long", () => {
  for (const key of ["a", "zwölf", "キー", "x".repeat(5_000), "ü".repeat(3_000)]) {
    assert.is(keyHash(key), keyHash(new TextEncoder().encode(key)));
  }
});

hashing("gives every partition its range, and none to others", () => {
  for (const count of [1, 2, 3, 16, 1_000, 10_000]) {
    assert.is(partitionOfKey(0, count), 0);
    assert.is(partitionOfKey(2 ** 32 - 1, count), count - 1);
    for (let partition = 1; partition < count; partition += Math.ceil(count / 50)) {
      const start = Math.ceil((partition * 2 ** 32) / count);
      assert.equal([partitionOfKey(start - 1, count), partitionOfKey(start, count)], [partition - 1, partition]);
    }
  }
});

hashing("spreads similar keys evenly", () => {
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i++) counts[partitionOfKey(keyHash(`user-${i}`), 16)]!++;
  for (const count of counts) assert.ok(count > 850 && count < 1_150, `${counts}`);
});

hashing.run();

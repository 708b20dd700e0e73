/**
 * Where a key belongs. The hash is MurmurHash3_x86_32 of the key's bytes with seed 0: its high bits are as good as its
 * low ones, which matters because partitions own ranges of it (a range can be split later; `hash % n` cannot).
 */
import { Buffer } from "node:buffer";
import { type Bytes, writeUtf8 } from "./batch-writer.ts";

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

let scratch = Buffer.allocUnsafe(1024);

/** 32 bits, unsigned. Text is hashed as its UTF-8. */
export function keyHash(key: Bytes): number {
  if (typeof key !== "string") return murmur3(key, key.length);
  if (key.length * 3 > scratch.length) scratch = Buffer.allocUnsafe(key.length * 3);
  return murmur3(scratch, writeUtf8(scratch, 0, key));
}

/** Partition of `partitionCount` that owns the hash: the ranges are equal up to one value. */
export function partitionOfKey(hash: number, partitionCount: number): number {
  return Math.floor((hash * partitionCount) / 2 ** 32);
}

function murmur3(bytes: Uint8Array, length: number): number {
  let hash = 0;
  const end = length & ~3;
  for (let at = 0; at < end; at += 4) {
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash ^= scramble(block);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = length - 1; at >= end; at--) tail = (tail << 8) | bytes[at]!;
  if (length !== end) hash ^= scramble(tail);
  hash ^= length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const mixed = Math.imul(block, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}

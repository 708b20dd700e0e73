import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FrameMemory } from "../../src/client/frame-memory.ts";

const KIB = 1024;
const test = suite("memory of long answers");

function entered(): FrameMemory {
  const memory = new FrameMemory();
  memory.enter();
  return memory;
}

test("is used again when all batches in it are done with", () => {
  const memory = entered();
  const { buffer } = memory.take(600 * KIB);
  memory.hold(buffer);
  memory.hold(buffer);
  memory.letGo(buffer);
  assert.is.not(memory.take(600 * KIB).buffer, buffer);
  memory.letGo(buffer);
  const again = memory.take(700 * KIB);
  assert.is(again.buffer, buffer);
  assert.is(again.length, 700 * KIB);
  assert.is.not(memory.take(700 * KIB).buffer, buffer, "given out twice");
});

test("is not used again while nobody has said what is held in it", () => {
  const memory = entered();
  const taken = memory.take(600 * KIB);
  assert.is.not(memory.take(600 * KIB).buffer, taken.buffer);
});

test("takes nothing that did not come from it, and nothing twice", () => {
  const memory = entered();
  const other = new ArrayBuffer(512 * KIB);
  memory.hold(other);
  memory.letGo(other);
  assert.is.not(memory.take(512 * KIB).buffer, other);
  const { buffer } = memory.take(512 * KIB);
  memory.hold(buffer);
  memory.letGo(buffer);
  memory.letGo(buffer);
  assert.is(memory.take(512 * KIB).buffer, buffer);
  assert.is.not(memory.take(512 * KIB).buffer, buffer);
});

test("keeps no more than its bound, and nothing when nobody lets go of anything", () => {
  const memory = entered();
  const taken = Array.from({ length: 9 }, () => memory.take(8 * 1024 * KIB).buffer);
  for (const buffer of taken) memory.hold(buffer);
  for (const buffer of taken) memory.letGo(buffer);
  const again = Array.from({ length: 9 }, () => memory.take(8 * 1024 * KIB).buffer);
  assert.is(again.filter((buffer) => taken.includes(buffer)).length, 8);
  memory.hold(again[0]!);
  memory.letGo(again[0]!);
  memory.leave();
  assert.is.not(memory.take(8 * 1024 * KIB).buffer, again[0]);
  assert.is(memory.take(600 * KIB).buffer.byteLength, 600 * KIB, "more than was asked for");
});

test.run();

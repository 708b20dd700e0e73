import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BatchWriter } from "../../../src/records/batch-writer.ts";
import type { Entry } from "../../../src/records/entry.ts";
import { KEY_WINDOW_RECORDS_MAX } from "../../../shards/partition/groups/limits.ts";
import { KeyWindow } from "../../../shards/partition/queue-key-window.ts";

const windows = suite("the window of keys");

function batch(keys: readonly (string | null)[], baseOffset = 0): Entry {
  const writer = new BatchWriter({ bytesMax: 1_000_000 });
  for (const key of keys) writer.append(1, key, "value", null);
  const entry = writer.finish();
  entry.stamp(1, 1, baseOffset);
  return entry;
}

windows("only the first of each key is free, and records without a key all are", () => {
  const window = new KeyWindow(0);
  window.add(batch(["a", "b", "a", null, null, "b"]), () => false);
  assert.equal(window.free(() => false, () => true), [0, 1, 3, 4]);
  assert.equal(window.free((offset) => offset === 0, () => true), [1, 2, 3, 4], "the next of the key");
});

windows("the first of a key holds the others back, whatever it waits for", () => {
  const window = new KeyWindow(0);
  window.add(batch(["a", "a", "b"]), () => false);
  assert.equal(window.free(() => false, (offset) => offset !== 0), [2]);
});

windows("what is over is not taken in, nor what was seen", () => {
  const window = new KeyWindow(1);
  window.add(batch(["a", "a", "a", "a"]), (offset) => offset === 1);
  assert.equal(window.free(() => false, () => true), [2]);
  assert.is(window.scannedTo, 4);
});

windows("it has room for so many, and gets room when they are over", () => {
  const window = new KeyWindow(0);
  for (let at = 0; window.hasRoom; at += 1_000) window.add(batch(new Array(1_000).fill("a"), at), () => false);
  assert.is(window.scannedTo, KEY_WINDOW_RECORDS_MAX);
  window.free((offset) => offset < 10, () => true);
  assert.ok(window.hasRoom);
});

windows.run();

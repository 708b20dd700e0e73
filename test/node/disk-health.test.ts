import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DiskHealth } from "../../src/node/disk-health.ts";

const health = suite("which disks are slow");

const looks = (disks: DiskHealth, count: number, ...ms: number[]) => {
  for (let look = 0; look < count; look++) disks.look(new Map(ms.map((each, at) => [at + 1, each])));
  return ms.map((_, at) => disks.isSlow(at + 1));
};

health("one that takes many times as long as the others, for a while", () => {
  const disks = new DiskHealth();
  assert.equal(looks(disks, 2, 100, 2, 3), [false, false, false]);
  assert.equal(looks(disks, 1, 100, 2, 3), [true, false, false]);
  assert.equal(looks(disks, 9, 3, 2, 3), [true, false, false], "it must be quick for a while, too");
  assert.equal(looks(disks, 1, 3, 2, 3), [false, false, false]);
});

health("none where all are slow, and none where it does not matter", () => {
  assert.equal(looks(new DiskHealth(), 20, 100, 90, 120), [false, false, false]);
  assert.equal(looks(new DiskHealth(), 20, 20, 1, 1), [false, false, false]);
  assert.equal(looks(new DiskHealth(), 20, 500), [false], "a node alone has nobody to give its leaders to");
});

health("two of three, if the third is quick", () => {
  assert.equal(looks(new DiskHealth(), 3, 200, 150, 2), [true, true, false]);
});

health("one that is full, if a majority has room", () => {
  assert.equal(looks(new DiskHealth(), 3, Infinity, 2, 300), [true, false, true]);
  assert.equal(looks(new DiskHealth(), 3, Infinity, Infinity, 2), [false, false, false]);
  assert.equal(looks(new DiskHealth(), 3, Infinity, Infinity, Infinity), [false, false, false]);
  assert.equal(looks(new DiskHealth(), 3, Infinity), [false]);
});

health("a hiccup starts the count anew", () => {
  const disks = new DiskHealth();
  looks(disks, 2, 100, 2, 3);
  looks(disks, 1, 2, 2, 3);
  assert.equal(looks(disks, 2, 100, 2, 3), [false, false, false]);
});

health.run();

import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type DataFolder, openDataFolder } from "../../src/node/data-folder.ts";
import type { Memory } from "../../src/node/memory.ts";
import { readNodeFile, writeNodeFile } from "../../src/node/node-file.ts";
import { type Disk, DiskError } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { type PeerHello, RUNS_MAX } from "../../src/wire/peer-protocol.ts";
import { SmallDisk } from "../cluster/small-disk.ts";

const memory = suite("what a node remembers of itself and of others");

let folder: string;
const runtime: Runtime = createNodeRuntime({ logLevel: "error" });

memory.before.each(() => {
  folder = makeTemporaryFolder("raftline-test-");
});

memory.after.each(() => removeFolder(folder));

async function open(isAlone: boolean, holdsVotes: boolean): Promise<DataFolder> {
  const nodes = isAlone ? [1] : [1, 2, 3];
  const opened = await openDataFolder(runtime, folder, { clusterId: "test", nodeId: 1, nodes, holdsVotes });
  await opened.lock.release();
  return opened;
}

async function restart(isAlone = false): Promise<Memory> {
  return (await open(isAlone, false)).memory;
}

function hello(runs: readonly number[], forgot = false): PeerHello {
  const incarnation = runs.length;
  return { protocolVersion: 2, clusterId: "test", from: 2, to: 1, incarnation, runs, forgot, secret: "" };
}

memory("a node that joins a cluster of one is not alone: what it was before, the other knows", async () => {
  const owner = { clusterId: "test", nodeId: 2, nodes: [1], holdsVotes: false };
  const joining = await openDataFolder(runtime, folder, owner);
  assert.is(joining.memory.past, "unproven");
  await joining.lock.release();
});

memory("every start has a higher incarnation, and remembers the runs before it", async () => {
  const runs = [await (await restart()).run(), await (await restart()).run(), await (await restart()).run()];
  assert.equal(runs.map(({ incarnation }) => incarnation), [1, 2, 3]);
  assert.equal(runs[2]!.runs.slice(0, 2), runs[1]!.runs);
  assert.is(new Set(runs[2]!.runs).size, 3);
});

memory(
  "a run is one for all whom it speaks to, and is in the folder before the first of them hears of it",
  async () => {
    const own = await restart();
    const [one, other] = await Promise.all([own.run(), own.run()]);
    assert.equal(one, other);
    assert.is((await restart()).lastRun, one.runs.at(-1));
  },
);

memory("starts that reach nobody are not remembered, so they push nothing out of memory", async () => {
  const { runs } = await (await restart()).run();
  for (let start = 0; start < 60; start++) await restart();
  const later = await (await restart()).run();
  assert.equal([later.incarnation, later.runs.slice(0, -1)], [62, runs]);
});

memory("of the runs that spoke to somebody the oldest are forgotten in the end", async () => {
  const own = await restart();
  const content = await readNodeFile(runtime.disk, folder);
  const runs = Array.from({ length: RUNS_MAX }, (_, at) => at);
  await own.run();
  await writeNodeFile(runtime.disk, folder, { ...content!, runs });
  assert.equal((await (await restart()).run()).runs.slice(0, -1), runs.slice(1));
});

memory("a new folder is unproven, also after a restart, unless the node is alone", async () => {
  assert.is((await restart()).past, "unproven");
  const again = await restart();
  assert.ok(again.doubts(1));
  await again.setPast("whole");
  assert.is((await restart()).past, "whole");
  await removeFolder(folder);
  assert.is((await restart(true)).past, "whole");
});

memory("what it learns to have lost it doubts at once, before the disk says so", async () => {
  const own = await restart(true);
  assert.not.ok(own.doubts(1));
  const written = own.setPast("lost");
  assert.equal([own.past, own.doubts(1)], ["whole", true]);
  await written;
  const found = own.setPast("whole");
  assert.ok(own.doubts(1), "and until the disk has it that nothing is lacking");
  await found;
  assert.not.ok(own.doubts(1));
});

memory("who comes again, or in a later run, is let in", async () => {
  const own = await restart();
  for (const runs of [[7], [7], [7, 8], [7, 8, 9, 10, 11]]) assert.is(await own.meet(hello(runs)), "");
});

memory(
  "an empty folder and an old copy are told so, over restarts, until they know; then they are who they say",
  async () => {
    const own = await restart();
    assert.is(await own.meet(hello([1, 2, 3])), "");
    const later = await restart();
    for (const runs of [[4], [4, 5, 6, 7], [1, 2], [1, 2, 8], [1, 2, 8, 9, 10]]) {
      assert.is(await later.meet(hello(runs)), "FORGOT", runs.join());
    }
    assert.is(await later.meet(hello([4], true)), "");
    const last = await restart();
    assert.is(await last.meet(hello([4, 5])), "");
    assert.is(await last.meet(hello([1, 2, 3, 8])), "FORGOT");
  },
);

memory("many changes at once are all there at the next start", async () => {
  const own = await restart();
  await own.setPast("whole");
  const groups = Array.from({ length: 50 }, (_, at) => 1_000 + at);
  await Promise.all(groups.map((group) => own.doubt(group)));
  await Promise.all(groups.slice(10).map((group) => own.trust(group)));
  const again = await restart();
  assert.equal(groups.filter((group) => again.doubts(group)), groups.slice(0, 10));
});

memory("that votes were promised is known at every later start, whatever is configured and written since", async () => {
  assert.is((await open(true, false)).mayHavePromised, false);
  assert.is((await open(true, true)).mayHavePromised, false, "not in a run before it");
  const without = await open(true, false);
  assert.is(without.mayHavePromised, true);
  await without.memory.doubt(1_000);
  assert.is((await open(true, false)).mayHavePromised, true);
});

memory(
  "the nodes of the first start are those that the cluster was made with: a configuration with others is refused",
  async () => {
    const openWith = async (nodes: number[]) => {
      const opened = await openDataFolder(runtime, folder, { clusterId: "test", nodeId: 1, nodes, holdsVotes: false });
      await opened.lock.release();
      return opened.memory;
    };
    const refusal = (nodes: number[]) => openWith(nodes).then(() => "", ({ code, message }) => `${code} ${message}`);
    await openWith([3, 1, 2]);
    assert.match(
      await refusal([1, 2, 3, 4]),
      /^INVALID_CONFIG nodes: .* made with nodes 1, 2, 3, and .* has 1, 2, 3, 4\./,
    );
    assert.match(await refusal([1]), "INVALID_CONFIG");
    // A folder from before they were kept takes those that it sees.
    const { nodes: _, ...older } = (await readNodeFile(runtime.disk, folder))!;
    await writeNodeFile(runtime.disk, folder, older);
    await openWith([1, 2]);
    assert.match(await refusal([1, 2, 3]), "INVALID_CONFIG");
  },
);

memory("of the two copies of it either may be torn or damaged, not both", async () => {
  const { lastRun, incarnation } = await (async () => {
    const own = await restart();
    await own.run();
    return own;
  })();
  const paths = ["node.json", "node.json.copy"].map((name) => `${folder}/${name}`);
  const whole = fs.readFileSync(paths[0]!);
  const torn = new Uint8Array(whole.length).fill(0x20);
  torn.set(whole.subarray(0, 100));
  const rotten = Uint8Array.from(whole);
  rotten[whole.indexOf(`${lastRun}`)]! ^= 1;
  for (const path of paths) {
    for (const damaged of [torn, rotten, new Uint8Array(0)]) {
      fs.writeFileSync(path, damaged);
      assert.equal((await readNodeFile(runtime.disk, folder))!.runs, [lastRun]);
      fs.writeFileSync(path, whole);
    }
  }
  for (const path of paths) fs.writeFileSync(path, rotten);
  assert.is(await restart().then(() => "", ({ code }) => code), "CORRUPT");
  // As a first start leaves it that ends in between, and one by a program that had no copies.
  fs.writeFileSync(paths[1]!, torn);
  fs.rmSync(paths[0]!);
  assert.is(await readNodeFile(runtime.disk, folder), undefined);
  fs.rmSync(paths[1]!);
  const { checksum: _, ...older } = JSON.parse(whole.toString());
  fs.writeFileSync(paths[0]!, JSON.stringify({ ...older, formatVersion: 2 }));
  assert.is((await restart()).incarnation, incarnation + 1);
});

memory("of its two copies the one that is whole is written over last", async () => {
  await restart();
  const before = (await readNodeFile(runtime.disk, folder))!;
  for (const name of ["node.json", "node.json.copy"]) {
    const path = `${folder}/${name}`;
    const whole = fs.readFileSync(path);
    fs.writeFileSync(path, whole.subarray(0, 50));
    const first: string[] = [];
    const disk: Disk = {
      ...runtime.disk,
      open: (opened, mode) => {
        if (mode !== "write") return runtime.disk.open(opened, mode);
        first.push(opened);
        return Promise.reject(new DiskError("IO_ERROR", opened, "the power is cut"));
      },
    };
    await writeNodeFile(disk, folder, before).catch(() => {});
    assert.equal(first, [path]);
    fs.writeFileSync(path, whole);
  }
});

memory("a disk that is full takes what it must remember, and a node starts on it", async () => {
  await restart();
  const small = new SmallDisk(runtime, 2 ** 20);
  const openOnIt = async () => {
    const opened = await openDataFolder(small.runtime, folder, owner);
    await opened.lock.release();
    return opened.memory;
  };
  const owner = { clusterId: "test", nodeId: 1, nodes: [1, 2, 3], holdsVotes: false };
  await openOnIt();
  small.capacityBytes = small.usedBytes;
  const own = await openOnIt();
  await own.run();
  assert.is(await own.meet(hello([7])), "");
  await own.setPast("whole");
  assert.is((await restart()).past, "whole");
});

memory.run();

import fs from "node:fs";
import os from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DiskError } from "../../src/runtime/disk.ts";
import { createNodeDisk } from "../../src/runtime/node-disk.ts";

const disk = suite("the real disk");
const real = createNodeDisk();
const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);

disk.after(() => fs.rmSync(folder, { recursive: true }));

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    assert.instance(error, DiskError);
    assert.ok((error as DiskError).path.length > 0 && (error as DiskError).cause !== undefined);
    return (error as DiskError).code;
  }
}

disk("tells a write that finds no space by its code, of whatever size and access", async () => {
  for (const access of ["buffered", "durable"] as const) {
    // Whatever is written to it, the system answers as a full disk does.
    const file = await real.open("/dev/full", "write", access);
    for (const bytes of [100, 8_192, 100_000]) {
      assert.is(await codeOf(file.write([new Uint8Array(bytes)], 0)), "DISK_FULL", `${bytes} bytes, ${access}`);
    }
    await file.close();
  }
});

disk("writes chunks one after the other, more of them than one writev takes, and reads them back", async () => {
  const file = await real.open(`${folder}/chunks`, "create");
  const chunks = Array.from({ length: 3_000 }, (_, i) => new Uint8Array(i % 50).fill(i & 0xff));
  await file.write(chunks, 100);
  await file.sync();
  const expected = Buffer.concat([new Uint8Array(100), ...chunks]);
  assert.is(await file.sizeBytes(), expected.length);
  const into = new Uint8Array(expected.length + 10);
  assert.is(await file.read(into, 0), expected.length);
  assert.ok(expected.equals(into.subarray(0, expected.length)));
  assert.is(await file.read(new Uint8Array(10), expected.length + 5), 0);
  await file.truncate(50);
  assert.is(await file.sizeBytes(), 50);
  await file.close();
});

disk("modes do what they say, and failures have codes", async () => {
  const path = `${folder}/modes`;
  assert.is(await codeOf(real.open(path, "write")), "NOT_FOUND");
  assert.is(await codeOf(real.open(path, "read")), "NOT_FOUND");
  await (await real.open(path, "create")).close();
  assert.is(await codeOf(real.open(path, "create")), "EXISTS");
  const readOnly = await real.open(path, "read");
  assert.not.equal(await codeOf(readOnly.write([new Uint8Array(1)], 0)), "");
  await readOnly.close();
  assert.is(await codeOf(real.list(`${folder}/nowhere`)), "NOT_FOUND");
});

disk("folders: made with their parents, listed sorted, renamed, removed", async () => {
  await real.makeFolder(`${folder}/a/b/c`);
  await real.makeFolder(`${folder}/a/b/c`);
  for (const name of ["z", "m", "a"]) await (await real.open(`${folder}/a/b/${name}`, "create")).close();
  await real.rename(`${folder}/a/b/z`, `${folder}/a/b/b`);
  await real.syncFolder(`${folder}/a/b`);
  const entries = await real.list(`${folder}/a/b`);
  assert.equal(entries.map(({ name, folder: isFolder }) => [name, isFolder]), [
    ["a", false],
    ["b", false],
    ["c", true],
    ["m", false],
  ]);
  await real.remove(`${folder}/a`);
  await real.remove(`${folder}/a`);
  assert.is(await codeOf(real.list(`${folder}/a`)), "NOT_FOUND");
  assert.ok(await real.freeBytes(folder) > 0);
});

disk("a folder is locked once; its lock is released, or taken over from one who is gone", async () => {
  const path = `${folder}/locked`;
  const lock = await real.lock(path);
  assert.is(await lockedCode(path), "LOCKED");
  await lock.release();
  await (await real.lock(path)).release();
  // A living process that is not us holds it.
  fs.writeFileSync(`${path}/LOCK`, `${process.ppid} \n`);
  assert.is(await lockedCode(path), "LOCKED");
  // The process id was given to another process since: the time it started tells.
  if (fs.existsSync("/proc/self/stat")) {
    fs.writeFileSync(`${path}/LOCK`, `${process.ppid} 1\n`);
    await (await real.lock(path)).release();
  }
});

async function lockedCode(path: string): Promise<string> {
  try {
    await real.lock(path);
    return "";
  } catch (error) {
    return (error as DiskError).code;
  }
}

disk.run();

import fs from "node:fs";
import os from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DiskError } from "../../src/runtime/disk.ts";
import { lockFolder } from "../../src/runtime/folder-lock.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";

const disk = suite("the real disk");
const real = createNodeRuntime().disk;
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
  await (await real.open(`${folder}/file`, "create")).close();
  assert.is(await codeOf(real.makeFolder(`${folder}/file`)), "EXISTS");
  // The parent is there, and still the system says that something is not.
  if (fs.existsSync("/proc/self")) assert.is(await codeOf(real.makeFolder("/proc/nothing/can/be/made")), "NOT_FOUND");
  assert.ok(await real.freeBytes(folder) > 0);
});

disk("a folder is locked once, however long its path, and its lock is released", async () => {
  for (const path of [`${folder}/locked`, `${folder}/${"long".repeat(40)}`]) {
    const lock = await real.lock(path);
    assert.is(await lockedCode(path), "LOCKED");
    fs.symlinkSync(path, `${folder}/other-name`);
    assert.is(await lockedCode(`${folder}/other-name`), "LOCKED");
    fs.rmSync(`${folder}/other-name`);
    await lock.release();
    await (await real.lock(path)).release();
    // However often: the last two links, and no socket.
    assert.equal(fs.readdirSync(`${path}/lock`).sort(), ["1", "2"]);
  }
});

disk("of many who find the lock of one who is gone, one takes it", async () => {
  for (let round = 0; round < 20; round++) {
    const path = `${folder}/stale-${round}`;
    leaveLock(path, 7);
    const taken = await Promise.allSettled(Array.from({ length: 10 }, () => real.lock(path)));
    const locks = taken.filter((each) => each.status === "fulfilled");
    assert.is(locks.length, 1);
    await locks[0]!.value.release();
  }
});

disk("who is slow to take a lock finds that it was taken meanwhile, by however many", async () => {
  const path = `${folder}/slow`;
  leaveLock(path, 1);
  const slow = lockFolder(path);
  // It has found 1, whose holder is gone; now there is 4, and 2 could be made again.
  leaveLock(path, 4);
  fs.rmSync(`${path}/lock/1`);
  const taken = await Promise.allSettled([slow, real.lock(path)]);
  const locks = taken.filter((each) => each.status === "fulfilled");
  assert.is(locks.length, 1);
  assert.ok(fs.existsSync(`${path}/lock/5`) && !fs.existsSync(`${path}/lock/2`));
  await locks[0]!.value.release();
});

/** What a killed process leaves: a link to a socket at which nobody listens (for who connects, any file is one). */
function leaveLock(path: string, number: number): void {
  fs.mkdirSync(`${path}/lock`, { recursive: true });
  const socket = `1-000000000000-${number}`;
  fs.writeFileSync(`${path}/lock/${socket}`, "");
  fs.symlinkSync(socket, `${path}/lock/${number}`);
}

async function lockedCode(path: string): Promise<string> {
  try {
    await real.lock(path);
    return "";
  } catch (error) {
    return (error as DiskError).code;
  }
}

disk.run();

import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Disk, DiskFile } from "../../../src/runtime/disk.ts";
import { DiskError } from "../../../src/runtime/disk.ts";
import { SURVIVALS } from "../../../tools/simulator/disk-file.ts";
import { SimulatedDisk } from "../../../tools/simulator/disk.ts";
import { PagedBytes } from "../../../tools/simulator/disk-pages.ts";
import { SeededRandom } from "../../../tools/simulator/random.ts";
import { Scheduler } from "../../../tools/simulator/scheduler.ts";

const test = suite("the simulated disk");

function machine(seed = 1) {
  const random = new SeededRandom(seed);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(random.fork(), {
    after: (delayMs, callback) => scheduler.after(delayMs, callback),
    defer: (callback) => void scheduler.after(0, callback),
    endTurn: (callback) => void scheduler.after(0, callback),
  });
  const run = async <T>(work: Promise<T>): Promise<T | undefined> => {
    const outcome: { value?: T; error?: unknown } = {};
    work.then((value) => outcome.value = value, (error) => outcome.error = error);
    await scheduler.run(scheduler.nowMs + 10_000);
    if (outcome.error !== undefined) throw outcome.error;
    return outcome.value;
  };
  return { disk, scheduler, run };
}

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte);

async function newFile(view: Disk, path = "f/a", writes?: "durable"): Promise<DiskFile> {
  await view.makeFolder("f");
  const file = await view.open(path, "create", writes);
  await view.syncFolder("f");
  return file;
}

test("reads give what writes and truncations left, as on plain bytes", () => {
  const step = fc.oneof(
    fc.record({ position: fc.nat(20_000), bytes: fc.uint8Array({ maxLength: 9_000 }) }),
    fc.record({ size: fc.nat(25_000) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
    const pages = new PagedBytes();
    let plain = new Uint8Array(0);
    const resize = (size: number) => {
      const next = new Uint8Array(size);
      next.set(plain.subarray(0, size));
      plain = next;
    };
    for (const one of steps) {
      const copy = pages.copy();
      const before = plain.slice();
      if ("size" in one) {
        pages.truncate(one.size);
        resize(one.size);
      } else {
        pages.write(one.bytes, one.position);
        resize(Math.max(plain.length, one.position + one.bytes.length));
        plain.set(one.bytes, one.position);
      }
      for (const [found, wanted] of [[pages, plain], [copy, before]] as const) {
        const bytes = new Uint8Array(30_000);
        assert.is(found.read(bytes, 0), wanted.length);
        assert.is(Buffer.compare(bytes.subarray(0, wanted.length), wanted), 0);
      }
    }
  }));
});

test("a loss of power keeps what was synced, in every way of losing the rest", async () => {
  for (const survival of SURVIVALS) {
    for (let seed = 1; seed <= 10; seed++) {
      const { disk, run } = machine(seed);
      await run((async () => {
        const file = await newFile(disk.attach());
        await file.write([filled(10_000, 1)], 0);
        await file.sync();
        await file.write([filled(10_000, 2)], 5_000);
      })());
      disk.crash({ survival, pieceBytes: 512 });
      const bytes = disk.bytes("f/a");
      assert.ok(bytes.subarray(0, 5_000).every((byte) => byte === 1), survival);
      assert.ok(bytes.subarray(5_000, 10_000).every((byte) => byte === 1 || byte === 2), survival);
      if (survival === "none") assert.ok(bytes.length === 10_000 && bytes.every((byte) => byte === 1));
      if (survival === "all") assert.ok(bytes.length === 15_000 && bytes.subarray(5_000).every((byte) => byte === 2));
    }
  }
});

test("a write that is under way can be torn at whole pieces", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 40; seed++) {
    const { disk, run, scheduler } = machine(seed);
    disk.onOperation = ({ name, phase }) => {
      if (name !== "write" || phase !== "during") return;
      disk.crash({ survival: "torn", pieceBytes: 4096 });
      scheduler.stop();
    };
    await run((async () => {
      const file = await newFile(disk.attach(), "f/a", "durable");
      await file.write([filled(3 * 4096, 1)], 4096);
      assert.unreachable("the process is gone");
    })());
    const bytes = disk.bytes("f/a");
    const pages = [1, 2, 3].map((page) => bytes[page * 4096] ?? 0);
    for (const [at, byte] of pages.entries()) {
      const page = bytes.subarray((at + 1) * 4096, (at + 2) * 4096);
      assert.ok(page.every((other) => other === byte), "a piece is whole or not there");
    }
    seen.add(pages.join(""));
  }
  assert.ok(seen.size >= 6, `only ${[...seen]}`);
});

test("names are lost without a sync of their folder, and so are removals", async () => {
  const { disk, run } = machine();
  await run((async () => {
    const view = disk.attach();
    await (await newFile(view)).close();
    const other = await view.open("f/b", "create");
    await other.write([filled(10, 1)], 0);
    await other.sync();
    await view.remove("f/a");
    assert.equal((await view.list("f")).map(({ name }) => name), ["b"]);
  })());
  disk.crash({ survival: "none" });
  assert.equal(disk.paths(), ["f/a"]);
});

test("a killed process loses nothing that it wrote, and hears nothing any more", async () => {
  const { disk, run, scheduler } = machine();
  const first = disk.attach();
  await run((async () => {
    const file = await newFile(first);
    await file.write([filled(10, 1)], 0);
    file.sync().then(() => assert.unreachable(), () => assert.unreachable());
    disk.kill();
    await scheduler.run(scheduler.nowMs + 100);
  })());
  assert.is(disk.bytes("f/a").length, 10);
  first.list("f").then(() => assert.unreachable());
  assert.equal((await run(disk.attach().list("f")))!.map(({ name }) => name), ["a"]);
});

test("after a failed sync the bytes can be read, but no later sync writes them", async () => {
  const { disk, run } = machine();
  await run((async () => {
    const file = await newFile(disk.attach());
    await file.write([filled(10, 1)], 0);
    disk.faults.syncErrors = 1;
    let code = "";
    await file.sync().catch((error) => code = (error as DiskError).code);
    assert.is(code, "IO_ERROR");
    await file.sync();
    assert.is(disk.bytes("f/a")[0], 1);
  })());
  disk.crash({ survival: "all" });
  assert.is(disk.bytes("f/a").length, 0);
});

test("a full disk refuses what is new, keeps what was there, and counts what is freed", async () => {
  const { disk, run } = machine();
  await run((async () => {
    const view = disk.attach();
    const file = await newFile(view);
    disk.faults.quotaBytes = 8192;
    await file.truncate(1_000_000);
    await file.write([filled(8192, 1)], 0);
    assert.is(await view.freeBytes("f"), 0);
    await file.write([filled(8192, 2)], 0);
    let code = "";
    await file.write([filled(1, 3)], 8192).catch((error) => code = (error as DiskError).code);
    assert.is(code, "DISK_FULL");
    await file.truncate(4096);
    await file.sync();
    assert.is(await view.freeBytes("f"), 4096);
  })());
});

test("one seed gives one history", async () => {
  const history = async (seed: number) => {
    const { disk, run, scheduler } = machine(seed);
    const lines: string[] = [];
    disk.onOperation = ({ number, name, phase }) => lines.push(`${scheduler.nowMs} ${number} ${name} ${phase}`);
    await run((async () => {
      const file = await newFile(disk.attach());
      await Promise.all([1, 2, 3].map((byte) => file.write([filled(5000, byte)], byte * 3000)));
    })());
    disk.crash();
    return `${lines.join("\n")}\n${Buffer.from(disk.bytes("f/a")).toString("base64")}`;
  };
  assert.is(await history(5), await history(5));
  assert.is.not(await history(5), await history(6));
});

test.run();

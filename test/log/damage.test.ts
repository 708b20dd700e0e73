import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BLOCK_HEADER_BYTES, blockBytes } from "../../src/log/block.ts";
import { FILE_HEADER_BYTES } from "../../src/log/file-header.ts";
import { decodeTrailer, TRAILER_BYTES } from "../../src/log/footer.ts";
import { identityIn } from "../../src/log/trailer.ts";
import { type Log, LogError } from "../../src/log/types.ts";
import { readU32 } from "../../src/records/entry.ts";
import { SeededRandom } from "../../tools/simulator/random.ts";
import { checkpointOf, contentOf, durable, entriesOf, entryOf, writeOf } from "./entries.ts";
import { FOLDER, Machine } from "./machine.ts";
import { describeLog } from "./model.ts";
import { Workload } from "./workload.ts";

const test = suite("a log with damaged bytes");
const FIRST = `${FOLDER}/wal-0000000001.log`;

type Files = ReadonlyMap<string, Uint8Array>;

/** The files of a log after some work, and what it held. */
async function written(work: (log: Log) => Promise<void>): Promise<{ files: Files; text: string }> {
  const machine = new Machine(1);
  const text = await machine.run((async () => {
    const log = await machine.open();
    await work(log);
    const text = await describeLog(log);
    await log.close();
    return text;
  })());
  return { files: new Map(machine.disk.paths().map((path) => [path, machine.disk.bytes(path)])), text: text! };
}

async function machineWith(files: Files): Promise<Machine> {
  const machine = new Machine(2);
  await machine.run(machine.disk.attach().makeFolder(FOLDER));
  for (const [path, bytes] of files) machine.disk.put(path, bytes);
  return machine;
}

function positionOfSecondBlock(machine: Machine): number {
  const bytes = machine.disk.bytes(FIRST);
  const [tableBytes, dataBytes] = [24, 32].map((at) => readU32(bytes, FILE_HEADER_BYTES + at));
  return FILE_HEADER_BYTES + blockBytes({ tableBytes: tableBytes!, dataBytes: dataBytes! });
}

/** A copy in which a bit of each of these bytes is another. */
function flipped(bytes: Uint8Array, ...positions: readonly number[]): Uint8Array {
  const changed = bytes.slice();
  for (const position of positions) changed[position]! ^= 2;
  return changed;
}

async function failureOf(work: Promise<unknown>): Promise<LogError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof LogError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

test("a flipped bit anywhere is found, and nothing wrong is served", async () => {
  const random = new SeededRandom(5);
  const { files, text } = await written((log) => new Workload(new SeededRandom(4)).run(log, 80));
  const sizes = [...files].filter(([path]) => path.endsWith(".log"));
  let found = 0;
  for (let flip = 0; flip < 400; flip++) {
    const [path, bytes] = random.pick(sizes);
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    const position = random.integer(used);
    const machine = await machineWith(files);
    machine.disk.flipBit(path, position, random.integer(8));
    const where = `${path}, byte ${position}`;
    const outcome = await machine.run((async () => {
      const log = await machine.open();
      if (log.report.damage.length > 0) return "reported";
      assert.is(log.report.cut, undefined, where);
      const now = await describeLog(log);
      return now === text ? "harmless" : now;
    })()).catch((error) => {
      if (error instanceof LogError && error.file !== undefined) return "refused";
      throw error;
    });
    if (outcome === "reported" || outcome === "refused") found++;
    else assert.is(outcome, "harmless", where);
  }
  assert.ok(found > 80, `only ${found} of 400 were found`);
});

test("damage in the middle of the current file is told with group and range, and the others work on", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) }), writeOf(2, { entries: entriesOf(2, 1, 5, 1) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 6, 9, 1) }));
  });
  const machine = await machineWith(files);
  const needle = entryOf(2, 3, 1).bytes;
  const at = Buffer.from(files.get(FIRST)!).indexOf(needle);
  machine.disk.flipBit(FIRST, at + 80, 1);
  for (const opening of ["first", "second"]) {
    await machine.run((async () => {
      const log = await machine.open();
      const [damage] = log.report.damage;
      assert.equal(damage, {
        file: "wal-0000000001.log",
        position: at,
        bytes: needle.length,
        group: 2,
        lost: { first: 3, last: 3 },
      }, opening);
      assert.equal(log.group(2)!.damage, [{ first: 3, last: 3 }]);
      assert.equal(log.group(1)!.damage, []);
      assert.is(await contentOf(log, 1), "1:1 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1");
      assert.is((await log.read(2, 1, 5, 10_000)).length, 2);
      const error = await failureOf(log.read(2, 3, 5, 10_000));
      assert.is(error.code, "CORRUPT");
      assert.is(error.file, "wal-0000000001.log");
      assert.is((await log.read(2, 4, 5, 10_000)).length, 2);
      await log.close();
    })());
  }
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(2, { truncateFrom: 3, entries: entriesOf(2, 3, 6, 2) }));
    assert.equal(log.group(2)!.damage, [], "written again: nothing is missing any more");
    assert.is(await contentOf(log, 2), "1:1 2:1 3:2 4:2 5:2 6:2");
    await log.close();
  })());
});

test("what comes after an entry with a damaged header is still found, and nothing that a payload pretends", async () => {
  const { Entry, EntryKind } = await import("../../src/records/entry.ts");
  // The payload of entry 3 looks like entries 4 and 5 of the same group.
  const pretended = entriesOf(1, 4, 5, 6).map(({ bytes }) => [...bytes]).flat();
  const forging = Entry.create({ kind: EntryKind.batch, payload: Uint8Array.from(pretended), recordCount: 1 });
  forging.stamp(1, 3, 2);
  const entries = [...entriesOf(1, 1, 2, 1), forging, ...entriesOf(1, 4, 6, 1)];
  const machine = new Machine(1);
  await machine.run((async () => {
    const log = await machine.open();
    await durable(log, writeOf(1, { entries }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 7, 7, 1) }));
    await log.close();
  })());
  machine.disk.flipBit(FIRST, Buffer.from(machine.disk.bytes(FIRST)).indexOf(forging.bytes) + 5, 1);
  await machine.run((async () => {
    const log = await machine.open();
    assert.equal(log.group(1)!.damage, [{ first: 3, last: 3 }]);
    assert.equal((await log.read(1, 1, 7, 1e6)).map(({ index }) => index), [1, 2]);
    assert.is((await failureOf(log.read(1, 3, 7, 1e6))).code, "CORRUPT");
    assert.equal((await log.read(1, 4, 7, 1e6)).map(({ index, term }) => [index, term]), [[4, 1], [5, 1], [6, 1], [
      7,
      1,
    ]]);
  })());
});

test("a block whose table is damaged makes every group suspect, until it is repaired, over restarts", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) }));
    await durable(log, writeOf(2, { hardState: { term: 7, vote: 3, commit: 0 } }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 6, 9, 1) }));
  });
  const machine = await machineWith(files);
  machine.disk.flipBit(FIRST, FILE_HEADER_BYTES + BLOCK_HEADER_BYTES + 5, 1);
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(log.report.damage.length, 1);
    assert.is(log.report.damage[0]!.group, undefined);
    assert.is(log.group(1)!.suspect, true);
    assert.is(log.group(2)!.suspect, true);
    log.repaired(2);
    await durable(log, writeOf(3, { entries: entriesOf(3, 1, 1, 1) }));
    assert.is(log.group(2)!.suspect, false);
    await log.close();
  })());
  await machine.run((async () => {
    const log = await machine.open();
    const suspects = [...log.groups()].filter(({ suspect }) => suspect).map(({ group }) => group);
    assert.equal(suspects, [1], "repaired groups, and those that began later, are not");
    await log.close();
  })());
});

test("what is destroyed before the note of a repair is not taken for repaired: end of the log, term and vote", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) }));
    await durable(log, writeOf(1, { hardState: { term: 7, vote: 3, commit: 4 }, entries: entriesOf(1, 6, 9, 1) }));
    log.repaired(1);
    await durable(log, writeOf(2, { entries: entriesOf(2, 1, 1, 1) }));
  });
  const machine = await machineWith(files);
  // The table of the second block: nobody can tell any more whose it was.
  machine.disk.flipBit(FIRST, positionOfSecondBlock(machine) + BLOCK_HEADER_BYTES + 5, 1);
  await machine.run((async () => {
    const log = await machine.open();
    const group = log.group(1)!;
    assert.equal(group.damage, [{ first: 6, last: 9 }]);
    assert.equal(group.hardState, { term: 7, vote: 3, commit: 4 });
    await log.close();
  })());
});

test("what may have been cut off by a destroyed write is not served before the entries that follow it", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { hardState: { term: 1, vote: 1, commit: 2 }, entries: entriesOf(1, 1, 5, 1) }));
    await durable(log, writeOf(1, { truncateFrom: 5, entries: entriesOf(1, 5, 5, 2) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 6, 9, 2) }));
  });
  const machine = await machineWith(files);
  machine.disk.flipBit(FIRST, positionOfSecondBlock(machine) + BLOCK_HEADER_BYTES + 5, 1);
  await machine.run((async () => {
    const log = await machine.open();
    assert.equal(log.group(1)!.damage, [{ first: 3, last: 5 }], "3 and 4 are right, and nobody can tell; 5 is not");
    await log.close();
  })());
});

test("a group stays suspect when the file with the damage is freed", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { hardState: { term: 1, vote: 1, commit: 0 } }));
    await durable(log, writeOf(2, { entries: entriesOf(2, 1, 5, 1) }));
  });
  const machine = await machineWith(files);
  machine.disk.flipBit(FIRST, FILE_HEADER_BYTES + BLOCK_HEADER_BYTES + 5, 1);
  await machine.run((async () => {
    const log = await machine.open();
    for (let index = 6; index <= 40; index++) {
      await durable(log, writeOf(2, { entries: entriesOf(2, index, index, 1, 3000) }));
    }
    log.trim(2, 35, 34);
    await new Promise<void>((resolve) => machine.scheduler.after(100, resolve));
    assert.not.ok(machine.disk.paths().includes(FIRST));
    await log.close();
  })());
  await machine.run((async () => {
    const log = await machine.open();
    assert.equal(log.report.damage, []);
    assert.is(log.group(2)!.suspect, true);
    await log.close();
  })());
});

test("damage in the last block is told from a torn write", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 3, 1) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 4, 4, 1, 3000) }));
  });
  const at = Buffer.from(files.get(FIRST)!).indexOf(entryOf(1, 4, 1, 3000).bytes);
  const rotten = await machineWith(files);
  rotten.disk.flipBit(FIRST, at + 1500, 0);
  await rotten.run((async () => {
    const log = await rotten.open();
    assert.equal(log.group(1)!.damage, [{ first: 4, last: 4 }]);
    assert.is(log.report.cut, undefined);
    await log.close();
  })());
  const torn = await machineWith(files);
  torn.disk.zero(FIRST, Math.ceil((at + 1000) / 512) * 512, 512);
  await torn.run((async () => {
    const log = await torn.open();
    assert.equal(log.report.damage, []);
    assert.is(log.report.cut!.file, "wal-0000000001.log");
    assert.is(await contentOf(log, 1), "1:1 2:1 3:1");
    await durable(log, writeOf(1, { entries: entriesOf(1, 4, 6, 2) }));
    await log.close();
  })());
  const again = await torn.run((async () => contentOf(await torn.open(), 1))());
  assert.is(again, "1:1 2:1 3:1 4:2 5:2 6:2");
});

test("a last write that has sectors of zeros by nature is not taken for torn when it is damaged; a torn one is cut", async () => {
  const zeros = entryOf(1, 6, 1, 3000);
  assert.ok(Buffer.from(zeros.bytes).includes(Buffer.alloc(1_024)), "it has sectors of zeros, wherever it lies");
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 5, 1) }));
    await durable(log, writeOf(1, { entries: [zeros, entryOf(1, 7, 1, 3000)] }));
  });
  const at = Buffer.from(files.get(FIRST)!).indexOf(zeros.bytes);
  for (const position of [4, 120, 2_990]) {
    const machine = await machineWith(files);
    machine.disk.flipBit(FIRST, at + position, 2);
    await machine.run((async () => {
      const log = await machine.open();
      assert.is(log.report.cut, undefined);
      assert.equal(log.group(1)!.damage, [{ first: 6, last: 6 }], `byte ${position}`);
      await log.close();
    })());
  }
  // Killed before the block behind it was written: the next start writes one before it counts.
  const alone = await machineWith(files);
  const end = Buffer.from(files.get(FIRST)!).indexOf(entryOf(1, 7, 1, 3000).bytes) + entryOf(1, 7, 1, 3000).byteLength;
  alone.disk.zero(FIRST, end, alone.disk.bytes(FIRST).length - end);
  for (const [sequence, scanned] of [[1, 2], [2, 3], [3, 3]] as const) {
    await alone.run((async () => {
      const log = await alone.open();
      assert.is(log.report.scannedBlocks, scanned, `start ${sequence}`);
      assert.is(log.group(1)!.lastIndex, 7);
      await log.close();
    })());
  }
  // The same write, of which a sector never came, and nothing after it.
  const torn = await machineWith(files);
  const sector = Math.ceil((at + zeros.byteLength) / 512) * 512;
  torn.disk.zero(FIRST, sector, torn.disk.bytes(FIRST).length - sector);
  await torn.run((async () => {
    const log = await torn.open();
    assert.equal(log.report.damage, []);
    assert.is(log.group(1)!.lastIndex, 5);
    await log.close();
  })());
});

test("a sector that reads as zeros before the last block is damage, and nothing is cut", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 1, 1, 3000) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 2, 2, 1) }));
  });
  for (const position of [FILE_HEADER_BYTES, FILE_HEADER_BYTES + 1024]) {
    const machine = await machineWith(files);
    machine.disk.zero(FIRST, position, 512);
    await machine.run((async () => {
      const log = await machine.open();
      assert.is(log.report.cut, undefined);
      assert.ok(log.report.damage.length > 0);
      assert.is(log.group(1)!.lastIndex, 2);
      assert.is((await log.read(1, 2, 2, 1))[0]!.index, 2);
    })());
  }
});

test("an older block behind the last one is not taken for a newer one", async () => {
  const { files } = await written(async (log) => {
    for (let index = 1; index <= 3; index++) await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1) }));
    await durable(log, writeOf(1, { truncateFrom: 2, entries: entriesOf(1, 2, 2, 2) }));
  });
  const bytes = files.get(FIRST)!.slice();
  const used = Math.ceil((bytes.findLastIndex((byte) => byte !== 0) + 1) / 8) * 8;
  const second = Buffer.from(bytes).indexOf(bytes.subarray(FILE_HEADER_BYTES + 4, FILE_HEADER_BYTES + 16), 4200) - 4;
  bytes.set(bytes.slice(second, second + 512), used);
  const machine = await machineWith(new Map([...files, [FIRST, bytes]]));
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(log.report.damage.length, 1);
    assert.is(await contentOf(log, 1), "1:1 2:2");
  })());
});

test("a destroyed last block is not forgotten once others follow it: nor by a crash, nor without index and trailer", async () => {
  const { files } = await written(async (log) => {
    await durable(log, writeOf(1, { entries: entriesOf(1, 1, 3, 1) }));
    await durable(log, writeOf(1, { entries: entriesOf(1, 4, 5, 1) }));
  });
  const machine = await machineWith(files);
  const second = positionOfSecondBlock(machine);
  machine.disk.put(FIRST, flipped(files.get(FIRST)!, second + 12));
  await machine.run((async () => {
    const log = await machine.open();
    assert.is(log.group(1)!.suspect, true);
    await durable(log, writeOf(2, { entries: entriesOf(2, 1, 5, 1) }));
    await new Promise<void>((resolve) => machine.scheduler.after(100, resolve));
    await log.close();
  })());
  const sealed = machine.disk.bytes(FIRST).slice();
  const trailer = sealed.length - TRAILER_BYTES;
  const { summaryPosition } = decodeTrailer(sealed.subarray(trailer), identityIn(sealed.subarray(trailer)))!;
  const damaged: [name: string, bytes: Uint8Array][] = [
    ["nothing more", sealed],
    ["the summary", flipped(sealed, summaryPosition)],
    ["the trailer", flipped(sealed, trailer)],
    ["summary and trailer", flipped(sealed, summaryPosition, trailer)],
    ["killed before it was sealed", flipped(files.get(FIRST)!, second + 12)],
  ];
  for (const [name, bytes] of damaged) {
    machine.disk.put(FIRST, bytes);
    for (let opened = 1; opened <= 2; opened++) {
      await machine.run((async () => {
        const log = await machine.open();
        assert.is(log.group(1)!.suspect, true, `${name}, opened ${opened} times`);
        assert.ok(log.report.damage.length > 0, name);
        assert.is(await contentOf(log, 2), "1:1 2:1 3:1 4:1 5:1", name);
        await log.close();
      })());
    }
  }
});

test("the damaged index of a sealed file is made again from its blocks", async () => {
  const { files, text } = await written((log) => new Workload(new SeededRandom(9)).run(log, 80));
  const sealed = [...files.keys()].filter((path) => path.endsWith(".log")).slice(0, -1);
  let rebuilt = 0;
  for (const path of sealed) {
    for (const fromEnd of [10, 64 + 20]) {
      const machine = await machineWith(files);
      machine.disk.flipBit(path, files.get(path)!.length - fromEnd, 3);
      await machine.run((async () => {
        const log = await machine.open();
        if (log.report.damage.length > 0) return;
        assert.is(await describeLog(log), text, path);
        rebuilt++;
        await log.close();
      })());
      await machine.run((async () => {
        const log = await machine.open();
        if (log.report.damage.length === 0) assert.is(log.report.rebuiltIndexes.length, 0, "sealed again");
        await log.close();
      })());
    }
  }
  assert.ok(rebuilt >= 2, `${rebuilt} were rebuilt`);
});

test("what the disk cannot read is damage, and what lies around it is served", async () => {
  const { files } = await written(async (log) => {
    for (let index = 1; index <= 34; index++) {
      await durable(log, writeOf(1, { entries: entriesOf(1, index, index, 1, 3000) }));
    }
  });
  for (const position of [12_288, 20_480]) {
    const machine = await machineWith(files);
    // The first file is sealed, so its blocks are not read when the log is opened; the last one is scanned.
    const last = [...files.keys()].findLast((path) => files.get(path)!.subarray(20_000).some((byte) => byte !== 0))!;
    for (const path of [FIRST, last]) machine.disk.makeUnreadable(path, position);
    await machine.run((async () => {
      const log = await machine.open();
      assert.ok(log.report.damage.every(({ file }) => last.endsWith(file)));
      assert.ok(log.report.damage.length > 0);
      const outcomes: string[] = [];
      for (let index = 1; index <= 34; index++) {
        outcomes.push(await log.read(1, index, 34, 1).then(() => "read", (error) => (error as LogError).code));
      }
      // At the log's end even the index of what is lost may be: then the group is suspect.
      const lost = outcomes.filter((outcome) => outcome !== "read");
      assert.ok(lost.length > 0 && lost.length <= 6, outcomes.join(" "));
      assert.ok(log.group(1)!.suspect || lost.every((code) => code === "CORRUPT"), outcomes.join(" "));
      assert.is((await log.read(1, 1, 34, 1e6))[0]!.index, 1);
    })());
  }
});

test("what is dropped begins anew in doubt, empty or behind what was kept, also after a restart", async () => {
  for (const kept of [undefined, checkpointOf(3, 2)]) {
    const machine = new Machine(1);
    await machine.run((async () => {
      const log = await machine.open();
      await durable(log, writeOf(1, { hardState: { term: 2, vote: 3, commit: 4 }, entries: entriesOf(1, 1, 5, 2) }));
      await log.drop(1, 7, kept);
      const first = kept ? 4 : 1;
      const found = log.group(1)!;
      assert.equal([found.firstIndex, found.lastIndex, found.suspect], [first, first - 1, true]);
      await durable(log, writeOf(1, { entries: entriesOf(1, first, 6, 7) }));
      await log.close();
    })());
    await machine.run((async () => {
      const log = await machine.open();
      const found = log.group(1)!;
      assert.equal(found.hardState, { term: 7, vote: 0, commit: kept?.index ?? 0 });
      assert.is(found.suspect, true);
      assert.is(found.previousTerm, kept ? 2 : 0);
      assert.is(found.checkpoint?.index, kept?.index);
      assert.is(await contentOf(log, 1), kept ? "4:7 5:7 6:7" : "1:7 2:7 3:7 4:7 5:7 6:7");
      await log.close();
    })());
  }
});

test("a checkpoint survives with its state, byte for byte", async () => {
  const state = "x".repeat(5000);
  const { files } = await written((log) =>
    durable(log, writeOf(1, { checkpoint: checkpointOf(3, 1, state), entries: entriesOf(1, 1, 3, 1) }))
  );
  const machine = await machineWith(files);
  const found = await machine.run((async () => (await machine.open()).group(1)!.checkpoint)());
  assert.equal({ ...found!, state: "" }, { ...checkpointOf(3, 1), state: "" });
  assert.is(new TextDecoder().decode(found!.state), state);
});

test.run();

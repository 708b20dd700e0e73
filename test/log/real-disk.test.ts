import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openLog } from "../../src/log/log.ts";
import { DiskError } from "../../src/runtime/disk.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { checkpointOf, contentOf, durable, entriesOf, writeOf } from "./entries.ts";

const test = suite("the log on a real disk");
const runtime = createNodeRuntime();
const LIMITS = { fileBytes: 1024 * 1024, reserveBytes: 64 * 1024 };
const NOBODY = 65_534;
let folder = "";

test.before.each(() => {
  folder = mkdtempSync(`${tmpdir()}/raftline-log-`);
});
test.after.each(() => rmSync(folder, { recursive: true }));

test("what was durable is there after reopening", async () => {
  let log = await openLog(runtime, folder, { limits: LIMITS });
  await durable(
    log,
    writeOf(1, { hardState: { term: 1, vote: 2, commit: 0 }, entries: entriesOf(1, 1, 10, 1) }),
    writeOf(2, { entries: entriesOf(2, 1, 3, 1, 100_000) }),
  );
  await durable(log, writeOf(1, { truncateFrom: 5, entries: entriesOf(1, 5, 7, 2), checkpoint: checkpointOf(3, 1) }));
  const before = [await contentOf(log, 1), await contentOf(log, 2)];
  assert.equal(before, ["1:1 2:1 3:1 4:1 5:2 6:2 7:2", "1:1 2:1 3:1"]);
  await log.close();
  log = await openLog(runtime, folder, { limits: LIMITS });
  assert.equal([await contentOf(log, 1), await contentOf(log, 2)], before);
  assert.equal(log.group(1)!.hardState, { term: 1, vote: 2, commit: 0 });
  assert.equal(log.group(1)!.terms, [[1, 1], [5, 2]]);
  assert.is(new TextDecoder().decode(log.group(1)!.checkpoint!.state), "state at 3");
  assert.equal(log.report.damage, []);
  await log.close();
});

test("many files are rolled, sealed, and read again", async () => {
  let log = await openLog(runtime, folder, { limits: LIMITS });
  for (let round = 0; round < 60; round++) {
    const first = round * 10 + 1;
    await durable(
      log,
      writeOf(1, { entries: entriesOf(1, first, first + 9, 1, 10_000) }),
      writeOf(2, { entries: entriesOf(2, first, first + 9, 1, 10) }),
    );
  }
  const before = [await contentOf(log, 1), await contentOf(log, 2)];
  await log.close();
  log = await openLog(runtime, folder, { limits: LIMITS });
  assert.ok(log.report.files >= 6, `${log.report.files} files`);
  assert.ok(log.report.scannedBytes < 3 * LIMITS.fileBytes, `${log.report.scannedBytes} bytes scanned`);
  assert.equal([await contentOf(log, 1), await contentOf(log, 2)], before);
  assert.is(await log.seekOffset(2, 333), 334);
  assert.is(await log.seekTime(1, 1_000_500), 500);
  await log.close();
});

/** Permissions do not bind root: what `work` may do then is what nobody may. */
async function withoutPrivileges<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(NOBODY);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
}

test("a file or folder that may not be read, or written, is told by name", async () => {
  const log = await openLog(runtime, folder, { limits: LIMITS });
  await durable(log, writeOf(1, { entries: entriesOf(1, 1, 10, 1) }));
  await log.close();
  const file = `${folder}/wal-0000000001.log`;
  const refusal = () =>
    withoutPrivileges(async () => {
      const error = await openLog(runtime, folder, { limits: LIMITS }).then(() => undefined, (error: unknown) => error);
      assert.instance(error, DiskError);
      const { code, path } = error as DiskError;
      return [code, path];
    });
  const modes: readonly (readonly [folder: number, file: number, named: string])[] = [
    [0o755, 0o000, file],
    [0o755, 0o444, file],
    [0o000, 0o644, folder],
  ];
  for (const [folderMode, fileMode, named] of modes) {
    chmodSync(folder, 0o700);
    chmodSync(file, fileMode);
    chmodSync(folder, folderMode);
    assert.equal(await refusal(), ["PERMISSION", named]);
  }
  chmodSync(folder, 0o700);
  chmodSync(file, 0o600);
  const again = await openLog(runtime, folder, { limits: LIMITS });
  assert.is((await contentOf(again, 1)).split(" ").length, 10, "and nothing was lost");
  await again.close();
});

test.run();

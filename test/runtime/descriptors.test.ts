import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connectionsMax, Descriptors } from "../../src/runtime/descriptors.ts";
import { DiskError } from "../../src/runtime/disk.ts";

const descriptors = suite("file descriptors");

function failure(code: string): DiskError {
  return new DiskError("IO_ERROR", "/a", "cannot open /a", { cause: Object.assign(new Error(code), { code }) });
}

descriptors("what finds none waits for one, and says so once; another failure is not waited for", async () => {
  const lines: string[] = [];
  const taken = new Descriptors({ write: (level) => lines.push(level) });
  const failures = [failure("EMFILE"), failure("ENFILE"), failure("EMFILE")];
  const open = () => failures.length > 0 ? Promise.reject(failures.pop()) : Promise.resolve("opened");
  assert.is(await taken.take(open), "opened");
  assert.equal(lines, ["warn"]);
  failures.push(failure("EIO"));
  assert.is(await taken.take(open).catch((error: DiskError) => error.message), "cannot open /a");
});

descriptors("a port gives as many connections as are wanted, if the process may have them", () => {
  assert.is(connectionsMax(1), 16);
  assert.is(connectionsMax(20), 20);
  assert.ok(Number.isFinite(connectionsMax(12_000)));
});

descriptors.run();

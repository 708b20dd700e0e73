import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../../../tools/cli/errors.ts";
import { parseFrom } from "../../../tools/cli/parse-from.ts";
import { wholeNumber } from "../../../tools/cli/whole-number.ts";

const values = suite("places and numbers on the command line");

values("a place is earliest, latest, an offset or a time", () => {
  assert.is(parseFrom("--from", "earliest"), "earliest");
  assert.is(parseFrom("--from", "017"), 17);
  assert.equal(parseFrom("--from", "2026-01-31T12:00:00Z"), { timeMs: Date.UTC(2026, 0, 31, 12) });
  for (const wrong of ["0x10", "1e3", "-1", "5.5", "offset 5", "99999999999999999", "2026-13-31", "Earliest", " 5"]) {
    assert.throws(() => parseFrom("--from", wrong), (error: Error) => {
      return error instanceof UsageError && error.message.startsWith("--from");
    }, wrong);
  }
});

values("a whole number is digits, and exact", () => {
  assert.is(wholeNumber("--max", "0"), 0);
  assert.is(wholeNumber("--max", "9007199254740991"), Number.MAX_SAFE_INTEGER);
  for (const wrong of ["", "abc", "5.5", "-1", "0x10", "1e3", "9007199254740992", " 1", "1_000"]) {
    assert.throws(() => wholeNumber("--max", wrong), (error: Error) => {
      return error instanceof UsageError && error.message.startsWith("--max");
    }, wrong);
  }
});

values.run();

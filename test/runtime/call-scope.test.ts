import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { endFor, isInCall, runCall, runOutside } from "../../src/runtime/call-scope.ts";

const calls = suite("calls of an owner");

calls("code knows whose call it runs in, after waiting, too, and not once the call has ended", async () => {
  const owner = {};
  let later: Promise<boolean> | undefined;
  const seen = await runCall(owner, async () => {
    const before = isInCall(owner);
    await delay(1);
    later = delay(10).then(() => isInCall(owner));
    return [before, isInCall(owner), isInCall({}), runOutside(() => isInCall(owner))];
  });
  assert.equal(seen, [true, true, false, false]);
  assert.is(isInCall(owner), false);
  await runCall({}, async () => assert.is(await later, false));
});

calls("an end that waits for a call is not waited for in it", async () => {
  const owner = {};
  let end: Promise<void> | undefined;
  const call = runCall(owner, async () => {
    await delay(1);
    end = Promise.resolve().then(() => call);
    await endFor(owner, end);
  });
  await call;
  assert.is(endFor(owner, end!), end);
});

calls.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { within } from "../../src/runtime/sleep.ts";

const waiting = suite("waiting within a time");

/** A runtime whose one timer fires when it is told to. */
function timers() {
  const set = new Set<() => void>();
  const after = (_delayMs: number, callback: () => void) => {
    set.add(callback);
    return { cancel: () => void set.delete(callback) };
  };
  return { set, runtime: { timers: { after } } as unknown as Runtime };
}

// A queue's close() left one behind: the process ended two seconds later.
waiting("leaves no timer behind when the work is done, or fails", async () => {
  const { set, runtime } = timers();
  await within(runtime, 2_000, Promise.resolve());
  assert.is(set.size, 0);
  const failure = await within(runtime, 2_000, Promise.reject(new Error("no"))).catch((error: Error) => error.message);
  assert.is(failure, "no");
  assert.is(set.size, 0);
});

waiting("is over when the time is", async () => {
  const { set, runtime } = timers();
  const done = within(runtime, 2_000, new Promise(() => {}));
  assert.is(set.size, 1);
  for (const fire of set) fire();
  await done;
});

waiting.run();

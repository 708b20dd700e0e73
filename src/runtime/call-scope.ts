/**
 * Which of its users' functions code runs in, also after it has awaited something: who is called back and asks for the end
 * of what called it cannot be waited for by that.
 */
import { AsyncLocalStorage } from "node:async_hooks";

interface Call {
  readonly owner: object;
  ended: boolean;
}

const calls = new AsyncLocalStorage<Call | undefined>();
let running = 0;

/** Runs `work` as a call of `owner`, to the end of what it awaits. */
export async function runCall<T>(owner: object, work: () => Promise<T> | T): Promise<T> {
  const call: Call = { owner, ended: false };
  running += 1;
  try {
    return await calls.run(call, work);
  } finally {
    call.ended = true;
    running -= 1;
    // Before Node 24 every promise of the process costs more while this is on.
    if (running === 0) calls.disable();
  }
}

/** Whether this code runs in a call of `owner` that has not ended. */
export function isInCall(owner: object): boolean {
  const call = calls.getStore();
  return call?.owner === owner && !call.ended;
}

/** For whoever asks for the end of `owner`: that, but within a call of `owner`, which `end` waits for, nothing. */
export function endFor(owner: object, end: Promise<void>): Promise<void> {
  if (!isInCall(owner)) return end;
  end.catch(() => {});
  return Promise.resolve();
}

/** Runs `work` as if nobody had called: it waits for ends in full. */
export function runOutside<T>(work: () => T): T {
  return calls.getStore() === undefined ? work() : calls.run(undefined, work);
}

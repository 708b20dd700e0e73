/**
 * What would make a run differ from the next: the real clock, timers and randomness. While simulated code runs they
 * throw; between, they work as ever.
 */

let depth = 0;

export function enterSimulation(): void {
  depth = 1;
}

export function leaveSimulation(): void {
  depth = 0;
}

/** Simulated code asked the real world for something that differs from run to run. */
export class RealWorldError extends Error {
  readonly code = "REAL_WORLD";

  constructor(name: string) {
    super(`${name} inside the simulation: use the runtime's clock, timers and random numbers`);
    this.name = "RealWorldError";
  }
}

/** It notes when a task began, for show: what it sees there changes nothing. */
const HARMLESS_CALLER = "p-queue";
const HARMLESS_MS = 1_767_225_600_000;

const realNow = Date.now;

/** By one frame of the stack, not put into words: it is asked for at every task of a queue. */
function isHarmless(): boolean {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 1;
  Error.prepareStackTrace = (_, [caller]) => caller?.getFileName();
  const at: { stack?: string } = {};
  Error.captureStackTrace(at, guardedNow);
  const file = at.stack;
  Error.stackTraceLimit = stackTraceLimit;
  Error.prepareStackTrace = prepareStackTrace;
  return file?.includes(HARMLESS_CALLER) === true;
}

function guardedNow(): number {
  if (depth === 0) return realNow();
  if (isHarmless()) return HARMLESS_MS;
  throw new RealWorldError("Date.now");
}

// deno-lint-ignore ban-types -- whatever the host has there
function guard<T extends Function>(name: string, original: T): T {
  return new Proxy(original, {
    apply(target, self, args) {
      if (depth > 0) throw new RealWorldError(name);
      return Reflect.apply(target, self, args);
    },
    construct(target, args, newTarget) {
      if (depth > 0 && args.length === 0) throw new RealWorldError(`new ${name}()`);
      return Reflect.construct(target, args, newTarget);
    },
  });
}

/** Behind the globals, from now on: see above. Once in a process. */
export function guardRealWorld(): void {
  if (guarded) return;
  guarded = true;
  globalThis.Date.now = guardedNow;
  globalThis.Date = guard("Date", globalThis.Date);
  Math.random = guard("Math.random", Math.random);
  globalThis.setTimeout = guard("setTimeout", globalThis.setTimeout);
  globalThis.setInterval = guard("setInterval", globalThis.setInterval);
  performance.now = guard("performance.now", performance.now.bind(performance));
  crypto.getRandomValues = guard("crypto.getRandomValues", crypto.getRandomValues.bind(crypto));
  crypto.randomUUID = guard("crypto.randomUUID", crypto.randomUUID.bind(crypto));
}

let guarded = false;

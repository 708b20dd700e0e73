import type { Runtime } from "./runtime.ts";

/** Resolves after `delayMs`. */
export function sleep(runtime: Runtime, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.timers.after(delayMs, resolve);
  });
}

import type { Runtime, Timer } from "./runtime.ts";

/** Resolves after `delayMs`. */
export function sleep(runtime: Runtime, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.timers.after(delayMs, resolve);
  });
}

/** Resolves when `work` has, or after `delayMs`. No timer is left behind: it would keep a process from ending. */
export async function within(runtime: Runtime, delayMs: number, work: Promise<unknown>): Promise<void> {
  let timer: Timer | undefined;
  const over = new Promise<void>((resolve) => timer = runtime.timers.after(delayMs, resolve));
  try {
    await Promise.race([work, over]);
  } finally {
    timer?.cancel();
  }
}

/** Work at an even rate. */
import { setTimeout as delay } from "node:timers/promises";
import { Samples } from "./statistics.ts";

/** Calls `tick` at an even rate, catching up after a late timer. */
export function pace(rate: number, tick: () => void): NodeJS.Timeout {
  const startMs = performance.now();
  let ticks = 0;
  return setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * rate) / 1000);
    while (ticks < due) {
      ticks += 1;
      tick();
    }
  }, 1);
}

/** One thing sent: `done` is to be called when it is acknowledged. */
export type Send = (done: () => void) => void;

const SETTLE_MS = 500;

/** Sends `rate` a second for `seconds`: how long each took from send to acknowledgement, in ms. */
export async function acknowledgements(send: Send, rate: number, seconds: number): Promise<Samples> {
  const samples = new Samples();
  const pacer = pace(rate, () => {
    const sentMs = performance.now();
    send(() => samples.add(performance.now() - sentMs));
  });
  await delay(seconds * 1000);
  clearInterval(pacer);
  await delay(SETTLE_MS);
  return samples;
}

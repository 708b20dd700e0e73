/** Work that nobody waits for. */
import type { Runtime } from "../runtime/runtime.ts";

/** Ends the process if `work` fails: what the log does in the background it must be able to do. */
export function inBackground(runtime: Runtime, failure: string, work: Promise<void>): void {
  work.catch((error) => {
    try {
      runtime.fatal(failure, error);
    } catch {
      // A simulated process ends by an exception. It has nobody to go to from here, and the process is gone.
    }
  });
}

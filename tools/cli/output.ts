import { once } from "node:events";
import process from "node:process";

/** One line to standard output; false: nobody reads it any more, as after `| head -1`. */
export async function writeLine(line: string): Promise<boolean> {
  const { stdout } = process;
  // Rejects when the stream fails instead, which the return value tells.
  if (!stdout.write(`${line}\n`) && !stdout.errored) await once(stdout, "drain").catch(() => {});
  return !stdout.errored;
}

/** What was printed last went to nobody: that is no failure. Without it Node ends the process with a stack. */
export function bearClosedOutput(): void {
  process.stdout.on("error", (error) => {
    if (!("code" in error && error.code === "EPIPE")) throw error;
  });
}

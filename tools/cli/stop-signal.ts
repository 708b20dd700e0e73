import process from "node:process";

/** Resolves at the first Ctrl-C or SIGTERM. A second one ends the process at once. */
export function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: string) => {
      if (asked) process.exit(130);
      asked = true;
      resolve(signal);
    };
    process.on("SIGINT", () => onSignal("SIGINT"));
    process.on("SIGTERM", () => onSignal("SIGTERM"));
  });
}

/**
 * Resolves when the parent asks to stop, or is gone: its end of standard input closes. A terminal's Ctrl-C reaches
 * children as well as parents; what it means for them is the parent's to say.
 */
export function parentStops(): Promise<void> {
  return new Promise((resolve) => {
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => resolve());
    process.stdin.on("end", resolve);
    process.stdin.on("close", resolve);
    process.stdin.resume();
  });
}

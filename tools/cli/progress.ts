import process from "node:process";

const REDRAW_MS = 200;

export interface Progress {
  update(count: number): void;
  end(): void;
}

/** A line on standard error that counts, where that is a terminal. */
export function progressOnTerminal(what: string, quiet: boolean): Progress {
  if (quiet || !process.stderr.isTTY) return { update: () => {}, end: () => {} };
  let lastMs = 0;
  return {
    update(count) {
      const nowMs = performance.now();
      if (nowMs - lastMs < REDRAW_MS) return;
      lastMs = nowMs;
      process.stderr.write(`\r${count} ${what} …`);
    },
    end() {
      process.stderr.write("\r\x1b[K");
    },
  };
}

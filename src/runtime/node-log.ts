/** Log lines on standard error: `TIME LEVEL message key=value …`, one a line. */
import process from "node:process";
import type { LogLevel, LogSink } from "./runtime.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogSink(level: LogLevel): LogSink {
  return {
    write(lineLevel, message, fields) {
      if (RANK[lineLevel] < RANK[level]) return;
      const rest = Object.entries(fields ?? {})
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join("");
      process.stderr.write(`${new Date().toISOString()} ${lineLevel} ${message}${rest}\n`);
    },
  };
}

/** Log lines on standard error: `TIME LEVEL message key=value …`, or as JSON objects, one a line. */
import process from "node:process";
import type { LogLevel, LogSink } from "./runtime.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Printable ASCII, without what would end a value or look like the next one. */
const PLAIN = /^[!#-<>-[\]-~]+$/;

/** What moves a cursor, ends a line or turns text around: nothing of it reaches a terminal. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

export type LogFormat = "text" | "json";

export function createLogSink(level: LogLevel, format: LogFormat = "text"): LogSink {
  return {
    write(lineLevel, message, fields) {
      if (RANK[lineLevel] < RANK[level]) return;
      const time = new Date().toISOString();
      const line = format === "json"
        ? logJson(time, lineLevel, message, fields)
        : `${time} ${lineLevel} ${logText(message, fields)}`;
      process.stderr.write(`${line}\n`);
    },
  };
}

/** `{"time":…,"level":…,"message":…,"fields":{…}}`; values that JSON does not know are as it makes them. */
export function logJson(
  time: string,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const text = JSON.stringify({ time, level, message, ...(Object.keys(fields).length > 0 && { fields }) });
  return text.replace(CONTROL, escape);
}

/** A message and its fields in one line, whatever they have in them. Values that are not plain are quoted as in JSON. */
export function logText(message: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      ` ${name}=${typeof value === "string" && PLAIN.test(value) ? value : JSON.stringify(value)}`
    )
    .join("");
  return `${message}${rest}`.replace(CONTROL, escape);
}

/** Each of its UTF-16 units, as JSON has it. */
function escape(character: string): string {
  return character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

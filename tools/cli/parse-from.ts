import { UsageError } from "./errors.ts";

/** As ISO 8601 writes it: Date.parse guesses at what is anything else. */
const TIME = /^\d{4}-\d{2}-\d{2}/;

/** A place in a partition, as people write it: earliest, latest, an offset, or a time. */
export function parseFrom(flag: string, from: string): "earliest" | "latest" | number | { readonly timeMs: number } {
  if (from === "earliest" || from === "latest") return from;
  if (/^\d{1,16}$/.test(from) && Number.isSafeInteger(Number(from))) return Number(from);
  const timeMs = TIME.test(from) ? Date.parse(from) : NaN;
  if (Number.isNaN(timeMs)) throw new UsageError(`${flag} ${from}: not earliest, latest, an offset or a time`);
  return { timeMs };
}

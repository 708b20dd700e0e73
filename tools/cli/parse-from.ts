import { UsageError } from "./errors.ts";

/** A place in a partition, as people write it: earliest, latest, an offset, or a time. */
export function parseFrom(
  flag: string,
  from: string | number,
): "earliest" | "latest" | number | { readonly timeMs: number } {
  if (from === "earliest" || from === "latest") return from;
  if (typeof from === "number" && Number.isSafeInteger(from) && from >= 0) return from;
  const timeMs = Date.parse(String(from));
  if (Number.isNaN(timeMs)) throw new UsageError(`${flag} ${from}: not earliest, latest, an offset or a time`);
  return { timeMs };
}

import { UsageError } from "./errors.ts";

/** @throws {UsageError} With the flag's name. */
export function wholeNumber(flag: string, text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new UsageError(`${flag} wants a whole number from 0 on, not "${text}"`);
}

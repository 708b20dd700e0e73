import process from "node:process";
import { codeOf, PublishError } from "./errors.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Says what went wrong, in words or as one JSON document, and returns the exit code. */
export function reportFailure(error: unknown, asJson: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error) ?? "INTERNAL";
  const published = error instanceof PublishError ? { published: error.published } : {};
  if (asJson) process.stdout.write(`${JSON.stringify({ error: { code, message, ...published } })}\n`);
  else process.stderr.write(`${code}: ${message}\n`);
  if (code === "INTERNAL" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
}

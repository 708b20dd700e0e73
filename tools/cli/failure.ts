import process from "node:process";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Says what went wrong, in words or as one JSON document, and returns the exit code. */
export function reportFailure(error: unknown, asJson: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  const own = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  // cac's own errors carry no code: they are all about the command line.
  const code = own ?? (error instanceof Error && error.name === "CACError" ? "USAGE" : "INTERNAL");
  if (asJson) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  else process.stderr.write(`${code}: ${message}\n`);
  if (code === "INTERNAL" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
}

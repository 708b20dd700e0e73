import process from "node:process";
import { codeOf, PublishError } from "./errors.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Says what went wrong, in words or as one JSON document; resolves with the exit code when that is written. */
export async function reportFailure(error: unknown, asJson: boolean): Promise<number> {
  const message = error instanceof Error ? error.message : String(error);
  // cac's own errors carry no code: they are all about the command line. `raftline` reads it without cac, others do not.
  const code = codeOf(error) ?? (error instanceof Error && error.name === "CACError" ? "USAGE" : "INTERNAL");
  const published = error instanceof PublishError ? { published: error.published } : {};
  const stack = code === "INTERNAL" && error instanceof Error ? `${error.stack}\n` : "";
  // In any case: what was printed before must have gone, too.
  await write(process.stdout, asJson ? `${JSON.stringify({ error: { code, message, ...published } })}\n` : "");
  await write(process.stderr, asJson ? stack : `${code}: ${message}\n${stack}`);
  return code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
}

function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  return new Promise((resolve) => stream.write(text, () => resolve()));
}

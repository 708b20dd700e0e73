/** The command line itself is wrong. */
export class UsageError extends Error {
  readonly code = "USAGE";

  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** Publishing that ended half-way. More than `published` may be stored: what was on its way is not known. */
export class PublishError extends Error {
  readonly code: string | undefined;
  readonly published: number;

  constructor(published: number, cause: Error) {
    super(`at least ${published} records published, then: ${cause.message}`, { cause });
    this.name = "PublishError";
    this.code = codeOf(cause);
    this.published = published;
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

import type { ErrorCode } from "../../src/wire/errors.ts";

/** What a command gave; a refusal changed nothing. Plain data: it travels to the node that forwarded the command. */
export type CommandResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

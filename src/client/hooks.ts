/** Functions of a user's that a consumer or a queue calls beside the records it gives out. */
import { runCall } from "../runtime/call-scope.ts";
import { RaftlineError } from "../wire/errors.ts";

/** Fails what called the hook; `cause` is what the hook threw. */
export class HookError extends RaftlineError {
  constructor(whose: "consumer" | "queue", cause: unknown) {
    super("INTERNAL", `a hook of the ${whose} threw`, { cause });
  }
}

/** Resolves when the hook has. In it `owner` may be closed. @throws {HookError} */
export async function callHook(
  owner: object,
  whose: "consumer" | "queue",
  hook: () => Promise<void> | void,
): Promise<void> {
  try {
    await runCall(owner, hook);
  } catch (error) {
    throw new HookError(whose, error);
  }
}

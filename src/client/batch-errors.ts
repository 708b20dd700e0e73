import { RecordsError } from "../records/errors.ts";
import { RaftlineError } from "../wire/errors.ts";

/** What went wrong with a batch, as users see it; anything else stays as it is. */
export function asRaftlineError(error: unknown): unknown {
  return error instanceof RecordsError ? new RaftlineError(error.code, error.message, { cause: error }) : error;
}

/** What a replica's consensus core starts from, by what the log holds of its group. */
import type { GroupLog } from "../../src/log/types.ts";
import type { RaftOptions } from "../../src/raft/raft.ts";
import type { HardState } from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";

const NEW_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/**
 * A disk that lost a part of its log may have lost the newest term and vote with it, and kept entries of later terms.
 * It was in that term; whom it voted for there is not known, and it does not vote before it is vouched for.
 */
export function recoveredHardState(recovered: GroupLog | undefined): HardState {
  if (!recovered) return NEW_HARD_STATE;
  const { hardState, terms, checkpoint, suspect } = recovered;
  const lastTerm = terms.at(-1)?.[1] ?? checkpoint?.term ?? 0;
  return suspect && hardState.term < lastTerm ? { ...hardState, term: lastTerm, vote: 0 } : hardState;
}

/** `tail`: its last entry, if the log goes on after the checkpoint. */
export function recoveredLog(recovered: GroupLog | undefined, tail: Entry | undefined): RaftOptions<Entry>["log"] {
  if (!recovered) return { firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 };
  const { firstIndex, lastIndex, terms, previousTerm } = recovered;
  return { firstIndex, lastIndex, terms, previousTerm, tail: tail === undefined ? [] : [tail] };
}

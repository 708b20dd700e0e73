/** What the log should hold: the writes one after the other, on plain maps. */
import type { Checkpoint, GroupId, GroupWrite, Log } from "../../src/log/types.ts";
import { contentOf } from "./entries.ts";

export type Step =
  | { readonly kind: "write"; readonly write: GroupWrite }
  | { readonly kind: "trim"; readonly group: GroupId; readonly firstIndex: number }
  | { readonly kind: "remove"; readonly group: GroupId };

interface ModelGroup {
  first: number;
  last: number;
  terms: Map<number, number>;
  hard: string;
  checkpoint: Checkpoint | undefined;
}

export class Model {
  readonly groups = new Map<GroupId, ModelGroup>();

  apply(step: Step): void {
    if (step.kind === "remove") {
      this.groups.delete(step.group);
      return;
    }
    const group = step.kind === "write" ? step.write.group : step.group;
    let state = this.groups.get(group);
    if (step.kind === "trim") {
      if (state && step.firstIndex > state.first) state.first = step.firstIndex;
      if (state && state.last < state.first - 1) state.last = state.first - 1;
      return;
    }
    if (!state) {
      this.groups.set(group, state = { first: 1, last: 0, terms: new Map(), hard: "0/0/0", checkpoint: undefined });
    }
    const { hardState, truncateFrom, entries, checkpoint, resetLog } = step.write;
    if (resetLog && checkpoint) {
      state.terms.clear();
      state.last = checkpoint.index;
      state.first = checkpoint.index + 1;
    }
    if (truncateFrom > 0) state.last = Math.min(state.last, truncateFrom - 1);
    for (const entry of entries) {
      state.terms.set(entry.index, entry.term);
      state.last = entry.index;
    }
    if (hardState) state.hard = `${hardState.term}/${hardState.vote}/${hardState.commit}`;
    if (checkpoint) state.checkpoint = checkpoint;
  }

  toString(): string {
    const lines: string[] = [];
    for (const group of [...this.groups.keys()].sort((a, b) => a - b)) {
      const { first, last, terms, hard, checkpoint } = this.groups.get(group)!;
      const entries: string[] = [];
      for (let index = first; index <= last; index++) entries.push(`${index}:${terms.get(index)}`);
      lines.push(lineOf(group, first, last, hard, checkpoint, entries.join(" ")));
    }
    return lines.join("\n");
  }
}

/** The same text of what a log holds; reads every entry. */
export async function describeLog(log: Log): Promise<string> {
  const lines: string[] = [];
  for (const { group } of [...log.groups()].sort((a, b) => a.group - b.group)) {
    const { firstIndex, lastIndex, hardState, checkpoint, terms } = log.group(group)!;
    const { term, vote, commit } = hardState;
    const content = await contentOf(log, group);
    const byRuns = termsOf(firstIndex, lastIndex, terms);
    if (byRuns !== content) throw new Error(`group ${group}: terms say ${byRuns}, entries ${content}`);
    lines.push(lineOf(group, firstIndex, lastIndex, `${term}/${vote}/${commit}`, checkpoint, content));
  }
  return lines.join("\n");
}

function termsOf(first: number, last: number, terms: readonly (readonly [number, number])[]): string {
  const parts: string[] = [];
  for (let index = first; index <= last; index++) {
    parts.push(`${index}:${terms.findLast(([from]) => from <= index)?.[1]}`);
  }
  return parts.join(" ");
}

function lineOf(
  group: GroupId,
  first: number,
  last: number,
  hard: string,
  checkpoint: Checkpoint | undefined,
  entries: string,
): string {
  const saved = checkpoint
    ? `${checkpoint.index}@${checkpoint.term} ${new TextDecoder().decode(checkpoint.state)}`
    : "-";
  return `${group} [${first}, ${last}] ${hard} (${saved}) ${entries}`;
}

/** Entries and writes for the tests of the log. */
import { Entry, EntryKind, RecordFormat } from "../../src/records/entry.ts";
import type { Checkpoint, GroupId, GroupWrite, Log } from "../../src/log/types.ts";

const BEFORE_ZEROS_BYTES = 100;

/**
 * An entry whose payload tells group, index and term, repeated up to `bytes`; one record. Of every third large one most is
 * zeros: whole sectors, as a torn write leaves them.
 */
export function entryOf(group: GroupId, index: number, term: number, bytes = 40): Entry {
  const text = `${group}/${index}/${term};`;
  const payload = new Uint8Array(bytes);
  const end = index % 3 === 0 && bytes >= 2_000 ? BEFORE_ZEROS_BYTES : bytes;
  for (let at = 0; at < end; at++) payload[at] = text.charCodeAt(at % text.length);
  const entry = Entry.create({
    kind: EntryKind.batch,
    format: RecordFormat.cbor,
    payload,
    recordCount: 1,
    maxTimestampMs: 1_000_000 + index,
  });
  entry.stamp(term, index, index - 1);
  return entry;
}

export function entriesOf(group: GroupId, first: number, last: number, term: number, bytes?: number): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, at) => entryOf(group, first + at, term, bytes));
}

export function writeOf(group: GroupId, fields: Partial<Omit<GroupWrite, "group">>): GroupWrite {
  return {
    group,
    hardState: undefined,
    truncateFrom: 0,
    entries: [],
    checkpoint: undefined,
    resetLog: false,
    ...fields,
  };
}

export function checkpointOf(index: number, term: number, text = `state at ${index}`): Checkpoint {
  return {
    index,
    term,
    configuration: { voters: [1, 2, 3], outgoing: [], learners: [4], learnersNext: [] },
    nextOffset: index,
    state: new TextEncoder().encode(text),
  };
}

export function durable(log: Log, ...writes: GroupWrite[]): Promise<void> {
  return new Promise((resolve) => log.write(writes, resolve));
}

/** Index and term of all that can be read of a group. */
export async function contentOf(log: Log, group: GroupId): Promise<string> {
  const state = log.group(group);
  if (!state) return "none";
  const parts: string[] = [];
  for (let from = state.firstIndex; from <= state.lastIndex;) {
    const entries = await log.read(group, from, state.lastIndex, 64 * 1024);
    for (const entry of entries) {
      const wanted = entryOf(group, entry.index, entry.term, entry.payload.length);
      if (wanted.payloadCrc !== entry.payloadCrc) throw new Error(`entry ${entry.index} of ${group} is another one`);
      parts.push(`${entry.index}:${entry.term}`);
    }
    from = entries.at(-1)!.index + 1;
  }
  return parts.join(" ");
}

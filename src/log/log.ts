// Temporary stand-in by the lead for integration, in memory: OVERWRITE THIS FILE with the real engine.
import type { Runtime } from "../runtime/runtime.ts";
import type { Entry } from "../records/entry.ts";
import type { Checkpoint, GroupLog, GroupWrite, Log } from "./types.ts";

interface G { group: number; hardState: GroupLog["hardState"]; checkpoint: Checkpoint | undefined; first: number; entries: Entry[] }

export function openLog(runtime: Runtime, _folder: string, _options: object): Promise<Log> {
  const groups = new Map<number, G>();
  const view = (g: G): GroupLog => {
    const terms: [number, number][] = [];
    for (const e of g.entries) if (terms.at(-1)?.[1] !== e.term) terms.push([e.index, e.term]);
    return { group: g.group, firstIndex: g.first, lastIndex: g.first + g.entries.length - 1, startOffset: 0, terms, hardState: g.hardState, checkpoint: g.checkpoint, sizeBytes: 0 };
  };
  return Promise.resolve({
    *groups() { for (const g of groups.values()) yield view(g); },
    group: (id) => { const g = groups.get(id); return g && view(g); },
    write(writes: readonly GroupWrite[], done) {
      for (const w of writes) {
        let g = groups.get(w.group);
        if (!g) groups.set(w.group, g = { group: w.group, hardState: { term: 0, vote: 0, commit: 0 }, checkpoint: undefined, first: 1, entries: [] });
        if (w.hardState) g.hardState = w.hardState;
        if (w.resetLog) { g.entries = []; g.first = w.checkpoint!.index + 1; }
        if (w.truncateFrom) g.entries.length = Math.max(0, w.truncateFrom - g.first);
        g.entries.push(...w.entries);
        if (w.checkpoint) g.checkpoint = w.checkpoint;
      }
      runtime.timers.after(1, done);
    },
    pendingBytes: 0,
    read: (id, from, to) => { const g = groups.get(id)!; return Promise.resolve(g.entries.slice(from - g.first, to - g.first + 1)); },
    seekOffset: (id, offset) => { const g = groups.get(id)!; const i = g.entries.findIndex((e) => e.nextOffset > offset); return Promise.resolve(i < 0 ? g.first + g.entries.length : g.first + i); },
    seekTime: (id, t) => { const g = groups.get(id)!; const i = g.entries.findIndex((e) => e.maxTimestampMs >= t); return Promise.resolve(i < 0 ? g.first + g.entries.length : g.first + i); },
    trim() {}, remove(id) { groups.delete(id); }, close: () => Promise.resolve(),
  });
}
